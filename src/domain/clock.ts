/** Milliseconds since the epoch. */
export type Instant = number

/** Time as the app sees it: the real one in the host, a hand-moved one in tests and simulation. */
export interface Clock {
  now(): Instant
  /** Calls back once when `at` is reached; the returned function calls it off. Never keeps the process alive by itself. */
  wakeAt(at: Instant, wake: () => void): () => void
}

/** Longer timers than this overflow in Node, so a long wait is made of several. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  wakeAt(at, wake) {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = at - Date.now()
      timer = setTimeout(left > LONGEST_TIMER_MS ? arm : wake, Math.min(Math.max(left, 0), LONGEST_TIMER_MS))
      timer.unref()
    }
    arm()
    return () => clearTimeout(timer)
  },
}

/** Resolves when `until` is reached, or at once when `signal` aborts; nothing stays behind. */
export function pause({ clock, until, signal }: { clock: Clock; until: Instant; signal: AbortSignal }): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.wakeAt(until, end)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    function end() {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
  })
}
