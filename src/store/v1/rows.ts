import type { Database } from 'better-sqlite3'
import { existingFolderProblem } from '../../domain/group.ts'
import { isUsable } from '../groups.ts'
import { objectIn } from '../json.ts'
import type { OldRow, OldTable, OldTables } from './old-tables.ts'
import { flagOf, instantOf, textOf } from './values.ts'

/** v1's entry in `chats` that only remembers when the groups' names were read last. */
const SYNC_MARKER = '__group_sync__'

export function copyChats(db: Database, old: OldTables): void {
  const add = db.prepare('INSERT OR IGNORE INTO chats (jid, name, is_group, last_message_at) VALUES (:jid, :name, :isGroup, :at)')
  for (const row of old.rows('chats')) {
    const jid = textOf(row.jid)
    if (jid === null || jid === SYNC_MARKER) {
      old.keep('chats', row, jid === null ? 'a chat without a jid' : 'a marker, no chat')
      continue
    }
    const name = textOf(row.name)
    const isGroup = flagOf(row.is_group, false) || jid.endsWith('@g.us')
    // v1 wrote the jid where it knew no name.
    add.run({ jid, name: name === jid ? null : name, isGroup: Number(isGroup), at: instantOf(row.last_message_time) })
  }
  keepForeign(old, 'chats', ['jid'])
}

type GroupRow = { jid: string; folder: string; name: string; addedAt: number; row: OldRow }

/** Groups and their chats. Returns what is wrong with those that could not be taken over. */
export function copyGroups(db: Database, old: OldTables): string[] {
  const problems: string[] = []
  const usable: GroupRow[] = []
  for (const row of old.rows('registered_groups', 'added_at, rowid')) {
    const jid = textOf(row.jid)
    const folder = textOf(row.folder) ?? ''
    const name = textOf(row.name) ?? folder
    const twin = usable.find((group) => group.folder !== folder && group.folder.toLowerCase() === folder.toLowerCase())
    const problem =
      jid === null ? 'it has no chat' : twin ? `"${twin.folder}" differs only in case` : existingFolderProblem(folder)
    if (problem === undefined && jid !== null) usable.push({ jid, folder, name, addedAt: instantOf(row.added_at) ?? 0, row })
    else {
      old.keep('registered_groups', row, `folder "${folder}": ${problem}`)
      problems.push(`The group "${name}" (${jid}) is not answered any more. Folder "${folder}": ${problem}.`)
    }
  }
  addGroups({ db, old, groups: usable })
  keepForeign(old, 'registered_groups', ['jid', 'folder'])
  return problems
}

function addGroups({ db, old, groups }: { db: Database; old: OldTables; groups: GroupRow[] }): void {
  const main = mainOf(groups)
  const addGroup = db.prepare(`INSERT OR IGNORE INTO groups (folder, name, is_main, container_config, created_at)
    VALUES (:folder, :name, :isMain, :config, :addedAt)`)
  const addChat = db.prepare(
    'INSERT INTO chats (jid, name) VALUES (:jid, :name) ON CONFLICT (jid) DO UPDATE SET name = coalesce(name, :name)',
  )
  const register = db.prepare(`INSERT INTO registered_groups (jid, folder, trigger_pattern, requires_trigger, added_at)
    VALUES (:jid, :folder, :trigger, :requiresTrigger, :addedAt)`)
  for (const { row, ...group } of groups) {
    const { jid, folder, name, addedAt } = group
    addChat.run({ jid, name })
    const config = configOf(old, row)
    const { changes } = addGroup.run({ folder, name, isMain: Number(folder === main), config, addedAt })
    if (changes === 0 && config !== '{}') old.keep('registered_groups', row, 'the group has the settings of its first chat')
    const requiresTrigger = Number(flagOf(row.requires_trigger, true))
    register.run({ jid, folder, trigger: textOf(row.trigger_pattern), requiresTrigger, addedAt })
  }
  // Nobody becomes main by a name in capitals, and the folder `main` is taken then.
  if (main === undefined && groups.some(({ folder }) => folder.toLowerCase() === 'main'))
    addGroup.run({ folder: 'main-2', name: 'Main', isMain: 1, config: '{}', addedAt: 0 })
}

/** Late versions marked main; for earlier ones it was the group in the folder `main`. */
function mainOf(groups: GroupRow[]): string | undefined {
  const marked = groups.filter(({ row }) => flagOf(row.is_main, false))
  const named = (of: GroupRow[]) => of.find(({ folder }) => folder === 'main')
  return (named(marked) ?? marked[0] ?? named(groups))?.folder
}

/** The settings that we can use; what cannot be used is kept aside. Keys we do not know stay, and are never read. */
function configOf(old: OldTables, row: OldRow): string {
  const text = textOf(row.container_config)
  if (text === null) return '{}'
  const config = objectIn(text)
  if (!config) {
    old.keep('registered_groups', row, 'container_config is no JSON object')
    return '{}'
  }
  const usable = Object.entries(config).filter(isUsable)
  if (usable.length < Object.keys(config).length)
    old.keep('registered_groups', row, 'container_config has settings that cannot be used')
  return JSON.stringify(Object.fromEntries(usable))
}

export function copySessions(db: Database, old: OldTables): void {
  const add = db.prepare('INSERT OR REPLACE INTO sessions (group_folder, session_id) VALUES (?, ?)')
  for (const row of old.rows('sessions')) {
    const [folder, session] = [textOf(row.group_folder), textOf(row.session_id)]
    if (folder === null || session === null) old.keep('sessions', row, 'a session without a group or an id')
    else add.run(folder, session)
  }
  keepForeign(old, 'sessions', ['group_folder'])
}

export function copyRouterState(db: Database, old: OldTables): void {
  const add = db.prepare('INSERT OR REPLACE INTO router_state (key, value) VALUES (?, ?)')
  for (const row of old.rows('router_state')) {
    const key = textOf(row.key)
    if (key === null || row.value === null) old.keep('router_state', row, 'a fact without a name or a value')
    else add.run(key, textOf(row.value) ?? '')
  }
  keepForeign(old, 'router_state', ['key'])
}

/** Returns how many there were. */
export function copyTasks(db: Database, old: OldTables): number {
  const add = db.prepare(`INSERT INTO scheduled_tasks
    (id, group_folder, chat_jid, prompt, schedule_type, schedule_value, context_mode, status, reason, next_run, last_run, last_result, created_at)
    VALUES (:id, :folder, :jid, :prompt, :type, :value, :mode, :status, :reason, :nextRun, :lastRun, :lastResult, :createdAt)`)
  const rows = old.rows('scheduled_tasks')
  for (const [index, row] of rows.entries()) {
    const malformed = taskProblem(row)
    const status = textOf(row.status) === 'completed' ? 'completed' : malformed || row.status !== 'active' ? 'paused' : 'active'
    add.run({
      id: textOf(row.id) ?? `v1-${index}`,
      folder: textOf(row.group_folder) ?? '',
      jid: textOf(row.chat_jid) ?? '',
      prompt: textOf(row.prompt) ?? '',
      type: textOf(row.schedule_type) ?? '',
      value: textOf(row.schedule_value) ?? '',
      mode: row.context_mode === 'group' ? 'group' : 'isolated',
      status,
      reason: status === 'paused' ? malformed : null,
      nextRun: instantOf(row.next_run),
      lastRun: instantOf(row.last_run),
      lastResult: textOf(row.last_result),
      createdAt: instantOf(row.created_at) ?? 0,
    })
  }
  keepForeign(old, 'scheduled_tasks', ['id'])
  return rows.length
}

/** Why v1 would not have run a task, or not as it was meant. */
function taskProblem(row: OldRow): string | null {
  const [type, status, nextRun] = [textOf(row.schedule_type), textOf(row.status), textOf(row.next_run)]
  if (!['cron', 'interval', 'once'].includes(type ?? '')) return `v1 left it with the unknown schedule type "${type}"`
  if (textOf(row.group_folder) === null || textOf(row.chat_jid) === null) return 'v1 left it without a group or a chat'
  if (textOf(row.prompt) === null) return 'v1 left it without a prompt'
  if (nextRun !== null && instantOf(nextRun) === null) return `v1 left it with a next run that is no time: "${nextRun}"`
  if (!['active', 'paused', 'completed'].includes(status ?? '')) return `v1 left it in the unknown state "${status}"`
  return null
}

/** Runs are kept also when their task is gone. */
export function copyTaskRuns(db: Database, old: OldTables): void {
  const add = db.prepare(`INSERT INTO task_run_logs (id, task_id, run_at, duration_ms, status, result, error)
    VALUES (:id, :taskId, :at, :duration, :status, :result, :error)`)
  for (const row of old.rows('task_run_logs')) {
    const ok = row.status === 'success'
    const { error, status } = { error: textOf(row.error), status: textOf(row.status) }
    add.run({
      id: typeof row.id === 'number' ? row.id : null,
      taskId: textOf(row.task_id) ?? '',
      at: instantOf(row.run_at) ?? 0,
      duration: typeof row.duration_ms === 'number' ? Math.round(row.duration_ms) : null,
      status: ok ? 'success' : 'error',
      result: textOf(row.result),
      error: ok || status === 'error' ? error : (error ?? `v1 recorded the state "${status}"`),
    })
  }
  keepForeign(old, 'task_run_logs', ['id', 'task_id'])
}

/** What stands in columns that v1 itself did not have. */
function keepForeign(old: OldTables, table: Exclude<OldTable, 'messages'>, key: string[]): void {
  const columns = old.foreignColumns(table)
  if (columns.length === 0) return
  for (const row of old.rows(table)) {
    if (columns.every((column) => row[column] === null)) continue
    const named = [...key, ...columns].map((column) => [column, row[column]])
    old.keep(table, Object.fromEntries(named), 'columns that we do not have')
  }
}
