import type { Database } from 'better-sqlite3'

/** The tables of NanoClaw v1 that have a place in ours, with every column that a version of it had. */
const COLUMNS = {
  chats: ['jid', 'name', 'last_message_time', 'channel', 'is_group'],
  messages: ['id', 'chat_jid', 'sender', 'sender_name', 'content', 'timestamp', 'is_from_me', 'is_bot_message'],
  registered_groups: ['jid', 'name', 'folder', 'trigger_pattern', 'added_at', 'container_config', 'requires_trigger', 'is_main'],
  sessions: ['group_folder', 'session_id'],
  router_state: ['key', 'value'],
  scheduled_tasks: [
    ...['id', 'group_folder', 'chat_jid', 'prompt', 'schedule_type', 'schedule_value', 'context_mode'],
    ...['next_run', 'last_run', 'last_result', 'status', 'created_at'],
  ],
  task_run_logs: ['id', 'task_id', 'run_at', 'duration_ms', 'status', 'result', 'error'],
} as const

export type OldTable = keyof typeof COLUMNS
/** A row as it was found; nothing in it is certain. */
export type OldRow = Record<string, unknown>

const NAMES = Object.keys(COLUMNS) as OldTable[]

/** Is this a database of NanoClaw v1? Reads only. Ours is told apart by `messages.seq`. */
export function isV1(db: Database): boolean {
  const messages = columnsOf(db, 'messages')
  const named = columnsOf(db, 'chats').has('jid') && columnsOf(db, 'registered_groups').has('folder')
  return named && messages.has('chat_jid') && !messages.has('seq')
}

/**
 * The tables of v1, moved aside inside the same database so that ours can take their names, and read from there.
 * Whatever is not understood stays: tables that v1 did not have keep their rows as `v1_NAME`, and what has no place in
 * ours is written to `v1_leftovers` with the reason.
 */
export class OldTables {
  readonly #db: Database

  private constructor(db: Database) {
    this.#db = db
  }

  /** Call it inside a transaction, with foreign keys off: rows without their parent are normal here. */
  static setAside(db: Database): OldTables {
    db.exec(`CREATE TABLE v1_leftovers (
      id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, row TEXT NOT NULL CHECK (json_valid(row)), why TEXT NOT NULL) STRICT`)
    const old = new OldTables(db)
    old.#dropDependents()
    for (const name of ordinaryTables(db)) db.exec(`ALTER TABLE ${quoted(name)} RENAME TO ${quoted(`v1_${name}`)}`)
    for (const name of NAMES) old.#complete(name)
    return old
  }

  /** Every row, in the order of `orderBy`. */
  rows(table: Exclude<OldTable, 'messages'>, orderBy = 'rowid'): OldRow[] {
    return this.#db.prepare(`SELECT * FROM v1_${table} ORDER BY ${orderBy}`).all() as OldRow[]
  }

  /** Keeps what has no place. */
  keep(table: string, row: OldRow, why: string): void {
    const json = JSON.stringify(row, (_, value) =>
      value?.type === 'Buffer' ? { base64: Buffer.from(value).toString('base64') } : value,
    )
    this.#db.prepare('INSERT INTO v1_leftovers (table_name, row, why) VALUES (?, ?, ?)').run(table, json, why)
  }

  /** Columns that no version of v1 had. */
  foreignColumns(table: OldTable): string[] {
    const known: readonly string[] = COLUMNS[table]
    return [...columnsOf(this.#db, `v1_${table}`)].filter((column) => !known.includes(column))
  }

  /** Everything of v1's own tables was taken over or kept. */
  drop(): void {
    for (const name of NAMES) this.#db.exec(`DROP TABLE v1_${name}`)
  }

  /** Views and triggers would break, or act on, what is moved now. They hold no data; their text is kept. */
  #dropDependents(): void {
    const dependents = this.#db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger')").all() as {
      type: string
      name: string
      sql: string
    }[]
    for (const { type, name, sql } of dependents) {
      this.keep('sqlite_schema', { type, name, sql }, `a ${type} on tables of v1`)
      this.#db.exec(`DROP ${type} IF EXISTS ${quoted(name)}`)
    }
  }

  /** Early versions lacked columns or tables: with empty ones added, all look alike. */
  #complete(table: OldTable): void {
    const name = `v1_${table}`
    const found = columnsOf(this.#db, name)
    if (found.size === 0) this.#db.exec(`CREATE TABLE ${name} (${COLUMNS[table].join(', ')})`)
    else for (const column of COLUMNS[table]) if (!found.has(column)) this.#db.exec(`ALTER TABLE ${name} ADD COLUMN ${column}`)
    const indexes = this.#db.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?")
    for (const index of indexes.pluck().all(name)) this.#db.exec(`DROP INDEX ${quoted(String(index))}`)
  }
}

function ordinaryTables(db: Database): string[] {
  const sql = `SELECT name FROM pragma_table_list
    WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*' AND name <> 'v1_leftovers'`
  return db.prepare(sql).pluck().all() as string[]
}

function columnsOf(db: Database, table: string): Set<string> {
  return new Set(db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[])
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
