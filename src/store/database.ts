import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { AppError, errorText } from '../domain/errors.ts'

const MIGRATIONS = path.join(import.meta.dirname, 'migrations')

/**
 * Opens `store/messages.db`, creating or migrating it. A file that is damaged, or newer than this program, is refused
 * before anything is written to it. Durable at every commit: WAL with synchronous=FULL.
 */
export function openDatabase(file: string): SQLite.Database {
  try {
    mkdirSync(path.dirname(file), { recursive: true })
    if (existsSync(file)) assertUsable(file)
    const db = new SQLite(file)
    chmodSync(file, 0o600)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    migrate(db, file)
    return db
  } catch (error) {
    throw error instanceof AppError ? error : unusable(file, error)
  }
}

function migrations(): { version: number; sql: string }[] {
  const files = readdirSync(MIGRATIONS).filter((name) => name.endsWith('.sql'))
  return files
    .sort()
    .map((name) => ({ version: Number.parseInt(name, 10), sql: readFileSync(path.join(MIGRATIONS, name), 'utf8') }))
}

/** Looks at an existing file through a read-only connection, so that refusing it leaves it as it was. */
function assertUsable(file: string): void {
  // SQLite makes these two even for a reader; those that were not there go again.
  const made = ['-wal', '-shm'].map((suffix) => file + suffix).filter((beside) => !existsSync(beside))
  const db = new SQLite(file, { readonly: true })
  try {
    const result = db.pragma('quick_check(1)', { simple: true })
    if (result !== 'ok') throw unusable(file, new Error(String(result)))
    const version = Number(db.pragma('user_version', { simple: true }))
    const newest = migrations().at(-1)?.version ?? 0
    if (version > newest) throw newer(file, { version, newest })
    const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table'").pluck().get()
    if (version === 0 && tables !== 0) throw foreign(file)
  } finally {
    db.close()
    for (const beside of made) rmSync(beside, { force: true })
  }
}

/** Each migration is one transaction with its version number; before the first, the old file is copied beside itself. */
function migrate(db: SQLite.Database, file: string): void {
  const version = Number(db.pragma('user_version', { simple: true }))
  const due = migrations().filter((migration) => migration.version > version)
  if (due.length > 0 && version > 0) db.prepare('VACUUM INTO ?').run(`${file}.before-${due[0]?.version}`)
  for (const migration of due) {
    db.transaction(() => {
      db.exec(migration.sql)
      db.pragma(`user_version = ${migration.version}`)
    })()
  }
}

function unusable(file: string, cause: unknown): AppError {
  const message = `The database ${file} cannot be used: ${errorText(cause)}. Nothing was changed. Restore it from a backup, or move it (with its -wal and -shm files) away to start empty.`
  return new AppError({ code: 'store.unusable', fault: 'user', message, cause })
}

function newer(file: string, { version, newest }: { version: number; newest: number }): AppError {
  const message = `The database ${file} was made by a newer NanoClaw (version ${version}, this one knows ${newest}). Nothing was changed. Update NanoClaw, or restore an older backup.`
  return new AppError({ code: 'store.newer', fault: 'user', message })
}

function foreign(file: string): AppError {
  const message = `${file} holds tables that this version did not make (a NanoClaw v1 database is not migrated by it yet). Nothing was changed. Move the file away to start empty.`
  return new AppError({ code: 'store.foreign', fault: 'user', message })
}
