import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { IncomingMessage, Message } from '../domain/message.ts'
import type { TurnId } from '../domain/turn.ts'

const COLUMNS = 'seq, chat_jid, id, sender, sender_name, content, timestamp, is_from_me, is_bot_message'
const row = z.object({
  seq: z.int(),
  chat_jid: z.string(),
  id: z.string(),
  sender: z.string(),
  sender_name: z.string(),
  content: z.string(),
  timestamp: z.int(),
  is_from_me: z.int(),
  is_bot_message: z.int(),
})

/** What was said, by people and by the assistant, in the order of storing. */
export class Messages {
  readonly #add: Statement
  readonly #edit: Statement
  readonly #takeBack: Statement
  readonly #byId: Statement
  readonly #find: Statement
  readonly #unanswered: Statement
  readonly #edited: Statement
  readonly #newestSeq: Statement
  readonly #latest: Statement
  readonly #take: Statement
  readonly #ofTurn: Statement
  readonly #turnOf: Statement
  readonly #answerOf: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO messages (chat_jid, id, sender, sender_name, content, timestamp, is_from_me, is_bot_message, turn_id, is_notice)
      VALUES (:jid, :id, :sender, :senderName, :text, :sentAt, :fromMe, :fromAssistant, :turnId, :isNotice)
      ON CONFLICT (chat_jid, id) DO NOTHING`)
    this.#find = db.prepare('SELECT seq FROM messages WHERE chat_jid = ? AND id = ?').pluck()
    const people = 'chat_jid = :jid AND id = :id AND is_bot_message = 0 AND is_deleted = 0'
    this.#edit = db
      .prepare(
        `UPDATE messages SET content = :text, is_edited = 1 WHERE ${people} AND sender = :sender AND content <> :text RETURNING seq`,
      )
      .pluck()
    this.#byId = db.prepare(`SELECT seq, sender, turn_id AS turnId FROM messages WHERE ${people}`)
    this.#takeBack = db.prepare("UPDATE messages SET content = '', is_deleted = 1 WHERE seq = ?")
    const open = 'chat_jid = ? AND seq > ? AND turn_id IS NULL AND is_deleted = 0 AND is_notice = 0'
    this.#unanswered = db.prepare(`SELECT ${COLUMNS} FROM messages WHERE ${open} ORDER BY seq`)
    this.#edited = db.prepare(`SELECT ${COLUMNS} FROM messages WHERE ${open} AND is_edited = 1 ORDER BY seq`)
    this.#newestSeq = db.prepare('SELECT coalesce(max(seq), 0) FROM messages WHERE chat_jid = ?').pluck()
    this.#latest = db.prepare(`
      SELECT * FROM (SELECT ${COLUMNS} FROM messages WHERE chat_jid = ? AND is_deleted = 0 ORDER BY seq DESC LIMIT ?) ORDER BY seq`)
    this.#take = db.prepare('UPDATE messages SET turn_id = ? WHERE seq = ?')
    this.#ofTurn = db.prepare(
      `SELECT ${COLUMNS} FROM messages WHERE turn_id = ? AND is_bot_message = 0 AND is_deleted = 0 ORDER BY seq`,
    )
    this.#turnOf = db.prepare('SELECT turn_id FROM messages WHERE seq = ?').pluck()
    this.#answerOf = db
      .prepare(
        'SELECT content FROM messages WHERE turn_id = (SELECT coalesce(merged_into, id) FROM turns WHERE id = ?) AND is_bot_message = 1 ORDER BY seq',
      )
      .pluck()
  }

  /** Stores what came in; a redelivery is recognised by its platform id and changes nothing. */
  add(message: IncomingMessage): { seq: number; isNew: boolean } {
    const { changes, lastInsertRowid } = this.#insert(message, { fromAssistant: 0, turnId: null, isNotice: 0 })
    if (changes === 1) return { seq: Number(lastInsertRowid), isNew: true }
    return { seq: this.#find.get(message.jid, message.id) as number, isNew: false }
  }

  /** Stores what the assistant says: the answer of a turn, or with null something of no turn, which is context for the next. */
  addAnswer(message: IncomingMessage, turnId: TurnId | null): Message {
    const { lastInsertRowid } = this.#insert(message, { fromAssistant: 1, turnId, isNotice: 0 })
    return { ...message, seq: Number(lastInsertRowid), fromAssistant: true }
  }

  /** Stores what the host itself says in a chat; no agent reads it. The same id again changes nothing. */
  addNotice(message: IncomingMessage): Message {
    this.#insert(message, { fromAssistant: 1, turnId: null, isNotice: 1 })
    return { ...message, seq: this.#find.get(message.jid, message.id) as number, fromAssistant: true }
  }

  #insert(message: IncomingMessage, how: { fromAssistant: 0 | 1; turnId: TurnId | null; isNotice: 0 | 1 }) {
    return this.#add.run({ ...message, ...how, fromMe: message.fromMe ? 1 : 0 })
  }

  /** Its writer changed a message. Returns its number; undefined when it is not there, not theirs, or was so already. */
  edit(change: { jid: string; id: string; sender: string; text: string }): number | undefined {
    return this.#edit.get(change) as number | undefined
  }

  /** What somebody wrote, by the platform's id, unless it was taken back. */
  find(message: { jid: string; id: string }): { seq: number; sender: string; turnId: TurnId | null } | undefined {
    return this.#byId.get(message) as { seq: number; sender: string; turnId: TurnId | null } | undefined
  }

  /** Forgets what a message said. Its row stays, so that it is known if it is delivered again. */
  takeBack(seq: number): void {
    this.#takeBack.run(seq)
  }

  /** Messages of a chat after `seq` that no turn has taken. */
  unanswered(jid: string, seq: number): Message[] {
    return this.#unanswered.all(jid, seq).map(toMessage)
  }

  /** Those of them whose writers changed them. */
  unansweredEdited(jid: string, seq: number): Message[] {
    return this.#edited.all(jid, seq).map(toMessage)
  }

  /** The number of a chat's newest message; 0 when there is none. */
  newestSeq(jid: string): number {
    return this.#newestSeq.get(jid) as number
  }

  /** The newest `limit` messages of a chat, oldest first. */
  latest(jid: string, limit: number): Message[] {
    return this.#latest.all(jid, limit).map(toMessage)
  }

  /** The messages belong to this turn from now on. */
  take(messages: readonly Message[], turnId: TurnId): void {
    for (const { seq } of messages) this.#take.run(turnId, seq)
  }

  /** The messages that a turn answers. */
  ofTurn(turnId: TurnId): Message[] {
    return this.#ofTurn.all(turnId).map(toMessage)
  }

  /** The turn that took a message, if one did. */
  turnOf(seq: number): TurnId | undefined {
    return (this.#turnOf.get(seq) as TurnId | null | undefined) ?? undefined
  }

  /** What a turn said, or the turn whose answer it joined; empty when it chose to say nothing. */
  answersOf(turnId: TurnId): string[] {
    return this.#answerOf.all(turnId) as string[]
  }
}

function toMessage(raw: unknown): Message {
  const m = row.parse(raw)
  return {
    seq: m.seq,
    jid: m.chat_jid,
    id: m.id,
    sender: m.sender,
    senderName: m.sender_name,
    text: m.content,
    sentAt: m.timestamp,
    fromMe: m.is_from_me === 1,
    fromAssistant: m.is_bot_message === 1,
  }
}
