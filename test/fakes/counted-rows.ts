import type { Database, Statement } from 'better-sqlite3'

/** A database that counts the rows which its statements hand over. */
export function countingRows(db: Database): { db: Database; rows(): number } {
  let rows = 0
  const counted = <Row>(row: Row) => {
    rows++
    return row
  }
  const wrapped = (statement: Statement): Statement =>
    over(statement, {
      all: (...values: unknown[]) => statement.all(...values).map(counted),
      get: (...values: unknown[]) => counted(statement.get(...values)),
      *iterate(...values: unknown[]) {
        for (const row of statement.iterate(...values)) yield counted(row)
      },
      pluck: () => wrapped(statement.pluck()),
    })
  return { db: over(db, { prepare: (sql: string) => wrapped(db.prepare(sql)) }), rows: () => rows }
}

/** The object, with some functions of it replaced. */
function over<Target extends object>(target: Target, replaced: Record<string, unknown>): Target {
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === 'string' && Object.hasOwn(replaced, name)) return replaced[name]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
