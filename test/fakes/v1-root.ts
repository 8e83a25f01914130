import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'

/** The tables of NanoClaw v1 as its last version made them. */
const TABLES = `
  CREATE TABLE chats (jid TEXT PRIMARY KEY, name TEXT, last_message_time TEXT, channel TEXT, is_group INTEGER DEFAULT 0);
  CREATE TABLE messages (
    id TEXT, chat_jid TEXT, sender TEXT, sender_name TEXT, content TEXT, timestamp TEXT, is_from_me INTEGER,
    is_bot_message INTEGER DEFAULT 0, PRIMARY KEY (id, chat_jid), FOREIGN KEY (chat_jid) REFERENCES chats (jid));
  CREATE INDEX idx_timestamp ON messages (timestamp);
  CREATE TABLE scheduled_tasks (
    id TEXT PRIMARY KEY, group_folder TEXT NOT NULL, chat_jid TEXT NOT NULL, prompt TEXT NOT NULL, schedule_type TEXT NOT NULL,
    schedule_value TEXT NOT NULL, next_run TEXT, last_run TEXT, last_result TEXT, status TEXT DEFAULT 'active',
    created_at TEXT NOT NULL, context_mode TEXT DEFAULT 'isolated');
  CREATE INDEX idx_next_run ON scheduled_tasks (next_run);
  CREATE INDEX idx_status ON scheduled_tasks (status);
  CREATE TABLE task_run_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL, run_at TEXT NOT NULL, duration_ms INTEGER NOT NULL,
    status TEXT NOT NULL, result TEXT, error TEXT, FOREIGN KEY (task_id) REFERENCES scheduled_tasks (id));
  CREATE INDEX idx_task_run_logs ON task_run_logs (task_id, run_at);
  CREATE TABLE router_state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE sessions (group_folder TEXT PRIMARY KEY, session_id TEXT NOT NULL);
  CREATE TABLE registered_groups (
    jid TEXT PRIMARY KEY, name TEXT NOT NULL, folder TEXT NOT NULL UNIQUE, trigger_pattern TEXT NOT NULL, added_at TEXT NOT NULL,
    container_config TEXT, requires_trigger INTEGER DEFAULT 1, is_main INTEGER DEFAULT 0);`

/** The same as the first version with these tables made them: without what was added to them later. */
const EARLY_TABLES = TABLES.replace(', channel TEXT, is_group INTEGER DEFAULT 0', '')
  .replace('is_bot_message INTEGER DEFAULT 0, ', '')
  .replace(", context_mode TEXT DEFAULT 'isolated'", '')
  .replace(', is_main INTEGER DEFAULT 0', '')

type Values = Record<string, string | number | null | Buffer>

/** A `store/messages.db` of NanoClaw v1. Close it before a host opens the root. */
export class V1Database {
  readonly file: string
  readonly db: SQLite.Database

  constructor(root: string, { early = false }: { early?: boolean } = {}) {
    this.file = path.join(root, 'store', 'messages.db')
    mkdirSync(path.dirname(this.file), { recursive: true })
    this.db = new SQLite(this.file)
    this.db.pragma('foreign_keys = OFF') // rows that lost their parent are part of what v1 leaves
    this.db.exec(early ? EARLY_TABLES : TABLES)
  }

  add(table: string, ...rows: Values[]): this {
    for (const row of rows) {
      const columns = Object.keys(row)
      const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((column) => `:${column}`).join(', ')})`
      this.db.prepare(sql).run(row)
    }
    return this
  }

  /** Messages of one chat, each `[id, minute, text]`, or with a third word `bot` for the assistant's. */
  messages(jid: string, ...said: [id: string, minute: number, text: string | null, by?: 'bot'][]): this {
    const rows = said.map(([id, minute, content, by]) => ({
      ...{ id, chat_jid: jid, content, timestamp: at(minute), is_from_me: by ? 1 : 0, is_bot_message: by ? 1 : 0 },
      ...{ sender: by ? 'me@s.whatsapp.net' : 'ann@s.whatsapp.net', sender_name: by ? 'Andy' : 'Ann' },
    }))
    return this.add('messages', ...rows)
  }

  group(row: { jid: string; folder: string } & Values): this {
    return this.add('registered_groups', { name: row.folder, trigger_pattern: '@Andy', added_at: at(0), ...row })
  }

  /** v1's cursors: per chat, the timestamp of the newest message it answered. */
  answered(cursors: Record<string, string>): this {
    return this.add('router_state', { key: 'last_agent_timestamp', value: JSON.stringify(cursors) })
  }

  close(): void {
    this.db.close()
  }
}

/** A timestamp as v1 wrote it: so many minutes after an evening in February 2026. */
export function at(minute: number): string {
  return new Date(Date.UTC(2026, 1, 10, 18, minute)).toISOString()
}

/** The folders that v1 made for a group. */
export function v1Folders(root: string, folder: string): void {
  for (const made of [
    ['groups', folder, 'logs'],
    ['data', 'sessions', folder, '.claude', 'skills', 'agent-browser'],
    ...['messages', 'tasks', 'input'].map((name) => ['data', 'ipc', folder, name]),
    ['logs'],
  ])
    mkdirSync(path.join(root, ...made), { recursive: true })
  writeFileSync(path.join(root, 'groups', folder, 'CLAUDE.md'), `# ${folder}\nThe memory that v1 left.\n`)
  writeFileSync(path.join(root, 'groups', folder, 'logs', 'container-2026-02-10T18-00-00-000Z.log'), 'a run of v1\n')
}
