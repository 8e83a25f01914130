import type { Clock, Instant } from '../../src/domain/clock.ts'

/** A clock that stands still until it is moved; due callbacks run in their order. */
export class ManualClock implements Clock {
  #now: Instant
  #alarms: { at: Instant; wake: () => void }[] = []

  constructor(now: Instant = 1_000_000) {
    this.#now = now
  }

  now = (): Instant => this.#now

  wakeAt = (at: Instant, wake: () => void): (() => void) => {
    const alarm = { at, wake }
    this.#alarms.push(alarm)
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm)
    }
  }

  /** How many callbacks wait for their time. */
  get waiting(): number {
    return this.#alarms.length
  }

  /** Moves time on, stopping at every alarm on the way. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = this.#alarms.filter((alarm) => alarm.at <= until).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#alarms = this.#alarms.filter((alarm) => alarm !== next)
      this.#now = Math.max(this.#now, next.at)
      next.wake()
    }
    this.#now = until
  }
}
