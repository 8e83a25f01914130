import { randomBytes } from 'node:crypto'
import type { TaskDeed } from '@nanoclaw/protocol'
import type { Instant } from '../domain/clock.ts'
import { localTime } from '../domain/prompt.ts'
import type { WrittenSchedule } from '../domain/schedule.ts'
import type { Store } from '../store/store.ts'
import type { Task, TaskRun } from '../store/tasks.ts'
import type { GroupChange } from './group-change.ts'
import { beginRun, homeProblem, nextOf, pauseTask } from './task-run.ts'

export type TaskPatch = {
  prompt?: string | undefined
  /** Null takes it away. */
  script?: string | null | undefined
  schedule?: WrittenSchedule | undefined
  contextMode?: Task['contextMode'] | undefined
  catchUp?: Task['catchUp'] | undefined
}
export type TaskWish = TaskPatch & { folder: string; jid: string; prompt: string; schedule: WrittenSchedule }

/** What became of a change, in words; `field` is the one to correct. */
export type TaskChange = { type: 'done'; task: Task; text: string } | Refusal
type Refusal = { type: 'refused'; why: string; field?: string }

export type TaskPorts = {
  store: Store
  now(): Instant
  newId(): string
  /** A run waits for this group's agent. Called after the commit. */
  wake(folder: string): void
  /** Tasks of this group are not what they were. Called after the commit. */
  changed(folder: string): void
}

const MAX_ACTIVE_TASKS = 100
const LONGEST_TEXT = 20_000

/** What can be changed about tasks, by people and by agents. Who may is the caller's matter. */
export class TaskBook {
  readonly #ports: TaskPorts
  readonly #zone: string

  constructor(ports: TaskPorts, { timeZone }: { timeZone: string }) {
    this.#ports = ports
    this.#zone = timeZone
  }

  find(id: string): Task | undefined {
    return this.#ports.store.tasks.find(id)
  }

  list(folder?: string): Task[] {
    const { tasks } = this.#ports.store
    return folder === undefined ? tasks.all() : tasks.ofGroup(folder)
  }

  /** The newest first; also of a task that is gone. */
  history(id: string, limit: number): TaskRun[] {
    return this.#ports.store.tasks.history(id, limit)
  }

  schedule({ folder, jid, prompt, schedule, script = null, contextMode = 'isolated', catchUp = 'once' }: TaskWish): TaskChange {
    const { store, now, newId } = this.#ports
    return this.#change(() => {
      const task: Task = {
        ...{ id: newId(), folder, jid, prompt, script, schedule, contextMode, catchUp },
        ...{ status: 'active', reason: null, nextRun: null, lastRun: null, lastResult: null, createdAt: now() },
      }
      const problem = this.#problem({ prompt, script }) ?? this.#capProblem(folder)
      if (problem) return problem
      const home = homeProblem(store, task)
      if (home !== undefined) return { type: 'refused', why: `This cannot be scheduled: ${home}.` }
      const planned = this.#planned(task)
      if (planned.type === 'refused') return planned
      store.tasks.add(planned.task)
      return done(planned.task, `Task ${task.id} is scheduled. ${this.#next(planned.task)}`)
    })
  }

  /** With a new schedule, one that is completed, or was paused because it made no sense, is active again. */
  update(id: string, patch: TaskPatch): TaskChange {
    return this.#changeOne(id, (task) => {
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Partial<Task>
      if (Object.keys(given).length === 0) return { type: 'refused', why: `Task ${id} is not changed: no change was named.` }
      const problem = this.#problem(patch)
      if (problem) return problem
      const changed = patch.schedule
        ? this.#rescheduled({ ...task, ...given })
        : { type: 'task' as const, task: { ...task, ...given } }
      if (changed.type === 'refused') return changed
      this.#ports.store.tasks.save(changed.task)
      return done(changed.task, `Task ${id} is changed. ${this.#next(changed.task)}`)
    })
  }

  #rescheduled(task: Task): Planned {
    const { store } = this.#ports
    const planned = this.#planned(task)
    if (planned.type === 'refused' || task.status === 'active') return planned
    const stays = task.status === 'paused' && (task.reason === null || homeProblem(store, task) !== undefined)
    if (stays) return { type: 'task', task: { ...task, nextRun: null } }
    const full = this.#capProblem(task.folder)
    return full ?? planned
  }

  pause(id: string): TaskChange {
    return this.#changeOne(id, (task) => {
      const { store, now } = this.#ports
      if (task.status === 'completed') return this.#completed(task)
      const paused = task.status === 'paused' ? task : pauseTask(store, task, { reason: null, at: now() })
      return done(paused, `Task ${id} is paused; it does not run on its own until it is resumed.`)
    })
  }

  /** Moments that passed meanwhile are not made up for. */
  resume(id: string): TaskChange {
    return this.#changeOne(id, (task) => {
      const { store } = this.#ports
      if (task.status === 'active') return done(task, `Task ${id} is active already. ${this.#next(task)}`)
      if (task.status === 'completed') return this.#completed(task)
      const home = homeProblem(store, task)
      if (home !== undefined) return { type: 'refused', why: `Task ${id} stays paused: ${home}. It can be cancelled.` }
      const full = this.#capProblem(task.folder)
      if (full) return full
      const next = nextOf(store, { task, after: this.#ports.now(), zone: this.#zone })
      if (next.type === 'problem') return { type: 'refused', why: `Task ${id} stays paused: ${next.why}.`, field: next.field }
      const resumed: Task = { ...task, status: 'active', reason: null, nextRun: next.at }
      store.tasks.save(resumed)
      return done(resumed, `Task ${id} is active again. ${this.#next(resumed)}`)
    })
  }

  /** The record of its runs stays. */
  cancel(id: string): TaskChange {
    return this.#changeOne(id, (task) => {
      const { tasks } = this.#ports.store
      const runs = tasks.isRunning(id) ? ' A run that has begun goes on to its end.' : ''
      tasks.remove(id)
      return done({ ...task, nextRun: null }, `Task ${id} is cancelled and does not run any more.${runs}`)
    })
  }

  /** One run besides the schedule, also of a task that is paused or completed. */
  runNow(id: string): TaskChange {
    const { store, now, wake } = this.#ports
    const change = this.#changeOne(id, (task) => {
      const why = store.tasks.isRunning(id) ? 'its last run is not over yet; ask again when it is' : homeProblem(store, task)
      if (why !== undefined) return { type: 'refused', why: `Task ${id} does not run now: ${why}.` }
      beginRun(store, { task, at: now(), dueAt: null, note: 'somebody asked for it' })
      return done(task, `Task ${id} runs now, besides its schedule. ${this.#next(task)}`)
    })
    if (change.type === 'done') store.afterCommit('Waking the group', () => wake(change.task.folder))
    return change
  }

  #changeOne(id: string, decide: (task: Task) => TaskChange): TaskChange {
    return this.#change(() => {
      const task = this.find(id)
      return task ? decide(task) : { type: 'refused', why: `There is no task "${id.slice(0, 100)}".`, field: 'task_id' }
    })
  }

  #change(decide: () => TaskChange): TaskChange {
    const { store, changed } = this.#ports
    const change = store.tx(decide)
    if (change.type === 'done') store.afterCommit('Telling of changed tasks', () => changed(change.task.folder))
    return change
  }

  /** The task, active, with the first moment of its schedule. */
  #planned(task: Task): Planned {
    const { store, now } = this.#ports
    // A new beat begins now, whatever the old one was.
    const fresh: Task = { ...task, status: 'active', reason: null, nextRun: now() }
    const next = nextOf(store, { task: fresh, after: now(), zone: this.#zone })
    if (next.type === 'problem') return { type: 'refused', why: `This cannot be scheduled: ${next.why}.`, field: next.field }
    return { type: 'task', task: { ...fresh, nextRun: next.at } }
  }

  #problem({ prompt, script }: TaskPatch): Refusal | undefined {
    const refuse = (field: string, why: string): Refusal => ({ type: 'refused', why: `This cannot be scheduled: ${why}.`, field })
    if (prompt?.trim() === '') return refuse('prompt', 'the prompt is empty; it says what is to be done when the time comes')
    if ((prompt?.length ?? 0) > LONGEST_TEXT) return refuse('prompt', `the prompt has more than ${LONGEST_TEXT} characters`)
    if ((script?.length ?? 0) > LONGEST_TEXT) return refuse('script', `the script has more than ${LONGEST_TEXT} characters`)
    return undefined
  }

  #capProblem(folder: string): Refusal | undefined {
    if (this.#ports.store.tasks.countActive(folder) < MAX_ACTIVE_TASKS) return undefined
    const why = `The group "${folder}" has ${MAX_ACTIVE_TASKS} active tasks, which is the most it may have. Cancel or pause one first.`
    return { type: 'refused', why }
  }

  #completed({ id }: Task): Refusal {
    return { type: 'refused', why: `Task ${id} is completed. Give it a new time to have it run again, or run it now.` }
  }

  #next({ status, nextRun }: Task): string {
    if (nextRun !== null) return `Next run: ${localTime(nextRun, this.#zone)} (${this.#zone}).`
    return status === 'paused' ? 'It is paused.' : 'It has no further run.'
  }
}

type Planned = { type: 'task'; task: Task } | Refusal

function done(task: Task, text: string): TaskChange {
  return { type: 'done', task, text }
}

export function newTaskId(): string {
  return `task-${randomBytes(6).toString('hex')}`
}

/** The owner's deeds. */
export function changeTask(book: TaskBook, { id, deed }: { id: string; deed: TaskDeed }): GroupChange {
  const deeds = { pause: book.pause, resume: book.resume, cancel: book.cancel, run: book.runNow }
  const change = deeds[deed].call(book, id)
  return change.type === 'done' ? { type: 'done', text: change.text, notes: [] } : { type: 'refused', why: change.why }
}
