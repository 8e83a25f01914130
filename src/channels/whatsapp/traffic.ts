import { type BinaryNode, type CacheStore, decodeBinaryNode, encodeBinaryNode, proto } from 'baileys'
import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { Instant } from '../../domain/clock.ts'

/** One decrypted part of a stanza. */
export type Received = { seq: number; stanza: BinaryNode; plaintext: Buffer }

const receivedRow = z.object({ seq: z.int(), stanza: z.instanceof(Buffer), plaintext: z.instanceof(Buffer) })

/**
 * What was decrypted and not yet handed on. Decrypting uses up a key, so what WhatsApp delivers again after a crash could
 * not be read: the plaintext is kept before the used key is gone, and both before WhatsApp is told.
 */
export class Journal {
  readonly #add: Statement
  readonly #all: Statement
  readonly #remove: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO received (sender, id, part, stanza, plaintext) VALUES (:sender, :id, :part, :stanza, :plaintext)
      ON CONFLICT (sender, id, part) DO UPDATE SET plaintext = excluded.plaintext RETURNING seq`)
    this.#all = db.prepare('SELECT seq, stanza, plaintext FROM received ORDER BY seq')
    this.#remove = db.prepare('DELETE FROM received WHERE seq = ?')
  }

  /** `part` is the index of the encrypted part in its stanza. */
  add({ stanza, part, plaintext }: { stanza: BinaryNode; part: number; plaintext: Uint8Array }): Received {
    const { attrs, tag } = stanza
    // The ciphertext is of no use any more, and the larger half.
    const envelope = encodeBinaryNode({ tag, attrs })
    const sender = `${attrs.from} ${attrs.participant ?? ''}`
    const fields = { sender, id: attrs.id, part, stanza: envelope, plaintext: Buffer.from(plaintext) }
    const { seq } = z.object({ seq: z.int() }).parse(this.#add.get(fields))
    return { seq, stanza: { tag, attrs }, plaintext: fields.plaintext }
  }

  /** What a crash or a lost connection left, oldest first. */
  async all(): Promise<Received[]> {
    const rows = this.#all.all().map((row) => receivedRow.parse(row))
    return Promise.all(rows.map(async ({ stanza, ...row }) => ({ ...row, stanza: await decodeBinaryNode(stanza) })))
  }

  remove(seq: number): void {
    this.#remove.run(seq)
  }
}

/** Retry receipts for what is older come from nobody. */
const KEPT_MS = 14 * 86_400_000

/** What we sent, by message id. */
export class SentMessages {
  readonly #begin: Statement
  readonly #accept: Statement
  readonly #find: Statement
  readonly #message: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#begin = db.prepare('INSERT INTO sent (id, jid, at) VALUES (:id, :jid, :at) ON CONFLICT (id) DO NOTHING')
    this.#accept = db.prepare('UPDATE sent SET message = :message, accepted = 1 WHERE id = :id')
    this.#find = db.prepare('SELECT accepted FROM sent WHERE id = ?').pluck()
    this.#message = db.prepare('SELECT message FROM sent WHERE id = ?').pluck()
    this.#prune = db.prepare('DELETE FROM sent WHERE at < ?')
  }

  /** Noted before it goes out, so that it is known as ours whatever happens. */
  begin({ id, jid, at }: { id: string; jid: string; at: Instant }): void {
    this.#prune.run(at - KEPT_MS)
    this.#begin.run({ id, jid, at })
  }

  accept({ id, message }: { id: string; message: proto.IMessage }): void {
    this.#accept.run({ id, message: proto.Message.encode(message).finish() })
  }

  /** `accepted`: WhatsApp has it. `begun`: nobody knows. */
  stateOf(id: string): 'unknown' | 'begun' | 'accepted' {
    const accepted = this.#find.get(id)
    return accepted === undefined ? 'unknown' : accepted === 1 ? 'accepted' : 'begun'
  }

  /** The content of a message of ours. */
  contentOf(id: string): proto.IMessage | undefined {
    const bytes = this.#message.get(id)
    return bytes instanceof Uint8Array ? proto.Message.decode(bytes) : undefined
  }
}

/** How often a message was asked for again, over restarts: or a pair that cannot understand each other would never give up. */
export class RetryCounts implements CacheStore {
  readonly #get: Statement
  readonly #set: Statement
  readonly #del: Statement
  readonly #clear: Statement
  readonly #now: () => Instant

  constructor(db: Database, now: () => Instant) {
    this.#now = now
    this.#get = db.prepare('SELECT count FROM retries WHERE key = ?').pluck()
    this.#set = db.prepare(`
      INSERT INTO retries VALUES (:key, :count, :at) ON CONFLICT (key) DO UPDATE SET count = excluded.count, at = excluded.at`)
    this.#del = db.prepare('DELETE FROM retries WHERE key = :key OR at < :oldest')
    this.#clear = db.prepare('DELETE FROM retries')
  }

  get<T>(key: string): T | undefined {
    const count = this.#get.get(key) as string | undefined
    return count === undefined ? undefined : JSON.parse(count)
  }

  set<T>(key: string, value: T): void {
    this.#set.run({ key, count: JSON.stringify(value), at: this.#now() })
    this.#del.run({ key: null, oldest: this.#now() - KEPT_MS })
  }

  del(key: string): void {
    this.#del.run({ key, oldest: this.#now() - KEPT_MS })
  }

  flushAll(): void {
    this.#clear.run()
  }
}
