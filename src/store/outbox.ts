import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { TurnId } from '../domain/turn.ts'

/** Text on its way to a chat. `key` makes a repeated send harmless where the platform supports it. */
export type Delivery = { seq: number; jid: string; text: string; key: string; attempts: number; turnId: TurnId | null }

const row = z.object({
  seq: z.int(),
  jid: z.string(),
  text: z.string(),
  key: z.string(),
  attempts: z.int(),
  turn_id: z.int().nullable(),
})

/** What is to be delivered, kept until the platform has it. Calls inside `store.tx` belong to that transaction. */
export class Outbox {
  readonly #add: Statement
  readonly #due: Statement
  readonly #next: Statement
  readonly #sending: Statement
  readonly #sent: Statement
  readonly #postpone: Statement
  readonly #fail: Statement
  readonly #counts: Statement
  readonly #reopen: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO outbox (jid, text, key, turn_id, due_at, created_at) VALUES (:jid, :text, :key, :turnId, :at, :at)
      ON CONFLICT (key) DO NOTHING`)
    const first = `FROM outbox AS o WHERE state = 'pending'
        AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.jid = o.jid AND e.state IN ('pending', 'sending') AND e.seq < o.seq)`
    this.#due = db.prepare(`SELECT seq, jid, text, key, attempts, turn_id ${first} AND due_at <= ? ORDER BY seq`)
    this.#next = db.prepare(`SELECT min(due_at) ${first}`).pluck()
    this.#sending = db.prepare("UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE seq = ?")
    this.#sent = db.prepare(
      "UPDATE outbox SET state = 'sent', platform_id = :platformId, sent_at = :at, error = NULL WHERE seq = :seq",
    )
    this.#postpone = db.prepare("UPDATE outbox SET state = 'pending', due_at = :until, error = :why WHERE seq = :seq")
    this.#fail = db.prepare('UPDATE outbox SET state = :state, error = :why WHERE seq = :seq')
    this.#counts = db.prepare('SELECT state, count(*) AS n FROM outbox GROUP BY state')
    this.#reopen = db.prepare("UPDATE outbox SET state = 'pending' WHERE state = 'sending'")
  }

  add(delivery: { jid: string; text: string; key: string; turnId: TurnId | null; at: number }): void {
    this.#add.run(delivery)
  }

  /** The next delivery of each chat that is due, oldest first: a chat's later answers wait for its earlier ones. */
  due(now: number): Delivery[] {
    return this.#due.all(now).map(toDelivery)
  }

  /** When the next delivery falls due; undefined when none waits. */
  nextDue(): number | undefined {
    return (this.#next.get() as number | null) ?? undefined
  }

  /** Committed before the platform is called, so that a crash in between is known to have an unknown outcome. */
  markSending(seq: number): void {
    this.#sending.run(seq)
  }

  markSent(sent: { seq: number; platformId: string | null; at: number }): void {
    this.#sent.run(sent)
  }

  postpone(later: { seq: number; until: number; why: string }): void {
    this.#postpone.run(later)
  }

  /** It will not be tried again: refused for good, or its outcome cannot be known. */
  close(end: { seq: number; state: 'failed' | 'uncertain'; why: string }): void {
    this.#fail.run(end)
  }

  /** At start: sends that were under way when the host went away are tried again with their old key. */
  reopen(): number {
    return this.#reopen.run().changes
  }

  counts(): { pending: number; failed: number; uncertain: number } {
    const byState = new Map((this.#counts.all() as { state: string; n: number }[]).map(({ state, n }) => [state, n]))
    const open = (byState.get('pending') ?? 0) + (byState.get('sending') ?? 0)
    return { pending: open, failed: byState.get('failed') ?? 0, uncertain: byState.get('uncertain') ?? 0 }
  }
}

function toDelivery(raw: unknown): Delivery {
  const { turn_id, ...delivery } = row.parse(raw)
  return { ...delivery, turnId: turn_id as TurnId | null }
}
