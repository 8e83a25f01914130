import { availableParallelism } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import type { TestPlan } from './test-files.ts'

export type Totals = {
  tests: number
  suites: number
  passed: number
  failed: number
  cancelled: number
  skipped: number
  todo: number
}
type Event = { type: string; data: { nesting?: number; message?: string; file?: string; counts?: Totals; duration_ms?: number } }

const SHORT_MS = 5 * 60_000
const LONG_MS = 40 * 60_000
const LOW_PRIORITY = path.join(import.meta.dirname, 'low-priority.ts')

/** Runs the files and prints them with one summary at the end, as one `node --test` over all of them would. */
export async function runTestFiles({ plan, print }: { plan: TestPlan; print: (text: string) => void }): Promise<Totals> {
  const totals: Totals = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
  const phases = [
    [{ files: plan.sideBySide, concurrency: availableParallelism(), timeout: SHORT_MS }],
    [
      { files: plan.oneByOne, concurrency: 1, timeout: LONG_MS },
      { files: plan.inBackground, concurrency: 1, timeout: LONG_MS, execArgv: ['--import', LOW_PRIORITY] },
    ],
  ].map((phase) => phase.filter(({ files }) => files.length > 0).map((batch) => () => run(batch)))
  const events = Readable.from(joined(phases, totals))
  for await (const text of events.compose(new spec())) print(String(text))
  return totals
}

/**
 * The events of several runs as those of one: the summary of each is left out, and their sum follows the last. Runs of one
 * phase go at the same time, and are told one after the other.
 */
export async function* joined(phases: (() => AsyncIterable<unknown>)[][], totals: Totals): AsyncGenerator<Event> {
  let duration = 0
  for (const phase of phases) {
    let longest = 0
    for (const events of phase.map((start) => start() as AsyncIterable<Event>))
      for await (const event of events) {
        if (isSummaryLine(event)) continue
        if (event.type === 'test:summary' && event.data.file === undefined) {
          add(totals, event.data.counts)
          longest = Math.max(longest, event.data.duration_ms ?? 0)
        } else yield event
      }
    duration += longest
  }
  for (const message of summaryLines(totals, duration)) yield { type: 'test:diagnostic', data: { nesting: 0, message } }
}

function isSummaryLine({ type, data }: Event): boolean {
  const line = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/
  return type === 'test:diagnostic' && data.nesting === 0 && line.test(data.message ?? '')
}

function add(totals: Totals, counts: Totals | undefined): void {
  if (counts === undefined) return
  for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] += counts[key]
}

function summaryLines({ tests, suites, passed, failed, cancelled, skipped, todo }: Totals, duration: number): string[] {
  const lines = { tests, suites, pass: passed, fail: failed, cancelled, skipped, todo, duration_ms: Math.round(duration) }
  return Object.entries(lines).map(([name, value]) => `${name} ${value}`)
}
