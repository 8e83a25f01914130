import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { AppError, errorText } from '../domain/errors.ts'
import { syncToDisk } from '../files.ts'
import { backUp } from './backup.ts'
import { remakeTextIndex, TEXT_INDEX_REMADE, tableDamage, textIndexDamage } from './damage.ts'
import { toldAsDisk } from './disk.ts'
import { isV1 } from './v1/old-tables.ts'
import { takeOver } from './v1/take-over.ts'

const MIGRATIONS = path.join(import.meta.dirname, 'migrations')

/**
 * Opens `store/messages.db`, creating or migrating it; one of NanoClaw v1 is taken over, and `note` hears what became of it.
 * A file that is damaged, foreign, or newer than this program is refused before anything is written to it; only a text index
 * that is damaged is made anew. Durable at every commit: WAL with synchronous=FULL.
 */
export function openDatabase(file: string, note: (text: string) => void = () => {}): SQLite.Database {
  try {
    const made = existsSync(file) ? whoMade(file) : makeFolder(path.dirname(file))
    const db = new SQLite(file)
    try {
      return prepare({ db, file, made, note })
    } catch (error) {
      db.close()
      throw error
    }
  } catch (error) {
    const told = toldAsDisk(error)
    throw told instanceof AppError ? told : unusable(file, error)
  }
}

/** SQLite sees to it that a new file stays in its folder after a power cut; that the folder stays in its own is our part. */
function makeFolder(folder: string): 'us' {
  mkdirSync(folder, { recursive: true })
  syncToDisk(path.dirname(folder))
  return 'us'
}

type Opening = { db: SQLite.Database; file: string; made: 'us' | 'v1'; note: (text: string) => void }

function prepare({ db, file, made, note }: Opening): SQLite.Database {
  chmodSync(file, 0o600)
  if (made === 'v1') for (const text of takeOver({ db, file, createTables: () => apply(db, migrations()) })) note(text)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  if (textIndexDamage(db) !== undefined) {
    note(TEXT_INDEX_REMADE)
    remakeTextIndex(db)
  }
  migrate(db, file)
  return db
}

function migrations(): { version: number; sql: string }[] {
  const files = readdirSync(MIGRATIONS).filter((name) => name.endsWith('.sql'))
  return files
    .sort()
    .map((name) => ({ version: Number.parseInt(name, 10), sql: readFileSync(path.join(MIGRATIONS, name), 'utf8') }))
}

/** Looks at an existing file through a read-only connection, so that refusing it leaves it as it was. */
function whoMade(file: string): 'us' | 'v1' {
  // SQLite makes these two even for a reader; those that were not there go again.
  const made = ['-wal', '-shm'].map((suffix) => file + suffix).filter((beside) => !existsSync(beside))
  // A transaction that a crash of v1 cut short lies in a journal, and a reader cannot undo it.
  const db = new SQLite(file, { readonly: !existsSync(`${file}-journal`) })
  try {
    const damage = tableDamage(db)
    if (damage !== undefined) throw unusable(file, new Error(damage))
    if (isV1(db)) return 'v1'
    const version = Number(db.pragma('user_version', { simple: true }))
    const newest = migrations().at(-1)?.version ?? 0
    if (version > newest) throw newer(file, { version, newest })
    const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table'").pluck().get()
    if (version === 0 && tables !== 0) throw foreign(file)
    return 'us'
  } finally {
    db.close()
    for (const beside of made) rmSync(beside, { force: true })
  }
}

/** Before the first change, an old file is copied beside itself. */
function migrate(db: SQLite.Database, file: string): void {
  const version = Number(db.pragma('user_version', { simple: true }))
  const due = migrations().filter((migration) => migration.version > version)
  if (due.length > 0 && version > 0) backUp(db, `${file}.before-${due[0]?.version}`)
  apply(db, due)
}

/** Each migration is one transaction with its version number. */
function apply(db: SQLite.Database, due: { version: number; sql: string }[]): void {
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
  const message = `${file} holds tables that NanoClaw did not make. Nothing was changed. Move the file away to start empty. (The first weeks' v1, with its groups in data/registered_groups.json, is not known here: start the last v1 on it once.)`
  return new AppError({ code: 'store.foreign', fault: 'user', message })
}
