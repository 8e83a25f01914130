import { chmodSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Database } from 'better-sqlite3'
import { syncToDisk } from '../files.ts'

/**
 * A consistent copy of a database that is open, private to its owner, complete even after a power cut. One of an earlier
 * attempt is replaced, a link in its place too: nothing is ever written through it.
 */
export function backUp(db: Database, backup: string): void {
  const unfinished = `${backup}.tmp`
  rmSync(unfinished, { force: true })
  db.prepare('VACUUM INTO ?').run(unfinished)
  chmodSync(unfinished, 0o600)
  syncToDisk(unfinished)
  renameSync(unfinished, backup)
  syncToDisk(path.dirname(backup))
}
