import type { IpcRequest, IpcResult } from '@nanoclaw/protocol'
import { may, type Who } from '../domain/authority.ts'
import type { Instant } from '../domain/clock.ts'
import { localTime } from '../domain/prompt.ts'
import type { Store } from '../store/store.ts'
import { type Asked, chatFor, done, excerpt, fitting, type RequestOf, refused } from './ipc-deeds.ts'

/** A task as an agent sees it. */
export type TaskView = {
  id: string
  folder: string
  jid: string
  prompt: string
  schedule: { type: string; value: string }
  contextMode: 'group' | 'isolated'
  status: string
  reason: string | null
  nextRun: Instant | null
  lastRun: Instant | null
}
export type TaskRunView = {
  at: Instant
  durationMs: number | null
  status: string
  result: string | null
  error: string | null
}
export type TaskChange = { type: 'done'; task: TaskView; text: string } | { type: 'refused'; why: string }

type Fields = {
  prompt: string
  script: string | null
  schedule: { type: string; value: string }
  contextMode: 'group' | 'isolated'
  catchUp: 'once' | 'skip'
}
type Patch = { [K in keyof Fields]?: Fields[K] | undefined }

/** The book of tasks; who may do what in it is decided here. */
export type TaskPort = {
  find(id: string): TaskView | undefined
  list(folder?: string): TaskView[]
  schedule(wish: Pick<Fields, 'prompt' | 'schedule'> & Patch & { folder: string; jid: string }): TaskChange
  update(id: string, patch: Patch): TaskChange
  pause(id: string): TaskChange
  resume(id: string): TaskChange
  cancel(id: string): TaskChange
  runNow(id: string): TaskChange
  history(id: string, limit: number): TaskRunView[]
}

export type TaskDeedPorts = { tasks: TaskPort; store: Store; timeZone: string }

export type TaskRequest = Extract<IpcRequest, { type: `${string}_task` | 'run_task_now' | 'task_history' | 'list_tasks' }>
type ChangeRequest = Exclude<TaskRequest, { type: 'schedule_task' | 'list_tasks' | 'task_history' }>

/** What becomes of a request that is about tasks. */
export function taskDeed(ports: TaskDeedPorts, asked: Asked<TaskRequest>): IpcResult {
  const { request, who } = asked
  switch (request.type) {
    case 'schedule_task':
      return schedule(ports, { ...asked, request })
    case 'list_tasks':
      return list(ports, who)
    case 'task_history':
      return history(ports, { who, request })
    default:
      return change(ports, { who, request })
  }
}

function schedule(
  { tasks, store, timeZone }: TaskDeedPorts,
  { who, chatJid, request }: Asked<RequestOf<'schedule_task'>>,
): IpcResult {
  const { targetJid, prompt, script, scheduleType: type, scheduleValue: value, contextMode, catchUp } = request
  const found = chatFor(store, { who, chatJid, targetJid })
  if (found.type === 'refused') return refused(found.why)
  const { folder, jid } = found.chat
  if (!may(who, 'schedule-task', folder)) return refused('Only main schedules tasks for other groups.')
  return resultOf(tasks.schedule({ folder, jid, prompt, script, schedule: { type, value }, contextMode, catchUp }), timeZone)
}

function change({ tasks, timeZone }: TaskDeedPorts, { who, request }: { who: Who; request: ChangeRequest }): IpcResult {
  const { taskId } = request
  const task = tasks.find(taskId)
  if (!task || !may(who, 'change-task', task.folder)) return unknownTask(taskId)
  switch (request.type) {
    case 'update_task':
      return resultOf(tasks.update(taskId, patchOf(request, task)), timeZone)
    case 'pause_task':
      return resultOf(tasks.pause(taskId), timeZone)
    case 'resume_task':
      return resultOf(tasks.resume(taskId), timeZone)
    case 'cancel_task':
      return resultOf(tasks.cancel(taskId), timeZone)
    case 'run_task_now':
      return resultOf(tasks.runNow(taskId), timeZone)
  }
}

function patchOf(
  { prompt, script, scheduleType, scheduleValue, contextMode, catchUp }: RequestOf<'update_task'>,
  task: TaskView,
): Patch {
  const changed = scheduleType !== undefined || scheduleValue !== undefined
  const schedule = { type: scheduleType ?? task.schedule.type, value: scheduleValue ?? task.schedule.value }
  return { prompt, script, contextMode, catchUp, ...(changed ? { schedule } : {}) }
}

function list({ tasks, timeZone }: TaskDeedPorts, who: Who): IpcResult {
  const visible = tasks.list(who.isMain ? undefined : who.folder).filter(({ folder }) => may(who, 'see-task', folder))
  const ranked = visible.sort((a, b) => rank(a, who) - rank(b, who))
  const listed = fitting(ranked.map((task) => shown(task, timeZone)))
  return done(counted({ all: visible.length, listed: listed.length }), { tasks: listed })
}

/** One's own before others', those that still run before those that are over. */
function rank({ folder, status }: TaskView, who: Who): number {
  return (folder === who.folder ? 0 : 2) + (status === 'completed' ? 1 : 0)
}

function counted({ all, listed }: { all: number; listed: number }): string {
  if (all === 0) return 'There are no tasks.'
  return listed < all ? `${all} tasks; there is room for the first ${listed} only.` : `${all} tasks.`
}

function history(
  { tasks, timeZone }: TaskDeedPorts,
  { who, request: { taskId, limit } }: { who: Who; request: RequestOf<'task_history'> },
): IpcResult {
  const task = tasks.find(taskId)
  if (!task || !may(who, 'see-task', task.folder)) return unknownTask(taskId)
  const all = tasks.history(taskId, limit).map(({ at, result, error, ...run }) => ({
    ...run,
    at: localTime(at, timeZone),
    result: result && excerpt(result),
    error: error && excerpt(error),
  }))
  const runs = fitting(all)
  return done(runs.length === 0 ? 'It has not run yet.' : `The newest ${runs.length} runs.`, { taskId, runs })
}

/** The same for a task of another group as for none: an id tells nothing to who may not know it. */
function unknownTask(taskId: string): IpcResult {
  return refused(`There is no task "${taskId}" that you may see. list_tasks shows those that you may.`)
}

function resultOf(change: TaskChange, timeZone: string): IpcResult {
  if (change.type === 'refused') return refused(change.why)
  const { id: taskId, nextRun } = change.task
  return done(change.text, { taskId, nextRun: nextRun === null ? null : localTime(nextRun, timeZone) })
}

function shown(
  { id, folder, jid, prompt, schedule, contextMode, status, reason, nextRun, lastRun }: TaskView,
  timeZone: string,
): object {
  const local = (at: Instant | null) => (at === null ? null : localTime(at, timeZone))
  const times = { nextRun: local(nextRun), lastRun: local(lastRun) }
  const text = { prompt: excerpt(prompt), schedule, contextMode, status, reason }
  return { taskId: id, groupFolder: folder, chatJid: jid, ...text, ...times }
}
