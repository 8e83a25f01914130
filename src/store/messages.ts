import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import { mayBeAgentCommand } from '../domain/command.ts'
import type { Batch, IncomingMessage, LeftOut, Message } from '../domain/message.ts'
import { MAX_MESSAGES } from '../domain/prompt.ts'
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

/** A part of a chat: messages after `after` and before `before` by their numbers. */
export type Stretch = { jid: string; after: number; before: number }
/** Some messages, and whether these were all that were asked for. */
export type Page = { messages: Message[]; isWhole: boolean }

/** So many messages are read at once at most, and after so many characters no more. */
const PAGE_MESSAGES = 1_000
const PAGE_CHARACTERS = 1_000_000
const PAGE_EDITS = 100
/** What is left out of a prompt is counted up to here. */
const MOST_COUNTED = 100_000

/** What was said, by people and by the assistant, in the order of storing. No method reads more than a page. */
export class Messages {
  readonly #add: Statement
  readonly #edit: Statement
  readonly #takeBack: Statement
  readonly #byId: Statement
  readonly #find: Statement
  readonly #open: Statement
  readonly #openAfter: Statement
  readonly #openBefore: Statement
  readonly #firstOpen: Statement
  readonly #lastOpen: Statement
  readonly #countOpen: Statement
  readonly #commands: Statement
  readonly #edits: Statement
  readonly #newestEdit: Statement
  readonly #newestSeq: Statement
  readonly #latest: Statement
  readonly #take: Statement
  readonly #ofTurn: Statement
  readonly #firstOfTurn: Statement
  readonly #countOfTurn: Statement
  readonly #turnOf: Statement
  readonly #answerOf: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO messages (chat_jid, id, sender, sender_name, content, timestamp, is_from_me, is_bot_message, turn_id, is_notice, may_command)
      VALUES (:jid, :id, :sender, :senderName, :text, :sentAt, :fromMe, :fromAssistant, :turnId, :isNotice, :mayCommand)
      ON CONFLICT (chat_jid, id) DO NOTHING`)
    this.#find = db.prepare('SELECT seq FROM messages WHERE chat_jid = ? AND id = ?').pluck()
    const people = 'chat_jid = :jid AND id = :id AND is_bot_message = 0 AND is_deleted = 0'
    const editNo = 'SELECT coalesce(max(edit_no), 0) FROM messages WHERE chat_jid = :jid AND edit_no IS NOT NULL'
    this.#newestEdit = db.prepare(editNo).pluck()
    this.#edit = db
      .prepare(`
        UPDATE messages SET content = :text, may_command = :mayCommand, is_edited = 1, edit_no = (${editNo}) + 1
        WHERE ${people} AND sender = :sender AND content <> :text RETURNING seq`)
      .pluck()
    // Too many for one prompt belong to their turn by the range of their numbers.
    const passing = `
      SELECT iif(passed_from <= messages.seq AND is_notice = 0, turns.id, NULL) FROM turns
      WHERE turns.chat_jid = messages.chat_jid AND passed_through >= messages.seq ORDER BY passed_through LIMIT 1`
    this.#byId = db.prepare(`SELECT seq, sender, coalesce(turn_id, (${passing})) AS turnId FROM messages WHERE ${people}`)
    this.#turnOf = db.prepare(`SELECT coalesce(turn_id, (${passing})) FROM messages WHERE seq = ?`).pluck()
    this.#takeBack = db.prepare("UPDATE messages SET content = '', is_deleted = 1 WHERE seq = ?")
    const open = 'turn_id IS NULL AND is_deleted = 0 AND is_notice = 0'
    const stretch = `FROM messages WHERE chat_jid = :jid AND seq > :after AND seq < :before AND ${open}`
    this.#open = db.prepare(`SELECT ${COLUMNS} FROM messages WHERE seq = ? AND ${open}`)
    this.#openAfter = db.prepare(`SELECT ${COLUMNS} ${stretch} ORDER BY seq`)
    this.#openBefore = db.prepare(`SELECT ${COLUMNS} ${stretch} ORDER BY seq DESC`)
    this.#firstOpen = db.prepare(`SELECT seq, timestamp AS sentAt ${stretch} ORDER BY seq LIMIT 1`)
    this.#lastOpen = db.prepare(`SELECT seq, timestamp AS sentAt ${stretch} ORDER BY seq DESC LIMIT 1`)
    this.#countOpen = db.prepare(`SELECT count(*) FROM (SELECT seq ${stretch} LIMIT ${MOST_COUNTED + 1})`).pluck()
    this.#commands = db.prepare(`SELECT ${COLUMNS} ${stretch} AND may_command IS NOT 0 ORDER BY seq`)
    this.#edits = db.prepare(
      `SELECT seq, edit_no AS editNo FROM messages WHERE chat_jid = ? AND edit_no > ? ORDER BY edit_no LIMIT ${PAGE_EDITS}`,
    )
    this.#newestSeq = db.prepare('SELECT coalesce(max(seq), 0) FROM messages WHERE chat_jid = ?').pluck()
    this.#latest = db.prepare(`
      SELECT * FROM (SELECT ${COLUMNS} FROM messages WHERE chat_jid = ? AND is_deleted = 0 ORDER BY seq DESC LIMIT ?) ORDER BY seq`)
    this.#take = db.prepare('UPDATE messages SET turn_id = :turnId WHERE seq IN (SELECT value FROM json_each(:seqs))')
    const ofTurn = (columns: string) => {
      const said = `SELECT ${columns} FROM messages WHERE is_bot_message = 0 AND is_deleted = 0 AND seq < :before`
      const turn = (column: string) => `(SELECT ${column} FROM turns WHERE turns.id = :turnId)`
      const range = `seq >= ${turn('passed_from')} AND seq <= ${turn('passed_through')}`
      return `${said} AND turn_id = :turnId
        UNION ALL ${said} AND turn_id IS NULL AND is_notice = 0 AND chat_jid = ${turn('chat_jid')} AND ${range}`
    }
    this.#ofTurn = db.prepare(`${ofTurn(COLUMNS)} ORDER BY seq DESC`)
    this.#firstOfTurn = db.prepare(`${ofTurn('seq, timestamp AS sentAt')} ORDER BY seq LIMIT 1`)
    this.#countOfTurn = db.prepare(`SELECT count(*) FROM (${ofTurn('seq')} LIMIT ${MOST_COUNTED + 1})`).pluck()
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
    const mayCommand = mayBeAgentCommand(message.text) ? 1 : 0
    return this.#add.run({ ...message, ...how, mayCommand, fromMe: message.fromMe ? 1 : 0 })
  }

  /** Its writer changed a message. Returns its number; undefined when it is not there, not theirs, or was so already. */
  edit(change: { jid: string; id: string; sender: string; text: string }): number | undefined {
    return this.#edit.get({ ...change, mayCommand: mayBeAgentCommand(change.text) ? 1 : 0 }) as number | undefined
  }

  /** What somebody wrote, by the platform's id, unless it was taken back. */
  find(message: { jid: string; id: string }): { seq: number; sender: string; turnId: TurnId | null } | undefined {
    return this.#byId.get(message) as { seq: number; sender: string; turnId: TurnId | null } | undefined
  }

  /** Forgets what a message said. Its row stays, so that it is known if it is delivered again. */
  takeBack(seq: number): void {
    this.#takeBack.run(seq)
  }

  /** The first page of a chat's messages after `seq` that no turn has taken, oldest first. */
  unanswered(jid: string, seq: number): Message[] {
    return read(this.#openAfter.iterate({ jid, after: seq, before: Number.MAX_SAFE_INTEGER }), PAGE_MESSAGES).messages
  }

  /** Messages that no turn has taken, newest first: those of a stretch, or a page of them. */
  newestUnanswered(stretch: Stretch): Page {
    return read(this.#openBefore.iterate(stretch), PAGE_MESSAGES)
  }

  /** Of a stretch, those that may be commands to the agent's own program, oldest first. */
  unansweredCommands(stretch: Stretch): Page {
    return read(this.#commands.iterate(stretch), PAGE_MESSAGES)
  }

  /** This message, if no turn has taken it. */
  findUnanswered(seq: number): Message | undefined {
    const found = this.#open.get(seq)
    return found === undefined ? undefined : toMessage(found)
  }

  /** The number of the newest message after `after` that no turn has taken; 0 when there is none. */
  newestUnansweredSeq(jid: string, after: number): number {
    return this.#endOf(this.#lastOpen, { jid, after, before: Number.MAX_SAFE_INTEGER })?.seq ?? 0
  }

  /** The number of the oldest message after `after` that no turn has taken; 0 when there is none. */
  oldestUnansweredSeq(jid: string, after: number): number {
    return this.#endOf(this.#firstOpen, { jid, after, before: Number.MAX_SAFE_INTEGER })?.seq ?? 0
  }

  /** What no turn has taken of a stretch, for one to take: the newest, as many as a prompt shows. */
  batch(stretch: Stretch): Batch {
    const { messages, isWhole } = read(this.#openBefore.iterate(stretch), MAX_MESSAGES)
    const before = messages.at(-1)?.seq ?? stretch.before
    const leftOut = isWhole ? undefined : this.#leftOutOf({ ...stretch, before })
    return { messages: messages.reverse(), leftOut }
  }

  #leftOutOf(stretch: Stretch): LeftOut | undefined {
    const [first, last] = [this.#endOf(this.#firstOpen, stretch), this.#endOf(this.#lastOpen, stretch)]
    return first && last && { ...counted(this.#countOpen.get(stretch)), first, last }
  }

  #endOf(statement: Statement, which: object): LeftOut['first'] | undefined {
    return statement.get(which) as LeftOut['first'] | undefined
  }

  /** Which messages of a chat were changed after the change `after`: a page of them, in the order of their newest change. */
  edits(jid: string, after: number): { seq: number; editNo: number }[] {
    return this.#edits.all(jid, after).map((raw) => edit.parse(raw))
  }

  /** The number of a chat's newest change; 0 when there is none. */
  newestEdit(jid: string): number {
    return this.#newestEdit.get({ jid }) as number
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
    this.#take.run({ turnId, seqs: JSON.stringify(messages.map(({ seq }) => seq)) })
  }

  /** What people said that a turn answers, and was not taken back: the newest, as many as a prompt shows. */
  ofTurn(turnId: TurnId): Batch {
    const { messages, isWhole } = read(this.#ofTurn.iterate({ turnId, before: Number.MAX_SAFE_INTEGER }), MAX_MESSAGES)
    const before = messages.at(-1)?.seq ?? 0
    return { messages: messages.reverse(), leftOut: isWhole ? undefined : this.#leftOutOfTurn({ turnId, before }) }
  }

  #leftOutOfTurn(which: { turnId: TurnId; before: number }): LeftOut | undefined {
    const first = this.#endOf(this.#firstOfTurn, which)
    for (const raw of this.#ofTurn.iterate(which)) {
      const { seq, sentAt } = toMessage(raw)
      return first && { ...counted(this.#countOfTurn.get(which)), first, last: { seq, sentAt } }
    }
    return undefined
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

const edit = z.object({ seq: z.int(), editNo: z.int() })

/** Messages until there are enough of them, or of their characters. */
function read(rows: Iterable<unknown>, most: number): Page {
  const messages: Message[] = []
  let room = PAGE_CHARACTERS
  for (const raw of rows) {
    if (messages.length === most || room <= 0) return { messages, isWhole: false }
    const message = toMessage(raw)
    messages.push(message)
    room -= message.text.length
  }
  return { messages, isWhole: true }
}

function counted(count: unknown): Pick<LeftOut, 'count' | 'hasMore'> {
  const found = Number(count)
  return { count: Math.min(found, MOST_COUNTED), hasMore: found > MOST_COUNTED }
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
