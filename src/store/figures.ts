import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'

/** How one thing went, for whoever measures; `endedAt` is null while it is open. */
export type Timing = { id: number; kind: string; state: string; askedAt: number | null; beganAt: number; endedAt: number | null }

const row = z.object({
  id: z.int(),
  kind: z.string(),
  state: z.string(),
  askedAt: z.number().nullable(),
  beganAt: z.number(),
  endedAt: z.number().nullable(),
})

/** Which rows: all after an id, and some before it. */
export type Which = { after: number; also: readonly number[] }

/** What is measured of one table, a few rows at a time: what has ended stays there for long, and is not read again. */
export class Timings {
  readonly #newest: Statement
  readonly #open: Statement
  readonly #read: Statement

  constructor(db: Database, { columns, from, id, open }: Record<'columns' | 'from' | 'id' | 'open', string>) {
    this.#newest = db.prepare(`SELECT coalesce(max(${id}), 0) FROM ${from}`).pluck()
    this.#open = db.prepare(`SELECT ${id} FROM ${from} WHERE state IN (${open})`).pluck()
    // In no order: for one, SQLite would go through all rows.
    this.#read = db.prepare(`
      SELECT ${id} AS id, state, created_at AS beganAt, ${columns} FROM ${from}
      WHERE ${id} > :after OR ${id} IN (SELECT value FROM json_each(:also))`)
  }

  /** What is open now, and whatever comes. */
  fromNow(): Which {
    return { after: this.#newest.get() as number, also: this.#open.all() as number[] }
  }

  read({ after, also }: Which): Timing[] {
    return this.#read.all({ after, also: JSON.stringify(also) }).map((raw) => row.parse(raw))
  }
}

/** What is measured about turns and deliveries. */
export class Figures {
  readonly turns: Timings
  readonly sends: Timings
  readonly #oldest: Statement

  constructor(db: Database) {
    // The first one of those it does not show stands for them.
    const asked = `SELECT min(timestamp) FROM messages WHERE (turn_id = turns.id AND is_bot_message = 0) OR seq = passed_from`
    const ofTurn = `lane AS kind, ended_at AS endedAt, (${asked}) AS askedAt`
    this.turns = new Timings(db, { id: 'id', columns: ofTurn, from: 'turns', open: "'pending', 'running'" })
    const ofSend = "'' AS kind, coalesce(sent_at, closed_at) AS endedAt, NULL AS askedAt"
    this.sends = new Timings(db, { id: 'seq', columns: ofSend, from: 'outbox', open: "'pending', 'sending'" })
    this.#oldest = db.prepare("SELECT min(created_at) FROM outbox WHERE state IN ('pending', 'sending')").pluck()
  }

  /** Since when the oldest answer waits that is not delivered yet. */
  oldestSend(): number | undefined {
    return (this.#oldest.get() as number | null) ?? undefined
  }
}
