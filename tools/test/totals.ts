/** What node:test counts in a run. */
export type Totals = {
  tests: number
  suites: number
  passed: number
  failed: number
  cancelled: number
  skipped: number
  todo: number
}

/** An event of node:test, as far as a run looks at it. Durations are in milliseconds. */
export type Event = {
  type: string
  data: {
    nesting?: number
    name?: string
    message?: string
    file?: string
    counts?: Totals
    duration_ms?: number
    details?: { duration_ms?: number; type?: string }
  }
}

export const noTotals = (): Totals => ({ tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 })

/**
 * The events of several runs as those of one: the summary of each is left out, and their sum follows the last.
 * `seconds` is asked at the end.
 */
export async function* joined(runs: AsyncIterable<Event[]>, totals: Totals, seconds: () => number): AsyncGenerator<Event> {
  for await (const events of runs)
    for (const event of events) {
      if (event.type === 'test:summary' && event.data.file === undefined) add(totals, event.data.counts)
      else if (!isSummaryLine(event)) yield event
    }
  for (const message of summaryLines(totals, seconds())) yield { type: 'test:diagnostic', data: { nesting: 0, message } }
}

function isSummaryLine({ type, data }: Event): boolean {
  const line = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/
  return type === 'test:diagnostic' && data.nesting === 0 && line.test(data.message ?? '')
}

function add(totals: Totals, counts: Totals | undefined): void {
  if (counts === undefined) return
  for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] += counts[key]
}

function summaryLines({ tests, suites, passed, failed, cancelled, skipped, todo }: Totals, seconds: number): string[] {
  const lines = { tests, suites, pass: passed, fail: failed, cancelled, skipped, todo, duration_ms: Math.round(1_000 * seconds) }
  return Object.entries(lines).map(([name, value]) => `${name} ${value}`)
}
