import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'

/** What is to be done at its time. Instants are ms since the epoch. */
export type Task = {
  id: string
  folder: string
  jid: string
  prompt: string
  /** Decides in the container whether the agent is asked at all. */
  script: string | null
  /** As a person or an agent wrote it, also when it makes no sense. */
  schedule: { type: string; value: string }
  contextMode: 'group' | 'isolated'
  /** What becomes of moments that passed while the host was down. */
  catchUp: 'once' | 'skip'
  status: 'active' | 'paused' | 'completed'
  /** Why it is paused, when it was not a person who paused it. */
  reason: string | null
  nextRun: number | null
  lastRun: number | null
  lastResult: string | null
  createdAt: number
}

/** One run of a task, or a moment that passed without one; the record outlives the task. */
export type TaskRun = {
  id: number
  taskId: string
  at: number
  /** The moment of the schedule that it stands for; null when somebody asked for it. */
  dueAt: number | null
  durationMs: number | null
  status: 'running' | 'success' | 'error' | 'skipped'
  /** What is special about it: why it was skipped, what it makes up for. */
  note: string | null
  result: string | null
  error: string | null
}

const row = z.object({
  id: z.string(),
  group_folder: z.string(),
  chat_jid: z.string(),
  prompt: z.string(),
  script: z.string().nullable(),
  schedule_type: z.string(),
  schedule_value: z.string(),
  context_mode: z.enum(['group', 'isolated']),
  catch_up: z.enum(['once', 'skip']),
  status: z.enum(['active', 'paused', 'completed']),
  reason: z.string().nullable(),
  next_run: z.int().nullable(),
  last_run: z.int().nullable(),
  last_result: z.string().nullable(),
  created_at: z.int(),
})
const COLUMNS = Object.keys(row.shape)
const CHANGING = COLUMNS.filter((name) => name !== 'id' && name !== 'created_at')

const run = z.object({
  id: z.int(),
  taskId: z.string(),
  at: z.int(),
  dueAt: z.int().nullable(),
  durationMs: z.int().nullable(),
  status: z.enum(['running', 'success', 'error', 'skipped']),
  note: z.string().nullable(),
  result: z.string().nullable(),
  error: z.string().nullable(),
})

const trouble = z.object({ id: z.string(), folder: z.string(), at: z.int(), why: z.string() })
/** A task that was paused by the host, or whose last run failed; `at` is since when. */
export type TaskTrouble = z.infer<typeof trouble>

/** A moment of a task that is acted on at `at`. */
export type TaskMoment = { taskId: string; at: number; dueAt: number | null; note: string | null }

/** `last_result` is only there to be glanced at; the record of the run has the whole. */
const LONGEST_SUMMARY = 200
/** Of a task that seldom runs, also what is old is worth a look. */
const KEPT_RUNS = 1_000
const PRUNED_AT_ONCE = 5_000

/** Tasks and their runs. Calls inside `store.tx` belong to that transaction. */
export class Tasks {
  readonly #all: Statement
  readonly #find: Statement
  readonly #ofGroup: Statement
  readonly #due: Statement
  readonly #nextDue: Statement
  readonly #add: Statement
  readonly #save: Statement
  readonly #remove: Statement
  readonly #active: Statement
  readonly #record: Statement
  readonly #endRun: Statement
  readonly #summarize: Statement
  readonly #taskOfRun: Statement
  readonly #history: Statement
  readonly #runBefore: Statement
  readonly #running: Statement
  readonly #actedOn: Statement
  readonly #noteSession: Statement
  readonly #session: Statement
  readonly #notePaused: Statement
  readonly #paused: Statement
  readonly #failed: Statement
  readonly #prune: Statement

  constructor(db: Database) {
    const task = `SELECT ${COLUMNS.join(', ')} FROM scheduled_tasks`
    this.#all = db.prepare(`${task} ORDER BY created_at, id`)
    this.#find = db.prepare(`${task} WHERE id = ?`)
    this.#ofGroup = db.prepare(`${task} WHERE group_folder = ? ORDER BY created_at, id`)
    this.#due = db.prepare(`${task} WHERE status = 'active' AND (next_run IS NULL OR next_run <= :now)
      ORDER BY next_run, id LIMIT :limit`)
    this.#nextDue = db.prepare("SELECT min(next_run) FROM scheduled_tasks WHERE status = 'active'").pluck()
    this.#add = db.prepare(
      `INSERT INTO scheduled_tasks (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((name) => `:${name}`).join(', ')})`,
    )
    this.#save = db.prepare(
      `UPDATE scheduled_tasks SET ${CHANGING.map((name) => `${name} = :${name}`).join(', ')} WHERE id = :id`,
    )
    this.#remove = db.prepare('DELETE FROM scheduled_tasks WHERE id = ?')
    this.#active = db.prepare("SELECT count(*) FROM scheduled_tasks WHERE group_folder = ? AND status = 'active'").pluck()
    this.#record = db.prepare(
      'INSERT INTO task_run_logs (task_id, run_at, due_at, status, note) VALUES (:taskId, :at, :dueAt, :status, :note)',
    )
    this.#endRun = db.prepare(`
      UPDATE task_run_logs SET status = :status, result = :result, error = :error, duration_ms = max(:at - run_at, 0)
      WHERE id = :runId AND status = 'running' RETURNING task_id AS id, run_at AS at`)
    this.#summarize = db.prepare('UPDATE scheduled_tasks SET last_run = :at, last_result = :summary WHERE id = :id')
    this.#taskOfRun = db.prepare(`${task} WHERE id = (SELECT task_id FROM task_run_logs WHERE id = ?)`)
    this.#history = db.prepare(`
      SELECT id, task_id AS taskId, run_at AS at, due_at AS dueAt, duration_ms AS durationMs, status, note, result, error
      FROM task_run_logs WHERE task_id = ? ORDER BY id DESC LIMIT ?`)
    this.#runBefore = db.prepare(`
      SELECT error FROM task_run_logs WHERE task_id = :id AND id < :runId AND status IN ('success', 'error')
      ORDER BY id DESC LIMIT 1`)
    this.#running = db.prepare("SELECT EXISTS (SELECT 1 FROM task_run_logs WHERE task_id = ? AND status = 'running')").pluck()
    this.#actedOn = db.prepare('SELECT EXISTS (SELECT 1 FROM task_run_logs WHERE task_id = ? AND due_at = ?)').pluck()
    this.#noteSession = db.prepare('UPDATE task_run_logs SET session_id = ? WHERE id = ?')
    this.#notePaused = db.prepare('UPDATE scheduled_tasks SET paused_at = ? WHERE id = ?')
    this.#paused = db.prepare(`
      SELECT id, group_folder AS folder, coalesce(paused_at, last_run, created_at) AS at, 'is paused: ' || reason AS why
      FROM scheduled_tasks WHERE status = 'paused' AND reason IS NOT NULL ORDER BY at DESC, id LIMIT ?`)
    this.#failed = db.prepare(`
      SELECT t.id, t.group_folder AS folder, r.run_at + coalesce(r.duration_ms, 0) AS at, coalesce(r.error, '') AS why
      FROM scheduled_tasks t JOIN task_run_logs r ON r.id = (
        SELECT l.id FROM task_run_logs l WHERE l.task_id = t.id AND l.status IN ('success', 'error') ORDER BY l.id DESC LIMIT 1)
      WHERE t.last_run >= :since AND t.status <> 'paused' AND r.status = 'error' AND r.run_at >= :since
      ORDER BY at DESC, t.id LIMIT :limit`)
    // From task to task, reading of each what is old (`+`: by its time, not by its id). The run of an open turn is running.
    this.#prune = db.prepare(`
      WITH RECURSIVE task (id) AS (
        SELECT min(task_id) FROM task_run_logs
        UNION ALL SELECT (SELECT min(task_id) FROM task_run_logs WHERE task_id > task.id) FROM task WHERE id IS NOT NULL
      ), surplus (task_id, last) AS MATERIALIZED (
        SELECT id, (SELECT id FROM task_run_logs WHERE task_id = task.id ORDER BY id DESC LIMIT 1 OFFSET :newest) FROM task
      )
      DELETE FROM task_run_logs WHERE id IN (
        SELECT r.id FROM surplus s JOIN task_run_logs r ON r.task_id = s.task_id
        WHERE r.run_at < :before AND +r.id <= s.last AND r.status <> 'running' LIMIT :most)`)
    this.#session = db.prepare('SELECT session_id FROM task_run_logs WHERE id = ?').pluck()
  }

  all(): Task[] {
    return this.#all.all().map(toTask)
  }

  find(id: string): Task | undefined {
    const found = this.#find.get(id)
    return found === undefined ? undefined : toTask(found)
  }

  ofGroup(folder: string): Task[] {
    return this.#ofGroup.all(folder).map(toTask)
  }

  /** The active ones whose moment has come, or that have none; the most overdue first. */
  due({ now, limit }: { now: number; limit: number }): Task[] {
    return this.#due.all({ now, limit }).map(toTask)
  }

  countActive(folder: string): number {
    return this.#active.get(folder) as number
  }

  /** When the next task falls due; undefined when none will. */
  nextDue(): number | undefined {
    return (this.#nextDue.get() as number | null) ?? undefined
  }

  add(task: Task): void {
    this.#add.run(toRow(task))
  }

  save(task: Task): void {
    const { created_at: _, ...changed } = toRow(task)
    this.#save.run(changed)
  }

  /** The records of its runs stay. */
  remove(id: string): void {
    this.#remove.run(id)
  }

  /**
   * A run begins; returns its id. Belongs in the transaction that moves `nextRun`. Throws when the moment `dueAt` was acted
   * on before.
   */
  startRun({ taskId, at, dueAt = null, note = null }: Pick<TaskMoment, 'taskId' | 'at'> & Partial<TaskMoment>): number {
    return Number(this.#record.run({ taskId, at, dueAt, note, status: 'running' }).lastInsertRowid)
  }

  /** A moment passes without a run; `note` says why. */
  skipRun(moment: TaskMoment & { note: string }): void {
    this.#record.run({ ...moment, status: 'skipped' })
  }

  /** A run ends once; what is said of it later is ignored. */
  endRun(end: { runId: number; at: number; status: 'success' | 'error'; result: string | null; error: string | null }): void {
    const run = this.#endRun.get(end) as { id: string; at: number } | undefined
    const summary = end.status === 'error' ? `Error: ${end.error}` : end.result
    if (run) this.#summarize.run({ ...run, summary: summary?.slice(0, LONGEST_SUMMARY) ?? null })
  }

  /** When a task was paused; what is paused again later is noted again. */
  notePaused(id: string, at: number): void {
    this.#notePaused.run(at, id)
  }

  /** The tasks the host paused, and those whose last run failed since a moment; the newest of each first. */
  troubles({ since, limit }: { since: number; limit: number }): TaskTrouble[] {
    return [...this.#paused.all(limit), ...this.#failed.all({ since, limit })].map((found) => trouble.parse(found))
  }

  /** The task that a run belongs to, unless it was removed. */
  taskOfRun(runId: number): Task | undefined {
    const found = this.#taskOfRun.get(runId)
    return found === undefined ? undefined : toTask(found)
  }

  isRunning(id: string): boolean {
    return this.#running.get(id) === 1
  }

  /** Was this moment run or skipped already? A clock that is set back shows it a second time. */
  actedOn(id: string, dueAt: number): boolean {
    return this.#actedOn.get(id, dueAt) === 1
  }

  /** The newest `limit` runs, newest first. */
  history(id: string, limit: number): TaskRun[] {
    return this.#history.all(id, limit).map((found) => run.parse(found))
  }

  /** How the run before this one ended; moments that passed without a run are none. */
  runBefore({ id, runId }: { id: string; runId: number }): { error: string | null } | undefined {
    return this.#runBefore.get({ id, runId }) as { error: string | null } | undefined
  }

  /** Removes runs from before a moment, some at a time; of each task the newest stay. Returns how many went. */
  pruneRuns({ before, newest = KEPT_RUNS }: { before: number; newest?: number }): number {
    return this.#prune.run({ before, newest, most: PRUNED_AT_ONCE }).changes
  }

  /** The session of a run beside the group's conversation, so that a second try finds what the first one did. */
  noteSession(runId: number, sessionId: string | null): void {
    this.#noteSession.run(sessionId, runId)
  }

  sessionOfRun(runId: number): string | undefined {
    return (this.#session.get(runId) as string | null | undefined) ?? undefined
  }
}

function toTask(raw: unknown): Task {
  const { group_folder: folder, chat_jid: jid, schedule_type: type, schedule_value: value, ...rest } = row.parse(raw)
  const { context_mode: contextMode, catch_up: catchUp, next_run: nextRun, last_run: lastRun, ...plain } = rest
  const { last_result: lastResult, created_at: createdAt, id, prompt, script, status, reason } = plain
  const what = { id, folder, jid, prompt, script, schedule: { type, value }, contextMode, catchUp }
  return { ...what, status, reason, nextRun, lastRun, lastResult, createdAt }
}

function toRow(task: Task): z.infer<typeof row> {
  const { id, prompt, script, status, reason } = task
  return {
    ...{ id, prompt, script, status, reason },
    group_folder: task.folder,
    chat_jid: task.jid,
    schedule_type: task.schedule.type,
    schedule_value: task.schedule.value,
    context_mode: task.contextMode,
    catch_up: task.catchUp,
    next_run: task.nextRun,
    last_run: task.lastRun,
    last_result: task.lastResult,
    created_at: task.createdAt,
  }
}
