import type { CacheStore } from 'baileys'

const MOST_ENTRIES = 2_000

/** A cache that forgets the oldest entry when it is full. Baileys' own are of no fixed size and keep timers. */
export class BoundedCache implements CacheStore {
  readonly #entries = new Map<string, unknown>()

  get<T>(key: string): T | undefined {
    return this.#entries.get(key) as T | undefined
  }

  set<T>(key: string, value: T): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const oldest = this.#entries.keys().next()
    if (this.#entries.size > MOST_ENTRIES && !oldest.done) this.#entries.delete(oldest.value)
  }

  del(key: string): void {
    this.#entries.delete(key)
  }

  flushAll(): void {
    this.#entries.clear()
  }
}
