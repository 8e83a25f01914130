import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { LeftOut } from '../domain/message.ts'
import { type FailureClass, isObstacle, OBSTACLES, type Obstacle, type Turn, type TurnId } from '../domain/turn.ts'

/** Where a turn is worked on: in the conversation of its group, or beside it. */
export type TurnLane = 'chat' | 'isolated'
/** A turn with the chat and group it belongs to; `runId` where it is a run of a task. */
export type StoredTurn = { turn: Turn; folder: string; jid: string; lane: TurnLane; runId: number | null; error: string | null }
export type TurnUsage = { inputTokens: number; outputTokens: number; costUsd: number }

const row = z.object({
  id: z.int(),
  group_folder: z.string(),
  chat_jid: z.string(),
  lane: z.enum(['chat', 'isolated']),
  task_run_id: z.int().nullable(),
  state: z.enum(['pending', 'running', 'done', 'stopped', 'failed']),
  tries: z.int(),
  failures: z.int(),
  told: z.int(),
  not_before: z.int().nullable(),
  started_at: z.int().nullable(),
  ended_at: z.int().nullable(),
  reason: z.string().nullable(),
  error: z.string().nullable(),
})
const COLUMNS = Object.keys(row.shape).join(', ')
const trouble = z.object({
  jid: z.string(),
  folder: z.string(),
  state: z.enum(['failed', 'pending']),
  waitsFor: z.enum(OBSTACLES).nullable(),
  at: z.int(),
  why: z.string(),
})
/** A turn that failed for good, or that waits after a failure: for its next try, or for what a person must put right. */
export type TurnTrouble = z.infer<typeof trouble>

const PRUNED_AT_ONCE = 1_000
const page = z.object({ through: z.int().nullable(), oldest: z.int().nullable() })

/** Pieces of agent work and how far each got. */
export class Turns {
  readonly #add: Statement
  readonly #save: Statement
  readonly #fail: Statement
  readonly #use: Statement
  readonly #find: Statement
  readonly #running: Statement
  readonly #addTask: Statement
  readonly #openOfChat: Statement
  readonly #dueTask: Statement
  readonly #laterTask: Statement
  readonly #hasOpen: Statement
  readonly #lastFailure: Statement
  readonly #noteAnswer: Statement
  readonly #drop: Statement
  readonly #join: Statement
  readonly #notePassed: Statement
  readonly #siblings: Statement
  readonly #withAnswer: Statement
  readonly #merge: Statement
  readonly #change: Statement
  readonly #stale: Statement
  readonly #failures: Statement
  readonly #waiting: Statement
  readonly #hasten: Statement
  readonly #counts: Statement
  readonly #pageEnd: Statement
  readonly #prune: Statement
  /** Turns up to here were looked at for pruning, in this round. */
  #prunedThrough = 0

  constructor(db: Database) {
    this.#add = db.prepare(
      `INSERT INTO turns (group_folder, chat_jid, state, not_before, created_at) VALUES (:folder, :jid, 'pending', :at, :at)`,
    )
    this.#addTask = db.prepare(`
      INSERT INTO turns (group_folder, chat_jid, lane, task_run_id, state, not_before, created_at)
      VALUES (:folder, :jid, :lane, :runId, 'pending', :at, :at)`)
    this.#save = db.prepare(`
      UPDATE turns SET state = :state, tries = coalesce(:tries, tries), failures = coalesce(:failures, failures), told = coalesce(:told, told),
        not_before = :notBefore, started_at = coalesce(:startedAt, started_at), ended_at = :endedAt, reason = :reason WHERE id = :id`)
    this.#fail = db.prepare('UPDATE turns SET error = ? WHERE id = ?')
    this.#use = db.prepare(
      'UPDATE turns SET input_tokens = :inputTokens, output_tokens = :outputTokens, cost_usd = :costUsd WHERE id = :id',
    )
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM turns WHERE id = ?`)
    // In these words the indexes of open turns are used, which stay small.
    const open = "state IN ('pending', 'running')"
    this.#running = db.prepare(`SELECT ${COLUMNS} FROM turns WHERE ${open} AND state = 'running' ORDER BY +id`)
    this.#openOfChat = db.prepare(
      `SELECT ${COLUMNS} FROM turns WHERE chat_jid = ? AND ${open} AND task_run_id IS NULL ORDER BY id`,
    )
    const waiting = `group_folder = :folder AND lane = :lane AND ${open} AND state = 'pending' AND task_run_id IS NOT NULL`
    this.#dueTask = db.prepare(`SELECT ${COLUMNS} FROM turns WHERE ${waiting} AND not_before <= :now ORDER BY id LIMIT 1`)
    this.#laterTask = db.prepare(`SELECT ${COLUMNS} FROM turns WHERE ${waiting} ORDER BY not_before, id LIMIT 1`)
    this.#hasOpen = db
      .prepare(`SELECT EXISTS (SELECT 1 FROM turns WHERE chat_jid = ? AND ${open} AND (state = 'running' OR reason IS NULL))`)
      .pluck()
    this.#lastFailure = db
      .prepare('SELECT error FROM turns WHERE chat_jid = ? AND reason IS NOT NULL ORDER BY id DESC LIMIT 1')
      .pluck()
    this.#drop = db.prepare(
      `UPDATE turns SET state = 'stopped', reason = NULL, ended_at = :at WHERE chat_jid = :jid AND ${open} AND state = 'pending'`,
    )
    this.#join = db.prepare('UPDATE turns SET joined = (SELECT coalesce(joined, id) FROM turns WHERE id = :head) WHERE id = :id')
    this.#notePassed = db.prepare('UPDATE turns SET passed_from = :from, passed_through = :through WHERE id = :id')
    this.#siblings = db
      .prepare(`
        WITH root (id) AS (SELECT coalesce(joined, id) FROM turns WHERE id = :id)
        SELECT id FROM turns JOIN root USING (id) WHERE id <> :id
        UNION SELECT t.id FROM turns t JOIN root ON t.joined = root.id WHERE t.id <> :id`)
      .pluck()
    this.#noteAnswer = db.prepare('UPDATE turns SET answer_id = ? WHERE id = ?')
    this.#withAnswer = db.prepare('SELECT id FROM turns WHERE chat_jid = ? AND answer_id = ?').pluck()
    this.#merge = db.prepare('UPDATE turns SET merged_into = ? WHERE id = ?')
    this.#change = db.prepare("UPDATE turns SET stale_tries = tries WHERE id = ? AND state IN ('pending', 'running')")
    this.#stale = db.prepare('SELECT stale_tries FROM turns WHERE id = ?').pluck()
    // A run of a task is its task's trouble.
    const troubled =
      'chat_jid AS jid, group_folder AS folder, state, coalesce(error, reason) AS why FROM turns WHERE task_run_id IS NULL'
    this.#failures = db.prepare(`
      SELECT ended_at AS at, NULL AS waitsFor, ${troubled} AND state = 'failed' AND ended_at >= ? ORDER BY ended_at DESC, id DESC LIMIT ?`)
    this.#waiting = db.prepare(`
      SELECT started_at AS at, reason AS waitsFor, ${troubled} AND state IN ('pending', 'running') AND state = 'pending' AND error IS NOT NULL
      ORDER BY +id DESC LIMIT ?`)
    this.#counts = db.prepare(`
      SELECT state, count(*) AS n FROM turns WHERE state IN ('pending', 'running') GROUP BY state
      UNION ALL SELECT 'failed', count(*) FROM turns WHERE state = 'failed' AND ended_at >= ?`)
    this.#hasten = db.prepare(
      `UPDATE turns SET not_before = :at WHERE ${open} AND state = 'pending' AND not_before > :at AND error LIKE :reason || ':%'
        AND (:folder IS NULL OR group_folder = :folder)`,
    )
    this.#pageEnd = db.prepare(`
      SELECT max(id) AS through, min(created_at) AS oldest
      FROM (SELECT id, created_at FROM turns WHERE id > ? ORDER BY id LIMIT ${PRUNED_AT_ONCE})`)
    const unless = (table: string, column: string) => `AND NOT EXISTS (SELECT 1 FROM ${table} AS o WHERE o.${column} = t.id)`
    this.#prune = db.prepare(`
      DELETE FROM turns WHERE id IN (
        SELECT id FROM turns AS t WHERE id > :after AND id <= :through AND ended_at < :before AND passed_through IS NULL
          AND state IN ('done', 'stopped', 'failed') ${unless('messages', 'turn_id')} ${unless('outbox', 'turn_id')}
          ${unless('outbox', 'told_in')} ${unless('turns', 'merged_into')} ${unless('turns', 'joined')})`)
  }

  /** A new turn, due at once. */
  add({ folder, jid, at }: { folder: string; jid: string; at: number }): TurnId {
    return Number(this.#add.run({ folder, jid, at }).lastInsertRowid) as TurnId
  }

  /** A new turn for a run of a task, due at once. */
  addTask(task: { folder: string; jid: string; lane: TurnLane; runId: number; at: number }): TurnId {
    return Number(this.#addTask.run(task).lastInsertRowid) as TurnId
  }

  save(turn: Turn): void {
    this.#save.run({
      id: turn.id,
      state: turn.state,
      tries: 'tries' in turn ? turn.tries : null,
      failures: 'failures' in turn ? turn.failures : null,
      told: 'told' in turn ? Number(turn.told) : null,
      notBefore: 'notBefore' in turn ? turn.notBefore : null,
      startedAt: 'startedAt' in turn ? turn.startedAt : null,
      endedAt: 'endedAt' in turn ? turn.endedAt : null,
      reason: 'reason' in turn ? turn.reason : 'waitsFor' in turn ? (turn.waitsFor ?? null) : null,
    })
  }

  /** What the last failure said, for `status` and the log. */
  noteError(id: TurnId, error: string): void {
    this.#fail.run(error, id)
  }

  noteUsage(id: TurnId, usage: TurnUsage): void {
    this.#use.run({ id, ...usage })
  }

  find(id: TurnId): StoredTurn | undefined {
    const found = this.#find.get(id)
    return found === undefined ? undefined : toTurn(found)
  }

  /** At start: the turns whose host went away. */
  running(): StoredTurn[] {
    return this.#running.all().map(toTurn)
  }

  /** The turns made of a chat's messages that are not over, oldest first. */
  openOf(jid: string): StoredTurn[] {
    return this.#openOfChat.all(jid).map(toTurn)
  }

  /** Something is still to be done for this chat, asked there or by a task, and nobody has to put anything right first. */
  hasOpen(jid: string): boolean {
    return this.#hasOpen.get(jid) === 1
  }

  /** The run of a task that a lane takes up next: the oldest that is due, or else the one that is due first. */
  nextTask({ now, ...where }: { folder: string; lane: TurnLane; now: number }): StoredTurn | undefined {
    const found = this.#dueTask.get({ ...where, now }) ?? this.#laterTask.get(where)
    return found === undefined ? undefined : toTurn(found)
  }

  /** What the turn takes up and does not show, by the numbers of its first and last message. */
  notePassed(id: TurnId, { first, last }: Pick<LeftOut, 'first' | 'last'>): void {
    this.#notePassed.run({ id, from: first.seq, through: last.seq })
  }

  /** A follow-up went into the run of an earlier turn. */
  noteJoined(id: TurnId, head: TurnId): void {
    this.#join.run({ id, head })
  }

  /** The turns that were ever in flight together with this one. */
  siblings(id: TurnId): TurnId[] {
    return this.#siblings.all({ id }) as TurnId[]
  }

  /** The chat goes: what it still waited for is not answered any more. */
  drop(jid: string, at: number): void {
    this.#drop.run({ jid, at })
  }

  /** Which answer of a transcript ended this turn. */
  noteAnswer(id: TurnId, answerId: string): void {
    this.#noteAnswer.run(answerId, id)
  }

  /** The turn of a chat that ended with this answer. */
  withAnswer(jid: string, answerId: string): TurnId | undefined {
    return this.#withAnswer.get(jid, answerId) as TurnId | undefined
  }

  /** What is wrong with the chat's newest turn that failed, or that waits for somebody to put something right. */
  lastFailure(jid: string): string | undefined {
    return (this.#lastFailure.get(jid) as string | null | undefined) ?? undefined
  }

  /** The turn ended with the answer of an earlier one. */
  noteMerged(id: TurnId, into: TurnId): void {
    this.#merge.run(into, id)
  }

  /** What a turn is about was changed: its tries so far asked for something else. False when the turn is over. */
  noteChanged(id: TurnId): boolean {
    return this.#change.run(id).changes === 1
  }

  /** The newest try that asked in words that were changed since; 0 when none did. */
  staleTries(id: TurnId): number {
    return this.#stale.get(id) as number
  }

  /** The newest turns that failed for good since a moment, and those that wait after a failure; no runs of tasks. */
  troubles({ since, limit }: { since: number; limit: number }): TurnTrouble[] {
    return [...this.#failures.all(since, limit), ...this.#waiting.all(limit)].map((found) => trouble.parse(found))
  }

  /** What turns wait for may have changed, so they need not wait any longer: those of one group, or of all. */
  hasten({ reason, folder = null, at }: { reason: FailureClass; folder?: string | null; at: number }): void {
    this.#hasten.run({ reason, folder, at })
  }

  /**
   * Removes turns that ended before a moment and that no message, delivery or other turn belongs to: silent runs of tasks, mostly.
   * Each call looks at some of the turns, going on where the last one stopped. An id is never given again. Returns how many went.
   */
  prune(before: number): number {
    const after = this.#prunedThrough
    const { through, oldest } = page.parse(this.#pageEnd.get(after))
    const isEnd = through === null || oldest === null || oldest >= before
    this.#prunedThrough = isEnd ? 0 : through
    return isEnd ? 0 : this.#prune.run({ after, through, before }).changes
  }

  /** Failed ones only since a moment. */
  counts(failedSince = 0): { pending: number; running: number; failed: number } {
    const byState = new Map((this.#counts.all(failedSince) as { state: string; n: number }[]).map(({ state, n }) => [state, n]))
    return { pending: byState.get('pending') ?? 0, running: byState.get('running') ?? 0, failed: byState.get('failed') ?? 0 }
  }
}

function toTurn(raw: unknown): StoredTurn {
  const r = row.parse(raw)
  const { group_folder: folder, chat_jid: jid, lane, task_run_id: runId, error } = r
  return { turn: stateOf(r), folder, jid, lane, runId, error }
}

function stateOf(r: z.infer<typeof row>): Turn {
  const id = r.id as TurnId
  const progress = { tries: r.tries, failures: r.failures, told: r.told === 1 }
  switch (r.state) {
    case 'pending':
      return { state: 'pending', id, ...progress, notBefore: r.not_before ?? 0, ...obstacleOf(r.reason) }
    case 'running':
      return { state: 'running', id, ...progress, startedAt: r.started_at ?? 0 }
    case 'done':
    case 'stopped':
      return { state: r.state, id, endedAt: r.ended_at ?? 0 }
    case 'failed':
      return { state: 'failed', id, reason: (r.reason ?? 'crash') as FailureClass, endedAt: r.ended_at ?? 0 }
  }
}

function obstacleOf(reason: string | null): { waitsFor?: Obstacle } {
  return reason !== null && isObstacle(reason) ? { waitsFor: reason } : {}
}
