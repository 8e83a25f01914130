import type { Clock, Instant } from '../../src/domain/clock.ts'

type Alarm = { at: Instant; wake: () => void }

/** A clock that stands still until it is moved; due callbacks run in their order. */
export class ManualClock implements Clock {
  #now: Instant
  readonly #alarms = new Set<Alarm>()

  constructor(now: Instant = 1_000_000) {
    this.#now = now
  }

  now = (): Instant => this.#now

  wakeAt = (at: Instant, wake: () => void): (() => void) => {
    const alarm = { at, wake }
    this.#alarms.add(alarm)
    return () => void this.#alarms.delete(alarm)
  }

  /** How many callbacks wait for their time. */
  get waiting(): number {
    return this.#alarms.size
  }

  /** Moves time on, stopping at every alarm on the way. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#alarms.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.wake()
    }
    this.#now = until
  }

  /** Moves time on to the next alarm, if there is one. */
  advanceToNext(): void {
    const next = this.#next(Number.POSITIVE_INFINITY)
    if (next) this.advance(Math.max(next.at - this.#now, 0))
  }

  /** The first alarm up to a moment; of those at one moment, the one that was set first. */
  #next(until: Instant): Alarm | undefined {
    let first: Alarm | undefined
    for (const alarm of this.#alarms) if (alarm.at <= until && (!first || alarm.at < first.at)) first = alarm
    return first
  }

  /** The clock is set, or the machine slept: no alarm goes off by itself. */
  set(now: Instant): void {
    this.#now = now
  }
}
