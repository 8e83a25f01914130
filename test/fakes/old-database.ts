import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'

const MIGRATIONS = path.join(import.meta.dirname, '..', '..', 'src', 'store', 'migrations')

/** A database as the version with this many migrations made it. */
export function oldDatabase(file: string, version: number): SQLite.Database {
  const db = new SQLite(file)
  for (const name of readdirSync(MIGRATIONS).sort())
    if (Number.parseInt(name, 10) <= version) db.exec(readFileSync(path.join(MIGRATIONS, name), 'utf8'))
  db.pragma(`user_version = ${version}`)
  return db
}
