import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import type { Manner } from './files.ts'
import type { TestProcess } from './processes.ts'
import { type Event, joined, noTotals, type Totals } from './totals.ts'

const [BATCH, WATCH, LOW_PRIORITY] = ['batch.ts', 'watch.ts', 'low-priority.ts'].map((name) =>
  path.join(import.meta.dirname, name),
)
/** A process that is over its limit and does not even end itself is ended this much later. */
const GRACE_MS = 20_000

/** What a process of a run took, in seconds: by the clock, and of CPU with its children (undefined where it died). */
export type Timing = { process: TestProcess; wall: number; cpu: number | undefined; perFile: ReadonlyMap<string, number> }

export type RunOptions = {
  processes: readonly TestProcess[]
  /** Settles when containers can be run, or when it is known that they cannot; what needs them waits for it. */
  ready: Promise<unknown>
  /** How many times slower than full speed the machine is; all limits grow with it. */
  slowness: number
  env: Readonly<Record<string, string | undefined>>
  /** A folder for what the run needs; the caller removes it. */
  scratch: string
  print: (text: string) => void
}

/** Runs the processes side by side, as the cores allow, and prints them one after the other as one run of node:test. */
export async function runProcesses(options: RunOptions): Promise<{ totals: Totals; timings: Timing[] }> {
  const totals = noTotals()
  const timings: Timing[] = []
  const finished = new PassThrough({ objectMode: true, highWaterMark: options.processes.length + 1 })
  const startedAt = performance.now()
  const work = async (one: TestProcess) => {
    const { events, timing } = await runOne(one, options)
    timings.push(timing)
    finished.write(events)
  }
  const all = Promise.all(LANES.map((lane) => inLane({ lane, options, work }))).then(
    () => void finished.end(),
    (error: Error) => void finished.destroy(error),
  )
  const events = joined(finished, totals, () => (performance.now() - startedAt) / 1_000)
  for await (const text of Readable.from(events).compose(new spec())) options.print(String(text))
  await all
  return { totals, timings }
}

/** Processes of a lane are started in their order, `width` at a time; lanes go side by side. */
type Lane = { manners: readonly Manner[]; width: number; waits: boolean }
type LaneWork = { lane: Lane; options: RunOptions; work: (one: TestProcess) => Promise<void> }

const CORES = availableParallelism()
const LANES: readonly Lane[] = [
  { manners: ['shared', 'own'], width: CORES, waits: false },
  // What runs containers waits for the engine at times, so there is one more than there are cores.
  { manners: ['container'], width: CORES + 1, waits: true },
  { manners: ['background'], width: CORES, waits: false },
]

async function inLane({ lane, options, work }: LaneWork): Promise<void> {
  const waiting = options.processes.filter(({ manner }) => lane.manners.includes(manner))
  if (waiting.length === 0) return
  if (lane.waits) await options.ready
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: lane.width }, worker))
}

async function runOne(one: TestProcess, options: RunOptions): Promise<{ events: Event[]; timing: Timing }> {
  const startedAt = performance.now()
  const usage = path.join(options.scratch, `usage-${startedAt}`)
  const events: Event[] = []
  for await (const event of start(one, options, usage)) events.push(event)
  const wall = (performance.now() - startedAt) / 1_000
  return { events, timing: { process: one, wall, cpu: noted(usage), perFile: perFile(one, events, wall) } }
}

function start(one: TestProcess, { slowness, env, scratch }: RunOptions, usage: string): AsyncIterable<Event> {
  const files = one.files.map(({ file }) => file)
  const inBatch = one.manner === 'shared'
  const limit = Math.ceil(one.limitMs * slowness)
  const options = {
    ...(inBatch ? { files: [String(BATCH)], argv: files } : { files }),
    execArgv: ['--import', String(WATCH), ...(one.manner === 'background' ? ['--import', String(LOW_PRIORITY)] : [])],
    env: {
      ...env,
      // Every host and command that a test starts is compiled once, instead of each time.
      NODE_COMPILE_CACHE: path.join(scratch, 'compiled'),
      NANOCLAW_TEST_USAGE: usage,
      NANOCLAW_TEST_LIMIT_MS: String(limit),
      NANOCLAW_TEST_SLOWNESS: String(slowness),
    },
    timeout: Math.ceil(one.testLimitMs * slowness),
    signal: AbortSignal.timeout(limit + GRACE_MS),
  }
  return run(options) as AsyncIterable<Event>
}

function noted(file: string): number | undefined {
  try {
    return readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map(Number)
      .reduce((sum, seconds) => sum + seconds, 0)
  } catch {
    return undefined
  }
}

/** Seconds by file. Of a file that has its process for itself, that is the process; else, what its tests took. */
function perFile({ files: [first, ...others] }: TestProcess, events: readonly Event[], wall: number): Map<string, number> {
  const seconds = new Map<string, number>()
  if (first && others.length === 0) return seconds.set(first.file, wall)
  for (const { type, data } of events)
    if (data.nesting === 0 && data.file && (type === 'test:pass' || type === 'test:fail'))
      seconds.set(data.file, (seconds.get(data.file) ?? 0) + (data.details?.duration_ms ?? 0) / 1_000)
  return seconds
}
