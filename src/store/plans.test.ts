import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { Database } from 'better-sqlite3'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { openDatabase } from './database.ts'
import { Store } from './store.ts'
import { Tasks } from './tasks.ts'

type Plan = { sql: string; steps: string[] }

/** How SQLite goes about each statement that the store, or a part of it, prepares. */
function plans(t: TestContext, make: (db: Database) => unknown = (db) => new Store(db)): Plan[] {
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
    return { sql: sql.replaceAll(/\s+/g, ' ').trim(), steps: steps.map(({ detail }) => detail) }
  })
}

/** Tables that only the owner makes longer, and what a statement makes itself. */
const SHORT = [
  ...['groups', 'registered_groups', 'usage_pairs', 'pair', 'sessions', 'router_state', 'r'],
  ...['CONSTANT ROW', 'json_each', 'task', 's'],
]
/** Indexes of what is open, due, parked or paused; most of a table is not in them. */
const FEW =
  /USING (COVERING )?INDEX (turns_open_of_chat|turns_open_of_lane|outbox_open|outbox_due|scheduled_tasks_due|chats_parked)\b/

/** What reads a whole table that grows, and why that may be. Nothing else may. */
const WHOLE: readonly { sql: RegExp; why: string }[] = [
  { sql: /FROM audit WHERE .* LIMIT :limit$/, why: 'the command "audit" asks it, in a process of its own' },
  { sql: /FROM chats ORDER BY jid$/, why: 'it is the list of all chats' },
  { sql: /FROM scheduled_tasks ORDER BY created_at, id$/, why: 'it is the list of all tasks' },
  { sql: /FROM messages_text WHERE messages_text MATCH/, why: 'the text index finds at most 100,000, and is read no further' },
]

function wholeTables({ steps }: Plan): string[] {
  return steps.filter((step) => {
    const [, name = ''] = /^SCAN (CONSTANT ROW|\S+)/.exec(step) ?? []
    return name !== '' && !name.startsWith('(subquery-') && !SHORT.includes(name) && !FEW.test(step)
  })
}

test('no statement of the store reads a table that grows from end to end, but those that are named', (t) => {
  const all = plans(t)
  assert.ok(all.length > 140, `${all.length} statements`)
  const found = all.filter((plan) => wholeTables(plan).length > 0)
  const unnamed = found.filter(({ sql }) => !WHOLE.some((one) => one.sql.test(sql)))
  assert.deepEqual(
    unnamed.map((plan) => [plan.sql, wholeTables(plan)]),
    [],
  )
  const unused = WHOLE.filter((one) => !found.some(({ sql }) => one.sql.test(sql)))
  assert.deepEqual(unused, [], 'these need no exception any more')
})

/** What is asked for each message, turn, model call or minute: how it begins, and what it must find its rows by. */
const HOT: readonly [sql: RegExp, by: string][] = [
  [/^SELECT seq, chat_jid.* ORDER BY seq DESC$/, 'messages_open (chat_jid=? AND seq>? AND seq<?)'],
  [/^SELECT seq, timestamp AS sentAt FROM messages WHERE chat_jid/, 'messages_open (chat_jid=? AND seq>? AND seq<?)'],
  [
    /^SELECT count\(\*\) FROM \(SELECT seq FROM messages WHERE chat_jid/,
    'COVERING INDEX messages_open (chat_jid=? AND seq>? AND seq<?)',
  ],
  [/may_command IS NOT 0/, 'messages_commands (chat_jid=? AND seq>? AND seq<?)'],
  [/AS editNo/, 'COVERING INDEX messages_edits (chat_jid=? AND edit_no>?)'],
  [/AS passedSeq/, 'COVERING INDEX turns_passed (chat_jid=?'],
  [/^UPDATE turns SET not_before/, 'turns_open_of_lane'],
  [/^SELECT started_at AS at, reason/, 'turns_open_of'],
  [/FROM turns WHERE .* ORDER BY \+id$/, 'turns_open_of'],
  [/^SELECT pair\.group_folder/, 'SEARCH upTo USING PRIMARY KEY (group_folder=? AND model=? AND slot=?)'],
  [/^DELETE FROM audit/, 'COVERING INDEX audit_at (at<?)'],
  [/^DELETE FROM ipc_requests/, 'COVERING INDEX ipc_requests_at (at<?)'],
  [/^DELETE FROM questions/, 'questions_over (expires_at<?)'],
  [/FROM questions .* AND expires_at > /, 'questions_unheard (chat_jid=? AND expires_at>?)'],
  [/FROM questions .* UNION /, 'questions_untold (chat_jid=?)'],
  [/FROM questions .* UNION /, 'questions_told (told_turn=?)'],
]

test('what is asked again and again finds its rows by an index that is made for it', (t) => {
  const all = plans(t)
  for (const [sql, by] of HOT) {
    const asked = all.filter((plan) => sql.test(plan.sql))
    assert.ok(asked.length > 0, `there is no ${sql}`)
    for (const { sql: text, steps } of asked)
      assert.ok(
        steps.some((step) => step.includes(by)),
        `${text}: ${steps.join('; ')}`,
      )
  }
})

test('no question about runs of tasks sorts those of one, and only lists of tasks are sorted', (t) => {
  const asked = plans(t, (db) => new Tasks(db)).filter(({ sql }) => sql.includes('task_run_logs'))
  assert.ok(asked.length > 6)
  for (const { sql, steps } of asked)
    assert.equal(steps.includes('USE TEMP B-TREE FOR ORDER BY'), sql.includes('FROM scheduled_tasks t'), sql)
})
