import SQLite from 'better-sqlite3'

/** By table: its columns, and its rows as JSON, sorted, so that two databases can be compared. `where`: only some rows. */
export type Rows = Record<string, { columns: string[]; where?: string; values: string[] }>

/**
 * Every row of every table of a database that nobody has open. `like`: only these tables and columns, for a database that has
 * further ones. The tables behind an index of texts are left out.
 */
export function rowsOf(file: string, like?: Rows): Rows {
  const db = new SQLite(file)
  try {
    const tables = like ?? schemaOf(db)
    return Object.fromEntries(
      Object.entries(tables).map(([table, { columns, where = 'true' }]) => {
        const names = columns.map((name) => `"${name}"`).join(', ')
        const rows = db.prepare(`SELECT ${names} FROM "${table}" WHERE ${where}`).all()
        return [table, { columns, values: rows.map((row) => JSON.stringify(row)).sort() }]
      }),
    )
  } finally {
    db.close()
  }
}

function schemaOf(db: SQLite.Database): Rows {
  const sql = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'messages_text%'`
  const names = db.prepare(sql).pluck().all() as string[]
  return Object.fromEntries(
    names.map((table) => {
      const columns = db.prepare('SELECT name FROM pragma_table_info(?) ORDER BY cid').pluck().all(table) as string[]
      return [table, { columns, values: [] }]
    }),
  )
}

/** The number of the newest migration that a database has. */
export function versionOf(file: string): number {
  const db = new SQLite(file)
  try {
    return Number(db.pragma('user_version', { simple: true }))
  } finally {
    db.close()
  }
}
