import type { Database, Statement } from 'better-sqlite3'

/** More than all groups are allowed to ask for in a minute. */
const PRUNED_AT_ONCE = 10_000

/** Which requests of agents were carried out. */
export class IpcRequests {
  readonly #note: Statement
  readonly #see: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#note = db.prepare('INSERT INTO ipc_requests (group_folder, id, at) VALUES (:folder, :id, :at)')
    this.#see = db.prepare('UPDATE ipc_requests SET at = :at WHERE group_folder = :folder AND id = :id')
    this.#prune = db.prepare(`
      DELETE FROM ipc_requests WHERE (group_folder, id) IN (
        SELECT group_folder, id FROM ipc_requests WHERE at < ? ORDER BY at LIMIT ${PRUNED_AT_ONCE})`)
  }

  /** It is being carried out: belongs in the transaction of its effect. */
  note(request: { folder: string; id: string; at: number }): void {
    this.#note.run(request)
  }

  /** Was it carried out? Then it is remembered from now on: its file is still there. */
  isDone(request: { folder: string; id: string; at: number }): boolean {
    return this.#see.run(request).changes > 0
  }

  /** Forgets what was not seen since, some at a time. */
  prune(before: number): void {
    this.#prune.run(before)
  }
}
