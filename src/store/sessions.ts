import type { Database, Statement } from 'better-sqlite3'

/** The Claude session that a group's chat lane continues. People clear a row by hand to start afresh. */
export class Sessions {
  readonly #get: Statement
  readonly #set: Statement
  readonly #replace: Statement
  readonly #clear: Statement

  constructor(db: Database) {
    this.#get = db.prepare('SELECT session_id FROM sessions WHERE group_folder = ?').pluck()
    this.#set = db.prepare(
      'INSERT INTO sessions (group_folder, session_id) VALUES (?, ?) ON CONFLICT (group_folder) DO UPDATE SET session_id = excluded.session_id',
    )
    this.#replace = db.prepare('UPDATE sessions SET session_id = ? WHERE group_folder = ? AND session_id = ?')
    this.#clear = db.prepare('DELETE FROM sessions WHERE group_folder = ?')
  }

  get(folder: string): string | undefined {
    return this.#get.get(folder) as string | undefined
  }

  set(folder: string, sessionId: string): void {
    this.#set.run(folder, sessionId)
  }

  /** Moves on from `from` to `to`, unless somebody cleared or changed the row since `from` was read. */
  advance({ folder, from, to }: { folder: string; from: string; to: string }): boolean {
    return this.#replace.run(to, folder, from).changes === 1
  }

  clear(folder: string): void {
    this.#clear.run(folder)
  }
}
