import { createHash } from 'node:crypto'
import type SQLite from 'better-sqlite3'

/** One word for all that a database holds: every row of every table, and its version. */
export function digestOf(db: SQLite.Database): string {
  const hash = createHash('sha256').update(String(db.pragma('user_version', { simple: true })))
  const tables = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").raw().all() as string[][]
  for (const [name, sql] of tables) {
    hash.update(`\n${name} ${sql}`)
    // By content: tables of the full-text index have no row ids.
    const rows = db.prepare(`SELECT * FROM "${name}"`).raw().all()
    for (const row of rows.map((row) => JSON.stringify(row)).sort()) hash.update(row)
  }
  return hash.digest('hex')
}
