import { Cron } from 'croner'
import type { Instant } from './clock.ts'

export type Period = 'day' | 'month'

/** What may be used in a period; what is not set has no end. Tokens are those of `countedTokens`. */
export type Budget = {
  dayUsd?: number | undefined
  monthUsd?: number | undefined
  dayTokens?: number | undefined
  monthTokens?: number | undefined
}

export type Amount = { nanoUsd: number; tokens: number }

/** One limit and how far it is used: `reserved` is what calls of the same group that are under way may still cost. */
export type Gauge = {
  whose: 'group' | 'all'
  period: Period
  most: number
  spent: number
  reserved: number
  /** What the next call may cost. */
  next: number
}

export type Admission = { type: 'go' } | { type: 'wait' } | { type: 'over'; gauge: Gauge }

/**
 * May the next call begin? A group exceeds a budget by at most one call: near its end, calls go one by one, each when it is known
 * what the one before it cost. Groups do not wait for each other, so what all have together is exceeded by what the other ones
 * have under way besides.
 */
export function admit(gauges: readonly Gauge[]): Admission {
  // A month ends later than a day, so it says when to go on.
  const used = gauges
    .filter(({ spent, most }) => spent >= most)
    .sort((a, b) => a.period.localeCompare(b.period))
    .at(-1)
  if (used) return { type: 'over', gauge: used }
  const tight = gauges.some(({ most, spent, reserved, next }) => reserved > 0 && spent + reserved + next > most)
  return { type: tight ? 'wait' : 'go' }
}

const BEGINS: Record<Period, string> = { day: '0 0 * * *', month: '0 0 1 * *' }

/** The period that a moment lies in, on the clock of the person's zone. */
export function periodAt(period: Period, { at, timeZone }: { at: Instant; timeZone: string }): { from: Instant; to: Instant } {
  const begins = new Cron(BEGINS[period], { timezone: timeZone })
  const from = begins.previousRuns(1, new Date(at + 1))[0]?.getTime() ?? 0
  return { from, to: begins.nextRun(new Date(at))?.getTime() ?? Number.MAX_SAFE_INTEGER }
}

/** For the chat, so without amounts. */
export function overText({ whose, period }: Gauge): string {
  return `${whose === 'group' ? "This group's budget" : 'The budget of all groups'} for this ${period} is used up.`
}
