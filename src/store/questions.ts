import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { TurnId } from '../domain/turn.ts'

/** What an agent asked in a chat, and the label that somebody chose. */
export type Question = { id: number; folder: string; jid: string; question: string; options: string[]; answer: string | null }
export type Asking = Omit<Question, 'id' | 'answer'> & { at: number; expiresAt: number }

const row = z.object({
  id: z.int(),
  group_folder: z.string(),
  chat_jid: z.string(),
  question: z.string(),
  options: z.string(),
  answer: z.string().nullable(),
})
const COLUMNS = Object.keys(row.shape).join(', ')

const PRUNED_AT_ONCE = 1_000

/** Questions of agents to people. */
export class Questions {
  readonly #add: Statement
  readonly #open: Statement
  readonly #same: Statement
  readonly #extend: Statement
  readonly #answer: Statement
  readonly #tell: Statement
  readonly #untold: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    this.#add = db.prepare(`
      INSERT INTO questions (group_folder, chat_jid, question, options, asked_at, expires_at)
      VALUES (:folder, :jid, :question, :options, :at, :expiresAt)`)
    // In these words the index of what is open is used.
    const open = '(answer IS NULL OR told = 0)'
    this.#open = db.prepare(`
      SELECT ${COLUMNS} FROM questions WHERE chat_jid = ? AND ${open} AND answer IS NULL AND expires_at > ? ORDER BY id DESC`)
    this.#same = db.prepare(`
      SELECT ${COLUMNS} FROM questions WHERE group_folder = :folder AND chat_jid = :jid AND question = :question AND options = :options
        AND ${open} AND expires_at > :at ORDER BY id DESC LIMIT 1`)
    this.#extend = db.prepare('UPDATE questions SET expires_at = ? WHERE id = ?')
    this.#answer = db.prepare('UPDATE questions SET answer = :answer, answered_at = :at WHERE id = :id')
    this.#tell = db.prepare('UPDATE questions SET told = 1, told_turn = :turn WHERE id = :id')
    const chosen = `SELECT ${COLUMNS} FROM questions WHERE group_folder = :folder AND chat_jid = :jid AND answer IS NOT NULL`
    this.#untold = db.prepare(`${chosen} AND told = 0 UNION ${chosen} AND told_turn = :turn ORDER BY id`)
    this.#prune = db.prepare(`
      DELETE FROM questions WHERE id IN (
        SELECT id FROM questions AS q WHERE (answer IS NULL OR told = 1) AND expires_at < ?
          AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.id = q.told_turn AND t.state IN ('pending', 'running'))
        ORDER BY expires_at LIMIT ${PRUNED_AT_ONCE})`)
  }

  add({ options, ...asking }: Asking): number {
    return Number(this.#add.run({ ...asking, options: JSON.stringify(options) }).lastInsertRowid)
  }

  /** The questions of a chat that nobody answered yet and that are not over, newest first. */
  open(jid: string, now: number): Question[] {
    return this.#open.all(jid, now).map(toQuestion)
  }

  /** The same question, asked before by an agent that never heard an answer: its container went away. */
  unheard({ options, folder, jid, question, at }: Asking): Question | undefined {
    const found = this.#same.get({ folder, jid, question, at, options: JSON.stringify(options) })
    return found === undefined ? undefined : toQuestion(found)
  }

  /** It can be answered until then. */
  extend(id: number, expiresAt: number): void {
    this.#extend.run(expiresAt, id)
  }

  answer(given: { id: number; answer: string; at: number }): void {
    this.#answer.run(given)
  }

  noteTold(id: number): void {
    this.#tell.run({ id, turn: null })
  }

  /** The answers that no agent heard; from now on this turn has them. */
  tellIn({ folder, jid, turn }: { folder: string; jid: string; turn: TurnId }): Question[] {
    const untold = this.#untold.all({ folder, jid, turn }).map(toQuestion)
    for (const { id } of untold) this.#tell.run({ id, turn })
    return untold
  }

  /**
   * Removes questions that were over before a moment, some at a time; not an answer that no agent has heard, or that belongs to
   * an open turn. Returns how many went.
   */
  prune(before: number): number {
    return this.#prune.run(before).changes
  }
}

function toQuestion(raw: unknown): Question {
  const { group_folder: folder, chat_jid: jid, options, ...rest } = row.parse(raw)
  return { ...rest, folder, jid, options: z.array(z.string()).parse(JSON.parse(options)) }
}
