import { setTimeout as wait } from 'node:timers/promises'

/** What reading a body may take of the host's time without a pause after it; one of an ordinary conversation takes less. */
const FREE_MS = 20
const PAUSE_FACTOR = 4

/**
 * The host's time for the bodies of one run: one is read at a time, and after one that took long, the next waits several times
 * as long. So a run that sends the worst it can has a fifth of the host's time, and the other groups have the rest.
 */
export class Judging {
  #free: Promise<unknown> = Promise.resolve()
  readonly #now: () => number
  readonly #wait: (ms: number) => Promise<unknown>

  constructor({
    now = () => performance.now(),
    pause = pauseFor,
  }: { now?: () => number; pause?: (ms: number) => Promise<unknown> } = {}) {
    this.#now = now
    this.#wait = pause
  }

  /** Resolves with what `read` returns, when it is its turn. */
  async next<T>(read: () => T): Promise<T> {
    const before = this.#free
    const turn = Promise.withResolvers<void>()
    this.#free = turn.promise
    await before
    const startedAt = this.#now()
    try {
      return read()
    } finally {
      const over = this.#now() - startedAt - FREE_MS
      if (over > 0) void this.#wait(over * PAUSE_FACTOR).then(() => turn.resolve())
      else turn.resolve()
    }
  }
}

function pauseFor(ms: number): Promise<unknown> {
  return wait(ms, undefined, { ref: false })
}
