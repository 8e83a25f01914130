import { setTimeout as delay } from 'node:timers/promises'

const FIRST_MS = 250
const LONGEST_MS = 5_000

/** Waits before the next attempt (the first is 0), longer each time; at most until `signal` aborts. */
export async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(FIRST_MS * 2 ** Math.min(attempt, 10), LONGEST_MS)
  await delay(ms, undefined, { signal }).catch(() => {
    // Aborted: the caller looks at its signal.
  })
}
