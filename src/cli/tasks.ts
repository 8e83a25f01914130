import type { TaskDeed, TaskDetail, TaskRunDetail } from '@nanoclaw/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { AppError } from '../domain/errors.ts'
import { localTime } from '../domain/prompt.ts'
import type { Store } from '../store/store.ts'
import { type CommandContext, changeGroups } from './groups.ts'
import { table } from './table.ts'

type Json = { json?: boolean }

/** Adds `tasks list|show|run|pause|resume|cancel|history`. */
export function tasksCommand(program: Command, context: CommandContext): void {
  const tasks = program
    .command('tasks')
    .description('what is done at its time; you make one by asking for it in a chat')
    .exitOverride()
  const add = (name: string, description: string) => tasks.command(name).description(description).exitOverride()
  const change = (deed: TaskDeed, description: string) =>
    add(deed, description)
      .argument('<id>')
      .action((id: string) => changeGroups(context, (admin) => admin.changeTask(id, deed)))
  add('list', 'all tasks, when they run next, and why one is paused')
    .option('--group <folder>', 'only those of this group')
    .option('--json', 'as JSON')
    .action((options: Json & { group?: string }) => list(context, options))
  add('show', 'one task with everything about it')
    .argument('<id>')
    .option('--json', 'as JSON')
    .action((id: string, options: Json) => show(context, { id, ...options }))
  add('run', 'run it now, besides its schedule')
    .argument('<id>')
    .action((id: string) => run(context, id))
  change('pause', 'do not run it until it is resumed')
  change('resume', 'go on with its schedule; what passed meanwhile is not made up for')
  change('cancel', 'remove it; the record of its runs stays')
  add('history', 'its runs, the newest first')
    .argument('<id>')
    .option('--limit <n>', 'at most so many', count, 20)
    .option('--json', 'as JSON')
    .action((id: string, options: Json & { limit: number }) => history(context, { id, ...options }))
}

async function list({ env, print, done }: CommandContext, { json, group }: Json & { group?: string }): Promise<void> {
  const { taskList } = await import('../app/task-list.ts')
  const config = loadConfig(env)
  const tasks = await read(config, { read: (store) => taskList(store, group), empty: [] })
  print(json ? asJson(tasks) : renderTasks(tasks, config))
  done(0)
}

async function show({ env, print, done }: CommandContext, { id, json }: Json & { id: string }): Promise<void> {
  const { taskList } = await import('../app/task-list.ts')
  const config = loadConfig(env)
  const tasks = await read<TaskDetail[]>(config, { read: taskList, empty: [] })
  const task = tasks.find((one) => one.id === id)
  if (!task) throw unknown(id)
  print(json ? asJson(task) : renderTask(task, config))
  done(0)
}

async function history(
  { env, print, done }: CommandContext,
  { id, json, limit }: Json & { id: string; limit: number },
): Promise<void> {
  const config = loadConfig(env)
  const runs = await read<TaskRunDetail[]>(config, {
    read: ({ tasks }) => {
      const found = tasks.history(id, limit)
      if (found.length === 0 && !tasks.find(id)) throw unknown(id)
      return found
    },
    empty: [],
  })
  print(json ? asJson(runs) : renderRuns(runs, config))
  done(0)
}

/** Needs a host: somebody has to do it now. */
async function run({ env, say, done }: CommandContext, id: string): Promise<void> {
  const { ControlClient } = await import('./control-client.ts')
  const { text } = await new ControlClient({ socketPath: loadConfig(env).paths.controlSocket }).changeTask(id, 'run')
  say(text)
  done(0)
}

async function read<T>(config: Config, look: { read(store: Store): T; empty: T }): Promise<T> {
  const { readStore } = await import('./group-admin.ts')
  return readStore(config, look)
}

type Zone = { timeZone: string }

export function renderTasks(tasks: readonly TaskDetail[], { timeZone }: Zone): string {
  if (tasks.length === 0) return 'There are no tasks. Ask for one in a chat: "every morning at 9, tell me the weather".\n'
  const rows = tasks.map((task) => [
    task.id,
    task.folder,
    task.nextRun === null || task.status !== 'active' ? '-' : localTime(task.nextRun, timeZone),
    `${task.schedule.type} ${task.schedule.value}`,
    stateOf(task),
    brief(task.prompt),
  ])
  return `${table([['TASK', 'GROUP', 'NEXT RUN', 'SCHEDULE', 'STATE', 'WHAT'], ...rows]).join('\n')}\n`
}

export function renderTask(task: TaskDetail, { timeZone }: Zone): string {
  const time = (at: number | null) => (at === null ? '-' : `${localTime(at, timeZone)} (${timeZone})`)
  const rows = [
    ['Task', task.id],
    ['Group', `${task.folder}, chat ${task.jid}`],
    ['State', stateOf(task)],
    ['Schedule', `${task.schedule.type} ${task.schedule.value}`],
    ['Next run', task.status === 'active' ? time(task.nextRun) : '-'],
    ['Last run', time(task.lastRun)],
    ['Last result', task.lastResult ?? '-'],
    ['Conversation', task.contextMode === 'group' ? "the group's" : 'its own, fresh for each run'],
    ['If missed', task.catchUp === 'once' ? 'one run for all that was missed' : 'nothing'],
    ['Since', time(task.createdAt)],
    ['Script', task.script ?? '-'],
    ['Prompt', task.prompt],
  ]
  return `${table(rows).join('\n')}\n`
}

export function renderRuns(runs: readonly TaskRunDetail[], { timeZone }: Zone): string {
  if (runs.length === 0) return 'It has not run yet.\n'
  const rows = runs.map(({ at, durationMs, status, note, error, result }) => [
    localTime(at, timeZone),
    durationMs === null ? '-' : `${(durationMs / 1_000).toFixed(1)} s`,
    status,
    [note, brief(error ?? result ?? '')].filter(Boolean).join('; '),
  ])
  return `${table([['AT', 'TOOK', 'STATUS', 'WHAT'], ...rows]).join('\n')}\n`
}

function stateOf({ status, reason, running }: TaskDetail): string {
  if (running) return 'running'
  return reason === null ? status : `${status}: ${reason}`
}

function brief(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ')
  return line.length > 60 ? `${line.slice(0, 59)}…` : line
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

function unknown(id: string): AppError {
  const message = `There is no task "${id}". "./nanoclaw tasks list" shows them.`
  return new AppError({ code: 'input.task', fault: 'user', message })
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It is a whole number, from 1.')
  return value
}
