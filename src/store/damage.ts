import SQLite, { type Database } from 'better-sqlite3'
import { errorText } from '../domain/errors.ts'

/** What SQLite finds wrong with the tables that hold what is kept; undefined for nothing. The index of their text is no part of it. */
export function tableDamage(db: Database): string | undefined {
  return damageIn(db, "type = 'table'")
}

/** What is wrong with the pages of the text index. What they say is not read, which takes long: damage there shows in use. */
export function textIndexDamage(db: Database): string | undefined {
  return damageIn(db, "type = 'shadow' AND name GLOB 'messages_text_*'")
}

/** The same, with all that the text index says compared to the messages. */
export function textIndexDamageInDepth(db: Database): string | undefined {
  return damageIn(db, "type = 'virtual' AND name = 'messages_text'")
}

function damageIn(db: Database, which: string): string | undefined {
  const names = db.prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND ${which}`).pluck().all() as string[]
  return names.map((name) => damageOfOne(db, name)).find((found) => found !== undefined)
}

function damageOfOne(db: Database, table: string): string | undefined {
  try {
    const result = db.pragma(`quick_check('${table.replaceAll("'", "''")}')`, { simple: true })
    return result === 'ok' ? undefined : String(result)
  } catch (error) {
    if (isDamage(error)) return errorText(error)
    throw error
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof SQLite.SqliteError && error.code.startsWith('SQLITE_CORRUPT')
}

/** It came up in use that the text index is damaged, which is the only virtual table. */
export function showsTextIndexDamage(error: unknown): boolean {
  return error instanceof SQLite.SqliteError && error.code === 'SQLITE_CORRUPT_VTAB'
}

/** What people are told of it. */
export const TEXT_INDEX_REMADE = 'The index for searching the messages was damaged, and is made anew. No message is lost.'

/**
 * Makes the text index anew from the messages: half a minute where there are millions. The old one is left out of the schema
 * unread, for even dropping it would read what is damaged; the room it took is given back at the end.
 */
export function remakeTextIndex(db: Database): void {
  const definition = db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'messages_text'").pluck().get() as string
  db.unsafeMode(true)
  try {
    db.transaction(() => {
      db.pragma('writable_schema = ON')
      db.exec("DELETE FROM sqlite_schema WHERE type = 'table' AND name GLOB 'messages_text*'")
      db.pragma('writable_schema = RESET')
      db.exec(`${definition}; INSERT INTO messages_text (messages_text) VALUES ('rebuild')`)
    }).immediate()
  } finally {
    db.pragma('writable_schema = RESET')
    db.unsafeMode(false)
  }
  db.exec('VACUUM')
}
