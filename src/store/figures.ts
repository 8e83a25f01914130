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

/** What is measured about turns and deliveries, a few rows at a time: these tables only grow. */
export class Figures {
  readonly #turns: Statement
  readonly #sends: Statement
  readonly #oldest: Statement

  constructor(db: Database) {
    const which = (id: string) => `${id} > :after OR ${id} IN (SELECT value FROM json_each(:also))`
    this.#turns = db.prepare(`
      SELECT id, lane AS kind, state, created_at AS beganAt, ended_at AS endedAt,
        (SELECT min(timestamp) FROM messages WHERE turn_id = turns.id AND is_bot_message = 0) AS askedAt
      FROM turns WHERE ${which('id')} ORDER BY id`)
    this.#sends = db.prepare(`
      SELECT seq AS id, '' AS kind, state, created_at AS beganAt, coalesce(sent_at, closed_at) AS endedAt, NULL AS askedAt
      FROM outbox WHERE ${which('seq')} ORDER BY seq`)
    this.#oldest = db.prepare("SELECT min(created_at) FROM outbox WHERE state IN ('pending', 'sending')").pluck()
  }

  turns(which: Which): Timing[] {
    return rows(this.#turns, which)
  }

  sends(which: Which): Timing[] {
    return rows(this.#sends, which)
  }

  /** Since when the oldest answer waits that is not delivered yet. */
  oldestSend(): number | undefined {
    return (this.#oldest.get() as number | null) ?? undefined
  }
}

function rows(statement: Statement, { after, also }: Which): Timing[] {
  return statement.all({ after, also: JSON.stringify(also) }).map((raw) => row.parse(raw))
}
