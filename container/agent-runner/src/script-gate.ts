import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'

const LIMIT_MS = 30_000
const MAX_OUTPUT_BYTES = 64 * 1024
const MAX_ERROR_BYTES = 4 * 1024
/** Output may still be in the pipe when the script ends; a process that got away must not hold us up. */
const DRAIN_MS = 500

/** How a script ended, with the end of what it printed. */
export type ScriptEnd = {
  how: 'exited' | 'timed-out' | 'stopped' | 'not-started'
  code: number | null
  stdout: string
  stderr: string
}

/** What follows for the turn. `addition` goes below the prompt. */
export type Gate = { type: 'asleep' } | { type: 'stopped' } | { type: 'awake'; addition: string }

const verdict = z.object({ wakeAgent: z.boolean(), data: z.unknown().optional() })

/** Only a script that ends well and says so keeps the model asleep: whatever else it did, the agent hears of it. */
export function gateOf(end: ScriptEnd): Gate {
  if (end.how === 'stopped') return { type: 'stopped' }
  const said = end.how === 'exited' && end.code === 0 ? verdict.safeParse(lastLineAsJson(end.stdout)).data : undefined
  if (said === undefined) return { type: 'awake', addition: complaint(end) }
  if (!said.wakeAgent) return { type: 'asleep' }
  if (said.data === undefined) return { type: 'awake', addition: '' }
  return { type: 'awake', addition: `\n<script-output>${JSON.stringify(said.data).replaceAll('<', '\\u003c')}</script-output>` }
}

function lastLineAsJson(text: string): unknown {
  try {
    return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
  } catch {
    return undefined
  }
}

function complaint({ how, code, stdout, stderr }: ScriptEnd): string {
  const what = {
    exited: code === 0 ? 'its last line was no {"wakeAgent": true or false}' : `it ended with exit code ${code ?? 'none'}`,
    'timed-out': `it was stopped after ${LIMIT_MS / 1_000} s`,
    'not-started': 'it could not be started',
    stopped: 'it was stopped',
  }[how]
  const printed = [stdout, stderr].map((text) => text.trim().slice(-MAX_ERROR_BYTES)).filter(Boolean)
  const output = printed.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `\n<script-error>The script of this task did not decide whether to wake you: ${what}. It printed:\n${output || '(nothing)'}\n</script-error>`
}

type ScriptRun = { script: string; cwd: string; env: Record<string, string>; signal: AbortSignal; limitMs?: number }

/** Runs a script with bash, in a process group of its own that never outlives it. Never rejects. */
export async function runScript({ script, cwd, env, signal, limitMs = LIMIT_MS }: ScriptRun): Promise<ScriptEnd> {
  const child = spawn('bash', ['-c', script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stdout = new Tail(child.stdout, MAX_OUTPUT_BYTES)
  const stderr = new Tail(child.stderr, MAX_ERROR_BYTES)
  const { how, code } = await ending(child, { signal, limitMs })
  killGroup(child)
  await Promise.race([Promise.all([stdout.ended, stderr.ended]), wait(DRAIN_MS)])
  child.stdout.destroy()
  child.stderr.destroy()
  return { how, code, stdout: stdout.text(), stderr: stderr.text() }
}

type Child = ChildProcessByStdio<null, Readable, Readable>
type Ending = Pick<ScriptEnd, 'how' | 'code'>

async function ending(child: Child, { signal, limitMs }: { signal: AbortSignal; limitMs: number }): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>()
  const timer = setTimeout(() => resolve({ how: 'timed-out', code: null }), limitMs)
  const stop = () => resolve({ how: 'stopped', code: null })
  child.once('exit', (code) => resolve({ how: 'exited', code }))
  child.once('error', () => resolve({ how: 'not-started', code: null }))
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const end = await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  return end
}

/** Also what the script left running in the background. */
function killGroup({ pid }: Child): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in the group.
  }
}

/** The last bytes of a stream, and no more. */
class Tail {
  readonly ended: Promise<void>
  readonly #maxBytes: number
  #kept = Buffer.alloc(0)

  constructor(stream: Readable, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.ended = new Promise((resolve) => stream.once('close', resolve))
    stream.on('data', (chunk: Buffer) => (this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-this.#maxBytes)))
  }

  text(): string {
    return this.#kept.toString('utf8')
  }
}
