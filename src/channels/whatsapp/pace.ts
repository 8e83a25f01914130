import type { Clock, Instant } from '../../domain/clock.ts'

export type PaceLimits = { perMinute: number; burst: number }

/** An account that sends faster than people do gets blocked: a few at once, then this many a minute. */
export const SENDING_PACE: PaceLimits = { perMinute: 30, burst: 8 }

/** Lets callers through one by one, in their order, no faster than the limits say. */
export class Pace {
  readonly #clock: Clock
  readonly #gapMs: number
  readonly #burst: number
  /** When the next one would be due if there were no bursts. */
  #due: Instant = 0

  constructor(clock: Clock, { perMinute, burst }: PaceLimits = SENDING_PACE) {
    this.#clock = clock
    this.#gapMs = 60_000 / perMinute
    this.#burst = burst
  }

  /** Resolves when it is the caller's turn; rejects with the signal's reason when that aborts. */
  async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const now = this.#clock.now()
    this.#due = Math.max(this.#due, now) + this.#gapMs
    const at = this.#due - this.#burst * this.#gapMs
    if (at > now) await wait({ clock: this.#clock, at, signal })
  }
}

/** Resolves at `at`; rejects with the signal's reason when that aborts. Leaves neither timer nor listener. */
export function wait({ clock, at, signal }: { clock: Clock; at: Instant; signal: AbortSignal }): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const aborted = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.wakeAt(at, () => {
      signal.removeEventListener('abort', aborted)
      resolve()
    })
    signal.addEventListener('abort', aborted, { once: true })
  })
}
