import { chmodSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { syncToDisk } from '../files.ts'

/**
 * A consistent copy of a database that is open, private to its owner, complete even after a power cut. One of an earlier
 * attempt is replaced, a link in its place too: nothing is ever written through it.
 */
export function backUp(db: SQLite.Database, backup: string): void {
  const unfinished = `${backup}.tmp`
  rmSync(unfinished, { force: true })
  db.prepare('VACUUM INTO ?').run(unfinished)
  chmodSync(unfinished, 0o600)
  syncToDisk(unfinished)
  renameSync(unfinished, backup)
  syncToDisk(path.dirname(backup))
}

const STEP_PAGES = 100

/**
 * A copy of a database in which another process may be working, private to its owner: in small steps, as of one moment. That
 * is held by a transaction of the reader, or every write would have the copy begin anew; with a write-ahead log nobody waits
 * for it.
 */
export async function copyWhileInUse(file: string, copy: string): Promise<void> {
  const db = new SQLite(file, { readonly: true })
  try {
    db.exec('BEGIN')
    db.prepare('SELECT count(*) FROM sqlite_schema').get()
    await db.backup(copy, { progress: () => STEP_PAGES })
    chmodSync(copy, 0o600)
  } finally {
    db.close()
  }
}
