import type { Instant } from '../domain/clock.ts'
import { nextMoment, parseSchedule, type ScheduleProblem, whyNoMoment } from '../domain/schedule.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'

type Begin = { task: Task; at: Instant; dueAt: Instant | null; note: string | null }

/** A run of a task begins: it is on record, and a turn waits for an agent. Belongs in a transaction. */
export function beginRun(store: Store, { task, at, dueAt, note }: Begin): void {
  const { id, folder, jid, contextMode } = task
  const runId = store.tasks.startRun({ taskId: id, at, dueAt, note })
  store.turns.addTask({ folder, jid, lane: contextMode === 'isolated' ? 'isolated' : 'chat', runId, at })
}

/** Why there is nobody to run a task for, or undefined when there is. */
export function homeProblem(store: Store, { folder, jid }: Pick<Task, 'folder' | 'jid'>): string | undefined {
  if (!store.groups.find(folder)) return `there is no group "${folder}" any more`
  const chat = store.groups.chat(jid)
  if (!chat) return `no group answers in ${jid} any more`
  return chat.folder === folder ? undefined : `${jid} is a chat of the group "${chat.folder}" now`
}

type Plan = { type: 'moment'; at: Instant } | ScheduleProblem

/** The next moment of a task. One that was acted on before the clock was set back does not come again. */
export function nextOf(store: Store, { task, after, zone }: { task: Task; after: Instant; zone: string }): Plan {
  const parsed = parseSchedule(task.schedule, zone)
  if (parsed.type === 'problem') return parsed
  const anchor = task.nextRun ?? task.createdAt
  let at = nextMoment(parsed.schedule, { after, anchor })
  while (at !== undefined && store.tasks.actedOn(task.id, at)) at = nextMoment(parsed.schedule, { after: at, anchor })
  return at === undefined ? whyNoMoment(task.schedule, { now: after, zone }) : { type: 'moment', at }
}

export function pauseTask(store: Store, task: Task, { reason, at }: { reason: string | null; at: Instant }): Task {
  const paused: Task = { ...task, status: 'paused', reason, nextRun: null }
  store.tasks.save(paused)
  store.tasks.notePaused(task.id, at)
  return paused
}
