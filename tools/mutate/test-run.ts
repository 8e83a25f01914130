import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export type Run = {
  file: string
  project: string
  env: NodeJS.ProcessEnv
  limitMs: number
  signal: AbortSignal
  /** The file goes on after its first red test. */
  goesOn?: boolean
}
export type RunEnd = { end: 'green' } | { end: 'red'; name: string } | { end: 'hang' }

/** The simulation is a program, not a test file; the other files that run it take minutes. */
export const SIMULATION = 'test/sim/run.ts'
const SIMULATION_ENV = { SIM_SEED: '1', SIM_SCHEDULES: '150' }

const LOW_PRIORITY = path.join(import.meta.dirname, '../test/low-priority.ts')
const RED = /^\s*not ok \d+ - (?!.*# (?:TODO|SKIP))(.*)$/m
/** A red file may still clean up behind itself. */
const LAST_WORDS_MS = 3_000
const KEPT = 20_000

/** Runs one test file in a process group of its own, and ends the group soon after its first red test or at its limit. */
export async function runTestFile({ file, project, env, limitMs, signal, goesOn = false }: Run): Promise<RunEnd> {
  signal.throwIfAborted()
  const child = spawn(process.execPath, ['--import', LOW_PRIORITY, '--test-reporter=tap', path.join(project, file)], {
    cwd: project,
    env: file === SIMULATION ? { ...env, ...SIMULATION_ENV } : env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const end = () => endGroup(child.pid)
  let output = ''
  let red: string | undefined
  let isLate = false
  let lastWords: NodeJS.Timeout | undefined
  const read = (chunk: string) => {
    output = (output + chunk).slice(-KEPT)
    red ??= RED.exec(output)?.[1]?.trim()
    if (red !== undefined && !goesOn) lastWords ??= setTimeout(end, LAST_WORDS_MS)
  }
  child.stdout.setEncoding('utf8').on('data', read)
  child.stderr.setEncoding('utf8').on('data', read)
  const limit = setTimeout(() => {
    isLate = true
    end()
  }, limitMs)
  signal.addEventListener('abort', end)
  process.once('exit', end)
  try {
    const closed = once(child, 'close')
    const [code] = await once(child, 'exit')
    end()
    // A program that left the group may hold the output open.
    await Promise.race([closed, pause(LAST_WORDS_MS, undefined, { ref: false })])
    signal.throwIfAborted()
    if (red !== undefined) return { end: 'red', name: red }
    if (isLate) return { end: 'hang' }
    return code === 0 ? { end: 'green' } : { end: 'red', name: reason(output) }
  } finally {
    clearTimeout(limit)
    clearTimeout(lastWords)
    signal.removeEventListener('abort', end)
    process.off('exit', end)
  }
}

/** The whole group: a test may have left programs behind that it started. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Why a program failed that reports no test. */
function reason(output: string): string {
  return /^\w*(?:Error|error)\b.*$/m.exec(output)?.[0] ?? output.trim().split('\n').at(-1) ?? ''
}
