import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { Database } from 'better-sqlite3'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { openDatabase } from './database.ts'
import { Figures } from './figures.ts'
import { Outbox } from './outbox.ts'
import { Tasks } from './tasks.ts'

/** How SQLite goes about each statement that a part of the store prepares. */
function plans(t: TestContext, make: (db: Database) => unknown): { sql: string; steps: string[] }[] {
  const db = openDatabase(path.join(temporaryFolder(t), 'messages.db'))
  t.after(() => db.close())
  const statements: string[] = []
  const prepare = (sql: string) => {
    statements.push(sql)
    return db.prepare(sql)
  }
  make({ prepare } as Database)
  return statements.map((sql) => {
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql.replaceAll(/\?|:\w+/g, '1')}`).all() as { detail: string }[]
    return { sql, steps: steps.map(({ detail }) => detail) }
  })
}

test('no question about runs of tasks reads those of all tasks, nor sorts those of one', (t) => {
  const asked = plans(t, (db) => new Tasks(db)).filter(({ sql }) => sql.includes('task_run_logs'))
  assert.ok(asked.length > 6)
  for (const { sql, steps } of asked) {
    assert.deepEqual(
      steps.filter((step) => /^SCAN (task_run_logs|r|l)\b/.test(step)),
      [],
      sql,
    )
    const sortsTasks = sql.includes('FROM scheduled_tasks t')
    assert.equal(steps.includes('USE TEMP B-TREE FOR ORDER BY'), sortsTasks, sql)
  }
})

test('no question about turns and deliveries reads all there ever were', (t) => {
  const asked = [...plans(t, (db) => new Outbox(db)), ...plans(t, (db) => new Figures(db))]
  assert.ok(asked.length > 15)
  for (const { sql, steps } of asked)
    assert.deepEqual(
      steps.filter((step) => /^SCAN (outbox|turns|o|e|p)$/.test(step)),
      [],
      sql,
    )
})
