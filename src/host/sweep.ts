import { inBackground } from '../domain/attempt.ts'

/** The backstop behind all events: whatever a missed one left lying is found after this. */
const SWEEP_MS = 60_000

/**
 * Does all chores now and then every minute, until the returned function is called. One that fails, for a full disk say,
 * is logged and done again next time; it keeps none of the others from being done.
 */
export function startSweep(chores: readonly (() => unknown)[], log: { error(text: string): void }): () => void {
  const sweep = () => {
    for (const chore of chores) inBackground({ what: 'A chore failed, and is done again in a minute', log }, chore)
  }
  const timer = setInterval(sweep, SWEEP_MS)
  sweep()
  return () => clearInterval(timer)
}

/** A chore that takes a while, and that is done once an hour: the sweep asks each minute. */
export function hourly(chore: () => void, now: () => number): () => void {
  let last = Number.NEGATIVE_INFINITY
  return () => {
    if (now() - last < 60 * SWEEP_MS) return
    last = now()
    chore()
  }
}
