import type { Database, Statement } from 'better-sqlite3'

/** Which requests of agents were carried out. */
export class IpcRequests {
  readonly #note: Statement
  readonly #see: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#note = db.prepare('INSERT INTO ipc_requests (group_folder, id, at) VALUES (:folder, :id, :at)')
    this.#see = db.prepare('UPDATE ipc_requests SET at = :at WHERE group_folder = :folder AND id = :id')
    this.#prune = db.prepare('DELETE FROM ipc_requests WHERE at < ?')
  }

  /** It is being carried out: belongs in the transaction of its effect. */
  note(request: { folder: string; id: string; at: number }): void {
    this.#note.run(request)
  }

  /** Was it carried out? Then it is remembered from now on: its file is still there. */
  isDone(request: { folder: string; id: string; at: number }): boolean {
    return this.#see.run(request).changes > 0
  }

  /** Forgets what was not seen since. */
  prune(before: number): void {
    this.#prune.run(before)
  }
}
