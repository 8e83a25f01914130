import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { TurnId } from '../domain/turn.ts'

/** A file of ours on this machine. */
export type DeliveryFile = { path: string; name: string; mimeType: string }

/** Text, and perhaps a file, on its way to a chat. `key` makes a repeated send harmless where the platform supports it. */
export type Delivery = {
  seq: number
  jid: string
  text: string
  file: DeliveryFile | undefined
  key: string
  attempts: number
  /** An earlier attempt has an unknown outcome. */
  unsure: boolean
  turnId: TurnId | null
}

/** What a chat did not get. */
export type Undelivered = { seq: number; jid: string; text: string; state: 'failed' | 'uncertain'; error: string; at: number }

const row = z.object({
  seq: z.int(),
  jid: z.string(),
  text: z.string(),
  key: z.string(),
  attempts: z.int(),
  unsure: z.int(),
  turn_id: z.int().nullable(),
  file_path: z.string().nullable(),
  file_name: z.string().nullable(),
  mime_type: z.string().nullable(),
})
const COLUMNS = Object.keys(row.shape).join(', ')
const undelivered = z.object({
  seq: z.int(),
  jid: z.string(),
  text: z.string(),
  state: z.enum(['failed', 'uncertain']),
  error: z.string(),
  at: z.int(),
})
const UNDELIVERED = "seq, jid, text, state, coalesce(error, '') AS error, coalesce(closed_at, created_at) AS at"

/** What is to be delivered, kept until the platform has it. Calls inside `store.tx` belong to that transaction. */
export class Outbox {
  readonly #add: Statement
  readonly #addPart: Statement
  readonly #shorten: Statement
  readonly #due: Statement
  readonly #next: Statement
  readonly #sending: Statement
  readonly #sent: Statement
  readonly #postpone: Statement
  readonly #close: Statement
  readonly #counts: Statement
  readonly #underWay: Statement
  readonly #troubles: Statement
  readonly #tellable: Statement
  readonly #told: Statement
  readonly #openFiles: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO outbox (jid, text, key, turn_id, file_path, file_name, mime_type, due_at, created_at)
      VALUES (:jid, :text, :key, :turnId, :path, :name, :mimeType, :at, :at) ON CONFLICT (key) DO NOTHING`)
    this.#addPart = db.prepare(`
      INSERT INTO outbox (jid, text, key, turn_id, head, due_at, created_at)
      SELECT jid, :text, :key, turn_id, seq, due_at, created_at FROM outbox WHERE seq = :head`)
    this.#shorten = db.prepare('UPDATE outbox SET text = :text WHERE seq = :seq')
    const first = `FROM outbox AS o WHERE state = 'pending' AND NOT EXISTS (
        SELECT 1 FROM outbox e WHERE e.jid = o.jid AND e.state IN ('pending', 'sending')
          AND (coalesce(e.head, e.seq), e.seq) < (coalesce(o.head, o.seq), o.seq))`
    this.#due = db.prepare(`SELECT ${COLUMNS} ${first} AND due_at <= ? ORDER BY coalesce(head, seq), seq`)
    this.#next = db.prepare("SELECT min(due_at) FROM outbox WHERE state = 'pending' AND due_at > ?").pluck()
    this.#sending = db.prepare("UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE seq = ?")
    this.#sent = db.prepare(
      "UPDATE outbox SET state = 'sent', platform_id = :platformId, sent_at = :at, error = NULL WHERE seq = :seq",
    )
    this.#postpone = db.prepare(
      "UPDATE outbox SET state = 'pending', due_at = :until, unsure = :unsure, error = :why WHERE seq = :seq",
    )
    this.#close = db.prepare(
      'UPDATE outbox SET state = :state, platform_id = :platformId, closed_at = :at, error = :why WHERE seq = :seq',
    )
    this.#counts = db.prepare('SELECT state, count(*) AS n FROM outbox WHERE closed_at IS NULL OR closed_at >= ? GROUP BY state')
    this.#underWay = db.prepare(`SELECT ${COLUMNS} FROM outbox WHERE state = 'sending' ORDER BY seq`)
    this.#troubles = db.prepare(
      `SELECT ${UNDELIVERED} FROM outbox WHERE state IN ('failed', 'uncertain') AND closed_at >= ? ORDER BY closed_at DESC LIMIT ?`,
    )
    const untold = "jid = ? AND state = 'failed' AND turn_id IS NOT NULL AND (told_in IS NULL OR told_in = ?)"
    this.#tellable = db.prepare(`SELECT ${UNDELIVERED} FROM outbox WHERE ${untold} ORDER BY seq LIMIT 10`)
    this.#openFiles = db
      .prepare("SELECT file_path FROM outbox WHERE file_path IS NOT NULL AND state IN ('pending', 'sending')")
      .pluck()
    this.#told = db.prepare(`UPDATE outbox SET told_in = ? WHERE ${untold}`)
  }

  /** A key that is there already changes nothing. */
  add({ file, ...delivery }: Addition): void {
    this.#add.run({ ...delivery, path: file?.path ?? null, name: file?.name ?? null, mimeType: file?.mimeType ?? null })
  }

  /** A row that is too long becomes several, in its place. Belongs in a transaction. */
  split({ seq, key }: Delivery, [first = '', ...others]: readonly string[]): void {
    this.#shorten.run({ seq, text: first })
    for (const [n, text] of others.entries()) this.#addPart.run({ head: seq, text, key: `${key}/${n + 2}` })
  }

  /** The next delivery of each chat that is due, oldest first: a chat's later answers wait for its earlier ones. */
  due(now: number): Delivery[] {
    return this.#due.all(now).map(toDelivery)
  }

  /** When the next delivery after `now` falls due; undefined when none does. */
  nextDueAfter(now: number): number | undefined {
    return (this.#next.get(now) as number | null) ?? undefined
  }

  /** Committed before the platform is called, so that a crash in between is known to have an unknown outcome. */
  markSending(seq: number): void {
    this.#sending.run(seq)
  }

  markSent(sent: { seq: number; platformId: string | null; at: number }): void {
    this.#sent.run(sent)
  }

  postpone({ unsure, ...later }: { seq: number; until: number; unsure: boolean; why: string }): void {
    this.#postpone.run({ ...later, unsure: unsure ? 1 : 0 })
  }

  /** It will not be tried again: refused for good, or its outcome cannot be known. */
  close(end: { seq: number; state: 'failed' | 'uncertain'; at: number; platformId: string | null; why: string }): void {
    this.#close.run(end)
  }

  /** At start: sends that were under way when the host went away may have arrived. */
  underWay(): Delivery[] {
    return this.#underWay.all().map(toDelivery)
  }

  /** Failed and uncertain ones only since a moment. */
  counts(closedSince = 0): { pending: number; failed: number; uncertain: number } {
    const byState = new Map((this.#counts.all(closedSince) as { state: string; n: number }[]).map(({ state, n }) => [state, n]))
    const open = (byState.get('pending') ?? 0) + (byState.get('sending') ?? 0)
    return { pending: open, failed: byState.get('failed') ?? 0, uncertain: byState.get('uncertain') ?? 0 }
  }

  /** The newest ones that were closed undelivered, or nobody knows, since a moment. */
  troublesSince(since: number, limit: number): Undelivered[] {
    return this.#troubles.all(since, limit).map((found) => undelivered.parse(found))
  }

  /** The files that are still to be sent. */
  openFiles(): string[] {
    return this.#openFiles.all() as string[]
  }

  /** What a chat did not get of its agent's words; each is told to the agent in one turn, however often that is tried. */
  tellIn(turnId: TurnId, jid: string): Undelivered[] {
    const found = this.#tellable.all(jid, turnId).map((one) => undelivered.parse(one))
    if (found.length > 0) this.#told.run(turnId, jid, turnId)
    return found
  }
}

type Addition = { jid: string; text: string; file?: DeliveryFile | undefined; key: string; turnId: TurnId | null; at: number }

function toDelivery(raw: unknown): Delivery {
  const { turn_id, unsure, file_path: path, file_name: name, mime_type: mimeType, ...delivery } = row.parse(raw)
  const file = path === null ? undefined : { path, name: name ?? 'file', mimeType: mimeType ?? 'application/octet-stream' }
  return { ...delivery, file, unsure: unsure === 1, turnId: turn_id as TurnId | null }
}
