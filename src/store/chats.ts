import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'

const chatRow = z.object({ jid: z.string(), name: z.string().nullable(), lastMessageAt: z.int().nullable() })
const cursorRow = z.object({ answeredSeq: z.int(), parkedSeq: z.int(), passedSeq: z.int() })

/** Chats and how far each is answered. Of unregistered chats, only what stands here is kept. */
export class Chats {
  readonly #see: Statement
  readonly #all: Statement
  readonly #cursors: Statement
  readonly #answer: Statement
  readonly #park: Statement
  readonly #unpark: Statement
  readonly #unparkAll: Statement

  constructor(db: Database) {
    this.#see = db.prepare(`
      INSERT INTO chats (jid, name, is_group, last_message_at) VALUES (:jid, :name, :isGroup, :at)
      ON CONFLICT (jid) DO UPDATE SET name = coalesce(excluded.name, name), last_message_at = coalesce(excluded.last_message_at, last_message_at)`)
    this.#all = db.prepare('SELECT jid, name, last_message_at AS lastMessageAt FROM chats ORDER BY jid')
    const passed = 'SELECT max(passed_through) FROM turns WHERE chat_jid = chats.jid AND passed_through IS NOT NULL'
    this.#cursors = db.prepare(
      `SELECT answered_seq AS answeredSeq, parked_seq AS parkedSeq, coalesce((${passed}), 0) AS passedSeq FROM chats WHERE jid = ?`,
    )
    this.#answer = db.prepare('UPDATE chats SET answered_seq = max(answered_seq, ?) WHERE jid = ?')
    this.#park = db.prepare('UPDATE chats SET parked_seq = max(parked_seq, ?) WHERE jid = ?')
    this.#unpark = db.prepare('UPDATE chats SET parked_seq = 0 WHERE jid = ? AND parked_seq > 0')
    this.#unparkAll = db.prepare('UPDATE chats SET parked_seq = 0 WHERE parked_seq > 0')
  }

  /** Notes that a chat exists, and its newest name and moment where they are known. */
  see({ jid, name, isGroup = false, at }: { jid: string; name?: string; isGroup?: boolean; at?: number }): void {
    this.#see.run({ jid, name: name ?? null, isGroup: isGroup ? 1 : 0, at: at ?? null })
  }

  /** Every chat that was ever seen. */
  all(): { jid: string; name: string | null; lastMessageAt: number | null }[] {
    return this.#all.all().map((row) => chatRow.parse(row))
  }

  /**
   * How far a chat is answered, up to where its messages wait for something to change, and up to where turns have taken what
   * they do not show.
   */
  cursors(jid: string): z.infer<typeof cursorRow> {
    return cursorRow.parse(this.#cursors.get(jid) ?? { answeredSeq: 0, parkedSeq: 0, passedSeq: 0 })
  }

  /** Moves the cursor; it never goes back. */
  markAnswered(jid: string, seq: number): void {
    this.#answer.run(seq, jid)
  }

  /** The chat waits, with its messages up to `seq`, until a newer one comes or it is unparked. */
  park(jid: string, seq: number): void {
    this.#park.run(seq, jid)
  }

  unpark(jid: string): void {
    this.#unpark.run(jid)
  }

  unparkAll(): void {
    this.#unparkAll.run()
  }
}
