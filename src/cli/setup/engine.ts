import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandLine, type Environment, runCommand, type Say } from './command.ts'
import { engineFacts } from './engine-facts.ts'
import { type Argv, asRoot, type EngineFacts, type EnginePlan, planEngine } from './engine-plan.ts'
import type { Person } from './person.ts'

export type Missing = { state: 'missing'; what: string[] }
export type Ready = { state: 'ready' }

export type EngineOptions = {
  /** Absent: nobody can be asked, and only `yes` allows anything. */
  ask: Person | undefined
  yes: boolean
  say: Say
  env: Environment
  /** Where dockerd's log may be: the first folder that can be written. */
  logFolders: readonly [string, ...string[]]
  signal?: AbortSignal | undefined
  /** What this machine has; by default it is looked at. */
  readFacts?: () => Promise<EngineFacts>
}

const START_LIMIT_MS = 60_000
const ASK_AGAIN_MS = 200

/**
 * Makes a container engine answer: installs it, starts it, or says what a person must do. Every command is shown before
 * it runs, and runs only after a yes or with `yes`. Doing nothing when an engine answers, it can be called every time.
 */
export async function ensureEngine(options: EngineOptions): Promise<Ready | Missing> {
  const { env, readFacts = () => engineFacts(env) } = options
  const tried = new Set<string>()
  for (;;) {
    const facts = await readFacts()
    const plan = planEngine(facts)
    if (plan.do === 'nothing') return { state: 'ready' }
    if (plan.do === 'tell') return { state: 'missing', what: plan.what }
    const step = plan.do === 'run' ? plan.id : plan.do
    if (tried.has(step)) return { state: 'missing', what: [`${plan.why} What was tried above did not change that.`] }
    tried.add(step)
    const work = { facts, options, readFacts }
    if (!(await isAllowed(plan, work))) return { state: 'missing', what: whatToRun(plan, facts) }
    const problem = await carryOut(plan, work)
    if (problem) return { state: 'missing', what: problem }
  }
}

function whatToRun(plan: Doing, facts: EngineFacts): string[] {
  return [`${plan.why} Run with --yes, or do it yourself:`, ...commandsOf(plan, facts).map((argv) => `  ${commandLine(argv)}`)]
}

type Doing = Extract<EnginePlan, { do: 'run' | 'start-dockerd' }>
type Work = { facts: EngineFacts; options: EngineOptions; readFacts: () => Promise<EngineFacts> }

function commandsOf(plan: Doing, facts: EngineFacts): readonly Argv[] {
  return plan.do === 'run' ? plan.commands : [asRoot(facts, [plan.dockerd])]
}

async function isAllowed(plan: Doing, { facts, options: { ask, yes, say } }: Work): Promise<boolean> {
  say(plan.why)
  for (const argv of commandsOf(plan, facts)) say(`  $ ${commandLine(argv)}`)
  return yes || (ask !== undefined && (await ask.confirm(plan.question)))
}

/** The reason why it did not work, or undefined. */
async function carryOut(plan: Doing, work: Work): Promise<string[] | undefined> {
  if (plan.do === 'start-dockerd') return startDockerd(plan.dockerd, work)
  for (const argv of plan.commands) {
    const code = await runCommand({ argv, ...work.options })
    if (code !== 0) return [`This failed (exit code ${code}); the lines above say why:`, `  ${commandLine(argv)}`]
  }
  if (plan.id === 'start') await untilAnswered({ ...work, isAlive: () => true })
  return undefined
}

/** Prints the daemon's pid and ends; the daemon goes on in a session of its own. $1 is its log, $2 its program. */
const IN_BACKGROUND = 'setsid "$2" </dev/null >>"$1" 2>&1 & echo $!'

async function startDockerd(dockerd: string, work: Work): Promise<string[] | undefined> {
  const log = dockerdLog(work.options.logFolders)
  const printed: string[] = []
  const argv = asRoot(work.facts, ['/bin/sh', '-c', IN_BACKGROUND, 'sh', log, dockerd])
  await runCommand({ argv, ...work.options, say: (line) => printed.push(line) })
  const pid = Number(printed.at(-1))
  if (await untilAnswered({ ...work, isAlive: () => isRunning(pid) })) {
    work.options.say(`Docker runs now (process ${pid}); its log is ${log}.`)
    return undefined
  }
  return [`Docker did not start. The end of its log (${log}):`, ...lastLines(log)]
}

async function untilAnswered({ readFacts, options, isAlive }: Work & { isAlive: () => boolean }): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS
  while (Date.now() < deadline) {
    if ((await readFacts()).answer !== 'none') return true
    if (!isAlive()) return false
    await delay(ASK_AGAIN_MS, undefined, options.signal && { signal: options.signal })
  }
  return false
}

/** A process of another user is running too, though it may not be signalled. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function dockerdLog(folders: readonly [string, ...string[]]): string {
  const files = folders.map((folder) => path.join(folder, 'nanoclaw-dockerd.log'))
  return files.find(canAppend) ?? '/dev/null'
}

function canAppend(file: string): boolean {
  try {
    mkdirSync(path.dirname(file), { recursive: true })
    appendFileSync(file, '')
    return true
  } catch {
    return false
  }
}

function lastLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-5)
    .map((line) => `  ${line}`)
}
