import type { Clock, Instant } from '../domain/clock.ts'

/** What an agent may ask for at once, and how fast that comes back. Nobody's work needs as much. */
const BURST = { requests: 1_000, bytes: 256 * 1024 * 1024 }
const PER_MINUTE = { requests: 100, bytes: 25 * 1024 * 1024 }

/** How much one group may still ask for. */
export class Allowance {
  readonly #clock: Clock
  #left = BURST
  #at: Instant

  constructor(clock: Clock) {
    this.#clock = clock
    this.#at = clock.now()
  }

  /** Takes it if there is as much; else takes nothing. */
  take({ requests, bytes }: { requests: number; bytes: number }): boolean {
    this.#refill()
    if (requests > this.#left.requests || bytes > this.#left.bytes) return false
    this.#left = { requests: this.#left.requests - requests, bytes: this.#left.bytes - bytes }
    return true
  }

  /** What was taken for something that was not done after all. */
  giveBack({ requests, bytes }: { requests: number; bytes: number }): void {
    this.#left = {
      requests: Math.min(this.#left.requests + requests, BURST.requests),
      bytes: Math.min(this.#left.bytes + bytes, BURST.bytes),
    }
  }

  #refill(): void {
    const minutes = Math.max(this.#clock.now() - this.#at, 0) / 60_000
    this.#at = this.#clock.now()
    this.#left = {
      requests: Math.min(this.#left.requests + minutes * PER_MINUTE.requests, BURST.requests),
      bytes: Math.min(this.#left.bytes + minutes * PER_MINUTE.bytes, BURST.bytes),
    }
  }
}
