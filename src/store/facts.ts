import type { Database, Statement } from 'better-sqlite3'

/** Small facts about this installation, by name (`router_state`). */
export class Facts {
  readonly #get: Statement
  readonly #set: Statement

  constructor(db: Database) {
    this.#get = db.prepare('SELECT value FROM router_state WHERE key = ?').pluck()
    this.#set = db.prepare(
      'INSERT INTO router_state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    )
  }

  get(key: string): string | undefined {
    return this.#get.get(key) as string | undefined
  }

  set(key: string, value: string): void {
    this.#set.run(key, value)
  }
}
