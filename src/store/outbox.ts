import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { RunningTurn, TurnId } from '../domain/turn.ts'

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
  /** The host's own words, and not an agent's. */
  byHost: boolean
  /** The row whose part this is; its own `seq` where it is no part, or the first. */
  first: number
}

/** What a chat did not get, or perhaps did; `text` is the beginning of it, or the file's name. */
export type Undelivered = { jid: string; text: string; state: 'failed' | 'uncertain'; why: string; at: number }
/** A send that needs somebody, or is tried again; `at` is since when. */
export type SendTrouble = { jid: string; state: 'pending' | 'failed' | 'uncertain'; why: string; at: number }

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
  by_host: z.int(),
  head: z.int().nullable(),
})
const COLUMNS = Object.keys(row.shape).join(', ')
const undelivered = z.object({
  jid: z.string(),
  text: z.string(),
  state: z.enum(['failed', 'uncertain']),
  why: z.string(),
  at: z.int(),
})
const trouble = undelivered.omit({ text: true }).extend({ state: z.enum(['pending', 'failed', 'uncertain']) })

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
  readonly #retried: Statement
  readonly #tell: Statement
  readonly #toldIn: Statement
  readonly #openFiles: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO outbox (jid, text, key, turn_id, by_host, file_path, file_name, mime_type, due_at, created_at)
      VALUES (:jid, :text, :key, :turnId, :byHost, :path, :name, :mimeType, :at, :at) ON CONFLICT (key) DO NOTHING`)
    this.#addPart = db.prepare(`
      INSERT INTO outbox (jid, text, key, turn_id, by_host, head, due_at, created_at)
      SELECT jid, :text, :key, turn_id, by_host, seq, due_at, created_at FROM outbox WHERE seq = :head`)
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
    this.#counts = db.prepare(`
      SELECT state, count(*) AS n FROM outbox WHERE state IN ('pending', 'sending') GROUP BY state
      UNION ALL SELECT state, count(*) FROM outbox WHERE state IN ('failed', 'uncertain') AND closed_at >= ? GROUP BY state`)
    // In these words the index of what is open is used, which stays small.
    const open = "state IN ('pending', 'sending')"
    this.#underWay = db.prepare(`SELECT ${COLUMNS} FROM outbox WHERE ${open} AND state = 'sending' ORDER BY +seq`)
    const why = "coalesce(error, '') AS why"
    this.#troubles = db.prepare(`
      SELECT jid, state, ${why}, closed_at AS at FROM outbox WHERE state IN ('failed', 'uncertain') AND closed_at >= ?
      ORDER BY closed_at DESC, seq DESC LIMIT ?`)
    this.#retried = db.prepare(`
      SELECT jid, 'pending' AS state, ${why}, created_at AS at FROM outbox
      WHERE ${open} AND error IS NOT NULL ORDER BY +seq DESC LIMIT ?`)
    const lost = "state IN ('failed', 'uncertain') AND by_host = 0"
    this.#tell = db.prepare(`
      UPDATE outbox SET told_in = :id WHERE jid = :jid AND ${lost} AND told_in IS NULL
        AND created_at >= (SELECT added_at FROM registered_groups WHERE jid = :jid)`)
    this.#toldIn = db.prepare(`
      SELECT jid, substr(coalesce('[File: ' || file_name || '] ', '') || text, 1, ${EXCERPT}) AS text, state, ${why}, closed_at AS at
      FROM outbox WHERE told_in = ? ORDER BY seq`)
    this.#openFiles = db
      .prepare("SELECT file_path FROM outbox WHERE file_path IS NOT NULL AND state IN ('pending', 'sending')")
      .pluck()
    // Parts go before the row they stand with. What is said of a turn that is open is known by its key, and not said again.
    this.#prune = db.prepare(`
      DELETE FROM outbox WHERE seq IN (
        SELECT seq FROM outbox AS o WHERE state = 'sent' AND sent_at < ?
          AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.head = o.seq)
          AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.id = o.turn_id AND t.state IN ('pending', 'running'))
        ORDER BY sent_at LIMIT ${PRUNED_AT_ONCE})`)
  }

  /** A key that is there already changes nothing. */
  add({ file, byHost = false, ...delivery }: Addition): void {
    this.#add.run({
      ...delivery,
      byHost: byHost ? 1 : 0,
      path: file?.path ?? null,
      name: file?.name ?? null,
      mimeType: file?.mimeType ?? null,
    })
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

  /** The newest sends that were closed undelivered since a moment, or nobody knows; then those that are tried again. */
  troubles({ since, limit }: { since: number; limit: number }): SendTrouble[] {
    return [...this.#troubles.all(since, limit), ...this.#retried.all(limit)].map((found) => trouble.parse(found))
  }

  /** The files that are still to be sent. */
  openFiles(): string[] {
    return this.#openFiles.all() as string[]
  }

  /** Removes what was sent before a moment, some at a time; what was said stays among the messages. Returns how many went. */
  prune(before: number): number {
    return this.#prune.run(before).changes
  }

  /**
   * What a chat did not get of what agents said there since it is registered. The first try of a turn takes along what no
   * agent was told before; further tries are told the same.
   */
  tellIn({ id, tries }: RunningTurn, jid: string): Undelivered[] {
    if (tries === 1) this.#tell.run({ id, jid })
    return this.#toldIn.all(id).map((one) => undelivered.parse(one))
  }
}

type Addition = {
  jid: string
  text: string
  file?: DeliveryFile | undefined
  key: string
  turnId: TurnId | null
  byHost?: boolean
  at: number
}

const PRUNED_AT_ONCE = 1_000

/** So much of a text is enough to know which one it was. */
const EXCERPT = 200

function toDelivery(raw: unknown): Delivery {
  const { turn_id, unsure, by_host, head, file_path: path, file_name: name, mime_type: mimeType, ...delivery } = row.parse(raw)
  const file = path === null ? undefined : { path, name: name ?? 'file', mimeType: mimeType ?? 'application/octet-stream' }
  const { seq } = delivery
  return { ...delivery, file, unsure: unsure === 1, turnId: turn_id as TurnId | null, byHost: by_host === 1, first: head ?? seq }
}
