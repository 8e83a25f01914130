import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { AuditNote } from '../domain/audit.ts'

/** `count`: how many of the kind this stands for. */
export type AuditEntry = AuditNote & { id: number; at: number; count: number }

const row = z.object({
  id: z.int(),
  at: z.int(),
  by: z.enum(['owner', 'agent', 'sender', 'host']),
  folder: z.string().nullable(),
  act: z.string(),
  subject: z.string(),
  outcome: z.enum(['done', 'refused']),
  detail: z.string(),
  count: z.int(),
})

const PRUNED_AT_ONCE = 1_000

/** Privileged decisions and refusals, in the order they were made. The table itself refuses every change. */
export class Audit {
  readonly #add: Statement
  readonly #latest: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO audit (at, by, group_folder, act, subject, outcome, detail, count)
      VALUES (:at, :by, :folder, :act, :subject, :outcome, :detail, :count)`)
    this.#latest = db.prepare(`
      SELECT id, at, by, group_folder AS folder, act, subject, outcome, detail, count FROM audit
      WHERE (:folder IS NULL OR group_folder = :folder) AND (:outcome IS NULL OR outcome = :outcome)
      ORDER BY id DESC LIMIT :limit`)
    this.#prune = db.prepare(`
      DELETE FROM audit WHERE id IN (
        SELECT id FROM audit WHERE at < ? AND at < (unixepoch() - 31622400) * 1000 ORDER BY at LIMIT ${PRUNED_AT_ONCE})`)
  }

  add(entry: Omit<AuditEntry, 'id'>): void {
    this.#add.run(entry)
  }

  /** The newest entries, oldest first; of one group, or with one outcome, where that is given. */
  latest({ folder, outcome, limit }: { folder?: string; outcome?: AuditNote['outcome']; limit: number }): AuditEntry[] {
    const rows = this.#latest.all({ folder: folder ?? null, outcome: outcome ?? null, limit })
    return rows.map((raw) => row.parse(raw)).reverse()
  }

  /** Removes what is older, as far as the table lets go of it, some at a time. Returns how many went. */
  prune(before: number): number {
    return this.#prune.run(before).changes
  }
}
