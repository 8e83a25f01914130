import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import SQLite from 'better-sqlite3'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { at, V1Database } from '../../test/fakes/v1-root.ts'
import { AppError } from '../domain/errors.ts'
import { openDatabase } from './database.ts'
import { Store } from './store.ts'
import { takeOver } from './v1/take-over.ts'

const FAMILY = '120363@g.us'
const OWNER = '49151@s.whatsapp.net'
const ms = (minute: number) => Date.parse(at(minute))

function v1(t: TestContext, options?: { early: boolean }): V1Database {
  const database = new V1Database(temporaryFolder(t), options)
  database.db.pragma('synchronous = OFF') // the tests kill processes, not the machine
  t.after(() => database.close())
  return database
}

/** Main, a family group with a folder in capitals, and what was said in both. */
function household(database: V1Database): V1Database {
  return database
    .add('chats', { jid: FAMILY, name: 'Family', last_message_time: at(9), channel: 'whatsapp', is_group: 1 })
    .add('chats', { jid: OWNER, name: OWNER, last_message_time: at(5), channel: 'whatsapp', is_group: 0 })
    .group({ jid: OWNER, folder: 'main', is_main: 1 })
    .group({ jid: FAMILY, folder: 'Family', name: 'Family', requires_trigger: 0 })
    .messages(OWNER, ['m1', 1, 'hello'], ['m2', 2, 'hi Ann', 'bot'])
    .messages(FAMILY, ['f1', 1, 'one'], ['f2', 2, 'two'], ['f3', 3, 'answer', 'bot'], ['f4', 8, 'three'])
}

function open(t: TestContext, database: V1Database): { store: Store; db: SQLite.Database; notes: string[] } {
  database.close()
  const notes: string[] = []
  const db = openDatabase(database.file, (text) => notes.push(text))
  t.after(() => db.close())
  return { store: new Store(db), db, notes }
}

const leftovers = (db: SQLite.Database) =>
  (
    db.prepare('SELECT table_name, row, why FROM v1_leftovers ORDER BY id').all() as {
      table_name: string
      row: string
      why: string
    }[]
  ).map(({ table_name, row, why }) => ({ table: table_name, row: JSON.parse(row), why }))
const texts = (store: Store, jid: string) => store.messages.latest(jid, 100).map((message) => message.text)
const unanswered = (store: Store, jid: string) =>
  store.messages.unanswered(jid, store.chats.cursors(jid).answeredSeq).map((message) => message.text)

test('a v1 database opens with its groups, chats, messages and sessions', (t) => {
  const database = household(v1(t)).add('sessions', { group_folder: 'Family', session_id: 'session-1' })
  const { store, notes } = open(t, database)
  assert.deepEqual(store.groups.all(), [
    { folder: 'main', name: 'main', isMain: true, config: {} },
    { folder: 'Family', name: 'Family', isMain: false, config: {} },
  ])
  assert.deepEqual(store.groups.chat(FAMILY), { jid: FAMILY, folder: 'Family', trigger: '@Andy', requiresTrigger: false })
  assert.equal(store.groups.chat(OWNER)?.requiresTrigger, true)
  assert.equal(store.sessions.get('Family'), 'session-1')
  const [first] = store.messages.latest(FAMILY, 100)
  assert.deepEqual(
    { ...first, seq: 0 },
    {
      ...{ seq: 0, jid: FAMILY, id: 'f1', sender: 'ann@s.whatsapp.net', senderName: 'Ann', text: 'one', sentAt: ms(1) },
      ...{ fromMe: false, fromAssistant: false },
    },
  )
  assert.match(notes.join('\n'), /2 groups, 6 messages, 0 tasks[\s\S]*messages\.db\.v1-backup/)
})

test('a copy of the database as it was lies beside it, private, and never goes through a link', (t) => {
  const database = household(v1(t))
  const victim = path.join(path.dirname(database.file), 'victim')
  writeFileSync(victim, 'untouched')
  for (const name of ['v1-backup', 'v1-backup.tmp']) symlinkSync(victim, `${database.file}.${name}`)
  const before = database.db.prepare('SELECT * FROM messages ORDER BY rowid').all()
  open(t, database)
  const backup = `${database.file}.v1-backup`
  const copy = new SQLite(backup, { readonly: true })
  t.after(() => copy.close())
  assert.deepEqual(copy.prepare('SELECT * FROM messages ORDER BY rowid').all(), before)
  assert.equal(statSync(backup).mode & 0o777, 0o600)
  assert.equal(readFileSync(victim, 'utf8'), 'untouched')
  assert.ok(!existsSync(`${backup}.tmp`))
})

test('messages are in the order of their time, and of storing where that is the same', (t) => {
  const { store } = open(
    t,
    v1(t).group({ jid: FAMILY, folder: 'f' }).messages(FAMILY, ['c', 3, 'c'], ['a', 1, 'a'], ['b2', 2, 'b2'], ['b1', 2, 'b1']),
  )
  assert.deepEqual(texts(store, FAMILY), ['a', 'b2', 'b1', 'c'])
})

test("a chat goes on after v1's cursor: what it had answered is not answered again, what it had not is", (t) => {
  const { store } = open(t, household(v1(t)).answered({ [FAMILY]: at(2), [OWNER]: at(1) }))
  assert.deepEqual(unanswered(store, FAMILY), ['three'])
  assert.deepEqual(unanswered(store, OWNER), [])
})

test('timestamps finer than a millisecond are told apart as v1 did', (t) => {
  const database = v1(t).group({ jid: FAMILY, folder: 'f' })
  for (const [id, timestamp] of [
    ['a', '2026-02-10T18:00:00.123400Z'],
    ['b', '2026-02-10T18:00:00.123900Z'],
  ] as const)
    database.add('messages', { id, chat_jid: FAMILY, content: id, timestamp, is_from_me: 0 })
  const { store } = open(t, database.answered({ [FAMILY]: '2026-02-10T18:00:00.123400Z' }))
  assert.deepEqual(unanswered(store, FAMILY), ['b'])
})

test("without a cursor the assistant's newest message stands for it, and without one nothing was answered", (t) => {
  const { store } = open(
    t,
    household(v1(t)).messages('49@s.whatsapp.net', ['x', 1, 'x']).group({ jid: '49@s.whatsapp.net', folder: 'x' }),
  )
  assert.deepEqual(unanswered(store, FAMILY), ['three'])
  assert.deepEqual(unanswered(store, '49@s.whatsapp.net'), ['x'])
})

for (const value of ['not JSON', '[]', 'null', `{"${FAMILY}":""}`, `{"${FAMILY}":null}`])
  test(`a broken cursor (${value}) is none`, (t) => {
    const { store } = open(t, household(v1(t)).add('router_state', { key: 'last_agent_timestamp', value }))
    assert.deepEqual(unanswered(store, FAMILY), ['three'])
    assert.equal(store.facts.get('last_agent_timestamp'), value)
  })

test('empty messages after the cursor are kept and call nobody', (t) => {
  const database = household(v1(t)).messages(OWNER, ['e1', 30, ''], ['e2', 31, null])
  const { store } = open(t, database.answered({ [OWNER]: at(2), [FAMILY]: at(9) }))
  assert.deepEqual(texts(store, OWNER), ['hello', 'hi Ann', '', ''])
  assert.deepEqual(unanswered(store, OWNER), [])
})

test("an answer of v1 that stands between unanswered messages is not taken for the next turn's own", (t) => {
  const database = household(v1(t)).messages(FAMILY, ['f5', 9, 'late answer', 'bot'], ['f6', 10, 'four'])
  const { store } = open(t, database.answered({ [FAMILY]: at(3) }))
  assert.deepEqual(unanswered(store, FAMILY), ['three', 'four'])
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 0, failed: 0 })
})

test('a chat that nobody registered keeps its messages, and none of them waits for an answer', (t) => {
  const { store, db } = open(t, household(v1(t)).messages('stranger@g.us', ['s', 7, 'left behind']))
  assert.deepEqual(texts(store, 'stranger@g.us'), ['left behind'])
  assert.deepEqual(unanswered(store, 'stranger@g.us'), [])
  assert.equal(db.prepare('SELECT last_message_at FROM chats WHERE jid = ?').pluck().get('stranger@g.us'), ms(7))
})

test('what is missing in a row gets a sensible value', (t) => {
  const empty = { id: null, chat_jid: FAMILY, sender: null, sender_name: null, content: null, timestamp: null, is_from_me: null }
  const odd = { ...empty, id: 'odd', content: 'no time', timestamp: 'yesterday' }
  const { store } = open(
    t,
    household(v1(t))
      .add('messages', empty, { ...empty, sender: 'bob@x' }, odd)
      .answered({}),
  )
  const kept = store.messages.latest(FAMILY, 100)
  assert.deepEqual(
    kept.slice(0, 2).map(({ senderName, text, sentAt, fromMe }) => ({ senderName, text, sentAt, fromMe })),
    ['unknown', 'bob@x'].map((senderName) => ({ senderName, text: '', sentAt: 0, fromMe: false })),
  )
  assert.deepEqual([kept.length, kept.at(-1)?.sentAt], [7, 0])
  assert.deepEqual(unanswered(store, FAMILY), ['three', 'no time'])
})

test('a database of the first version opens, and the assistant is known by its prefix', (t) => {
  const database = v1(t, { early: true })
    .add('chats', { jid: FAMILY, name: 'Family', last_message_time: at(1) })
    .group({ jid: FAMILY, folder: 'family', trigger_pattern: '@Robo' })
    .group({ jid: OWNER, folder: 'main' })
  const said = (id: string, minute: number, content: string, fromMe: number) => ({
    ...{ id, chat_jid: FAMILY, sender: 's', sender_name: 'S', content, timestamp: at(minute), is_from_me: fromMe },
  })
  database.add('messages', said('1', 1, '@Robo hi', 0), said('2', 2, 'Robo: hello', 1), said('3', 3, 'Robo: is what it says', 0))
  const task = { id: 't', group_folder: 'family', chat_jid: FAMILY, prompt: 'p', schedule_type: 'once', schedule_value: at(9) }
  database.add('scheduled_tasks', { ...task, created_at: at(0) })
  const { store, db } = open(t, database)
  assert.deepEqual(
    store.messages.latest(FAMILY, 9).map((message) => message.fromAssistant),
    [false, true, false],
  )
  assert.equal(store.groups.find('main')?.isMain, true)
  assert.equal(db.prepare('SELECT is_group FROM chats WHERE jid = ?').pluck().get(FAMILY), 1)
  assert.equal(db.prepare('SELECT context_mode FROM scheduled_tasks').pluck().get(), 'isolated')
})

test('the marked group is main, and without a mark the one in the folder main; there is one', (t) => {
  const marked = open(
    t,
    v1(t).group({ jid: 'a', folder: 'WhatsApp_main', is_main: 1 }).group({ jid: 'b', folder: 'main', is_main: 0 }),
  )
  assert.deepEqual(
    marked.store.groups.all().map(({ folder, isMain }) => [folder, isMain]),
    [
      ['WhatsApp_main', true],
      ['main', false],
    ],
  )
  const several = open(t, v1(t).group({ jid: 'a', folder: 'x', is_main: 1 }).group({ jid: 'b', folder: 'main', is_main: 1 }))
  assert.deepEqual(
    several.store.groups
      .all()
      .filter(({ isMain }) => isMain)
      .map(({ folder }) => folder),
    ['main'],
  )
})

test('a group does not become main because its folder is called Main, and main has another folder then', (t) => {
  const { store } = open(t, v1(t).group({ jid: 'a', folder: 'Main' }))
  assert.deepEqual(
    store.groups.all().map(({ folder, isMain }) => [folder, isMain]),
    [
      ['main-2', true],
      ['Main', false],
    ],
  )
})

test('a group whose folder cannot be used is named, and its row is kept', (t) => {
  const database = v1(t).group({ jid: 'a', folder: 'Family' })
  for (const [jid, folder] of [
    ['b', 'family'],
    ['c', '../../etc'],
    ['d', 'two words'],
    ['e', 'Global'],
  ] as const)
    database.group({ jid, folder })
  const { store, db, notes } = open(t, database.messages('c', ['1', 1, 'x']))
  assert.deepEqual(
    store.groups.all().map(({ folder }) => folder),
    ['Family'],
  )
  assert.deepEqual(
    leftovers(db).map(({ table, row }) => [table, row.folder]),
    ['family', '../../etc', 'two words', 'Global'].map((folder) => ['registered_groups', folder]),
  )
  for (const folder of ['family', '../../etc', 'two words', 'Global'])
    assert.ok(
      notes.some((note) => note.includes(`Folder "${folder}"`)),
      folder,
    )
  assert.deepEqual(texts(store, 'c'), ['x'])
})

test('settings of a group are kept, timeout and mounts too; what cannot be used does not keep the host from starting', (t) => {
  const mounts = [{ hostPath: '~/projects/webapp', containerPath: 'webapp', readonly: false }, { hostPath: '/srv/data' }]
  const config = (value: unknown) => ({ container_config: JSON.stringify(value) })
  const database = v1(t)
    .group({ jid: 'a', folder: 'a', ...config({ timeout: 600_000, additionalMounts: mounts, env: { X: '1' } }) })
    .group({ jid: 'b', folder: 'b', ...config({ timeout: 0, additionalMounts: [{ hostPath: 7 }], __proto__: 1 }) })
    .group({ jid: 'c', folder: 'c', container_config: '{broken' })
    .group({ jid: 'd', folder: 'd', container_config: '[]' })
    .group({ jid: 'e', folder: 'e', container_config: null })
  const { store, db } = open(t, database)
  assert.deepEqual(store.groups.find('a')?.config, { timeout: 600_000, additionalMounts: mounts })
  for (const folder of ['b', 'c', 'd', 'e']) assert.deepEqual(store.groups.find(folder)?.config, {}, folder)
  assert.deepEqual(
    leftovers(db).map(({ row }) => row.folder),
    ['b', 'c', 'd'],
  )
  assert.match(String(db.prepare("SELECT container_config FROM groups WHERE folder = 'a'").pluck().get()), /"env"/)
})

test('tasks keep their schedule and state, and those that v1 could not run are paused with the reason', (t) => {
  const task = {
    group_folder: 'f',
    chat_jid: FAMILY,
    prompt: 'p',
    schedule_type: 'cron',
    schedule_value: '0 9 * * *',
    created_at: at(0),
  }
  const database = v1(t).add(
    'scheduled_tasks',
    { ...task, id: 'a', next_run: at(60), last_run: at(1), last_result: 'ok', context_mode: 'group' },
    { ...task, id: 'b', status: 'paused', next_run: at(60) },
    { ...task, id: 'c', status: 'completed', next_run: null, schedule_type: 'once' },
    { ...task, id: 'd', schedule_type: 'fortnightly' },
    { ...task, id: 'e', next_run: 'soon' },
    { ...task, id: 'f', status: null },
  )
  const { db } = open(t, database)
  const row = (id: string) => db.prepare('SELECT * FROM scheduled_tasks WHERE id = ?').get(id) as Record<string, unknown>
  assert.deepEqual(row('a'), {
    ...{
      id: 'a',
      group_folder: 'f',
      chat_jid: FAMILY,
      prompt: 'p',
      script: null,
      schedule_type: 'cron',
      schedule_value: '0 9 * * *',
    },
    ...{ context_mode: 'group', catch_up: 'once', status: 'active', reason: null, next_run: ms(60), last_run: ms(1) },
    ...{ last_result: 'ok', script: null, created_at: ms(0), paused_at: null },
  })
  assert.deepEqual([row('b').status, row('b').reason, row('b').next_run], ['paused', null, ms(60)])
  assert.equal(row('c').status, 'completed')
  for (const [id, reason] of [
    ['d', /fortnightly/],
    ['e', /soon/],
    ['f', /state/],
  ] as const) {
    assert.equal(row(id).status, 'paused', id)
    assert.match(String(row(id).reason), reason)
  }
})

test('runs of tasks are kept, also of tasks that are gone', (t) => {
  const run = { task_id: 'gone', run_at: at(3), duration_ms: 1_500 }
  const { db } = open(
    t,
    v1(t).add(
      'task_run_logs',
      { ...run, status: 'success', result: 'r' },
      { ...run, status: 'error', error: 'e' },
      { ...run, status: 'odd' },
    ),
  )
  assert.deepEqual(db.prepare('SELECT id, task_id, run_at, duration_ms, status, result, error FROM task_run_logs').all(), [
    { id: 1, task_id: 'gone', run_at: ms(3), duration_ms: 1_500, status: 'success', result: 'r', error: null },
    { id: 2, task_id: 'gone', run_at: ms(3), duration_ms: 1_500, status: 'error', result: null, error: 'e' },
    {
      id: 3,
      task_id: 'gone',
      run_at: ms(3),
      duration_ms: 1_500,
      status: 'error',
      result: null,
      error: 'v1 recorded the state "odd"',
    },
  ])
  assert.equal(
    db.prepare("INSERT INTO task_run_logs (task_id, run_at, status) VALUES ('n', 0, 'running')").run().lastInsertRowid,
    4,
  )
})

test('what has no place is kept: rows, columns, tables, views and triggers that we do not have', (t) => {
  const database = household(v1(t))
  database.db.exec(`
    ALTER TABLE messages ADD COLUMN thread_id TEXT; ALTER TABLE registered_groups ADD COLUMN persona TEXT;
    CREATE TABLE token_usage (id INTEGER PRIMARY KEY, tokens INTEGER, message_id TEXT REFERENCES messages (id));
    CREATE TABLE outbox (note TEXT);
    INSERT INTO token_usage (tokens) VALUES (42); INSERT INTO outbox VALUES ('mine');
    UPDATE messages SET thread_id = 'th' WHERE id = 'f1'; UPDATE registered_groups SET persona = 'pirate' WHERE folder = 'main';
    CREATE VIEW talk AS SELECT content FROM messages;
    CREATE TRIGGER noise AFTER INSERT ON messages BEGIN DELETE FROM chats; END;`)
  database.add('messages', { id: 'lost', chat_jid: null, content: Buffer.from([1, 2]), timestamp: at(1) })
  database.add('chats', { jid: '__group_sync__', name: '__group_sync__', last_message_time: at(0) })
  const { db, store } = open(t, database)
  const kept = leftovers(db)
  const of = (table: string) => kept.filter((one) => one.table === table)
  assert.deepEqual(
    of('sqlite_schema')
      .map(({ row }) => row.name)
      .sort(),
    ['noise', 'talk'],
  )
  assert.deepEqual(
    of('messages').map(({ row }) => row.id),
    ['lost', 'f1'],
  )
  assert.deepEqual(of('messages')[0]?.row.content, { base64: 'AQI=' })
  assert.deepEqual(
    of('registered_groups').map(({ row }) => row),
    [{ jid: OWNER, folder: 'main', persona: 'pirate' }],
  )
  assert.deepEqual(
    of('chats').map(({ row }) => row.jid),
    ['__group_sync__'],
  )
  assert.deepEqual(db.prepare('SELECT tokens FROM v1_token_usage').all(), [{ tokens: 42 }])
  assert.deepEqual(db.prepare('SELECT note FROM v1_outbox').all(), [{ note: 'mine' }])
  assert.equal(store.messages.latest(FAMILY, 100).length, 4)
  assert.deepEqual(
    db.prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'v1_*' AND type = 'table' ORDER BY 1").pluck().all(),
    ['v1_leftovers', 'v1_outbox', 'v1_token_usage'],
  )
})

test('a database that was taken over is ours: it opens again without another copy, and new messages come after the old', (t) => {
  const database = household(v1(t))
  open(t, database).db.close()
  const before = statSync(`${database.file}.v1-backup`).mtimeMs
  const store = Store.open(database.file)
  t.after(() => store.close())
  const { seq } = store.messages.add({
    jid: FAMILY,
    id: 'new',
    sender: 'a',
    senderName: 'A',
    text: 'new',
    sentAt: 1,
    fromMe: false,
  })
  assert.equal(seq, 7)
  assert.equal(texts(store, FAMILY).at(-1), 'new')
  assert.equal(statSync(`${database.file}.v1-backup`).mtimeMs, before)
})

test('a transaction that a crash of v1 cut short is undone, and the rest is taken over', (t) => {
  const database = household(v1(t))
  database.close()
  const script = `
    import SQLite from 'better-sqlite3'
    const db = new SQLite(process.argv[1])
    db.pragma('cache_size = 1')
    db.pragma('foreign_keys = OFF')
    db.exec("BEGIN; UPDATE messages SET content = 'half'")
    for (let n = 0; n < 2000; n++) db.prepare("INSERT INTO messages (id, chat_jid, content) VALUES (?, 'x', ?)").run(String(n), 'y'.repeat(500))
    process.kill(process.pid, 'SIGKILL')`
  runUntilKilled(script, [database.file])
  assert.ok(statSync(`${database.file}-journal`).size > 0, 'v1 left a journal')
  const { store } = open(t, database)
  assert.deepEqual(texts(store, FAMILY), ['one', 'two', 'answer', 'three'])
})

test('killed at any step, the file is still whole, v1’s or ours, and the next start takes it over', (t) => {
  const database = household(v1(t))
  // A cache too small for the work: pages reach the file before the commit, so that a kill leaves something to undo.
  database.db.pragma('default_cache_size = 10')
  database.messages(
    FAMILY,
    ...Array.from({ length: 500 }, (_, n) => [`n${n}`, 20 + n, 'x'.repeat(500)] as [string, number, string]),
  )
  database.close()
  const before = rowsOf(database.file)
  const whole = (file: string) => assert.ok(isOurs(file) || isDeepStrictEqual(rowsOf(file), before), file)
  const takenOver = (file: string) => {
    const db = openDatabase(file)
    t.after(() => db.close())
    assert.equal(db.prepare('SELECT count(*) FROM messages').pluck().get(), 506)
    assert.equal(new Store(db).groups.all().length, 2)
    assert.deepEqual(rowsOf(`${file}.v1-backup`), before)
  }

  const steps = statesOf(t, database.file)
  const states = steps.map(({ state }) => state)
  const many = (state: State) => states.filter((one) => one === state).length
  const afterTheCopy = steps.length - many('before the copy')
  assert.ok(many('before the copy') >= 1 && afterTheCopy >= 20 && many('in the transaction') >= 10, states.join())
  for (const [index, { file }] of steps.entries()) {
    if (index % 10 === 0) takenOver(copied(t, file))
    whole(file)
  }

  // A process that is killed leaves what was seen from outside, and the next one meets what it left.
  const middle = states.indexOf('in the transaction') + (many('in the transaction') >> 1)
  for (const index of [0, states.indexOf('in the transaction'), middle, steps.length - 1]) {
    const { step, state } = steps[index] ?? assert.fail()
    assert.equal(runUntilKilled(OPEN_AND_DIE, [database.file, String(step)]), 'killed')
    if (index <= middle) assert.equal(stateOf(database.file), state, `after a kill at statement ${step}`)
    whole(copied(t, database.file))
  }
  takenOver(database.file)
})

type State = 'before the copy' | 'after it' | 'in the transaction'

function stateOf(file: string): State {
  if (existsSync(`${file}-journal`)) return 'in the transaction'
  return existsSync(`${file}.v1-backup`) ? 'after it' : 'before the copy'
}

/** A database with all that lies beside it, in a folder of its own. */
function copied(t: TestContext, file: string): string {
  const copy = path.join(temporaryFolder(t), 'store')
  // By another process: closing the file here would give up the locks that SQLite holds on it.
  execFileSync('cp', ['-R', path.dirname(file), copy])
  return path.join(copy, path.basename(file))
}

/** What a kill at every second statement would leave of a database that is opened; the database itself stays as it is. */
function statesOf(t: TestContext, file: string): { step: number; file: string; state: State }[] {
  const found: { step: number; file: string; state: State }[] = []
  const opened = copied(t, file)
  let step = 0
  const look = () => {
    if (step % 2 === 0) {
      const copy = copied(t, opened)
      found.push({ step, file: copy, state: stateOf(copy) })
    }
    step++
  }
  const mocks = (['exec', 'prepare'] as const).map((name) => {
    const real: (this: SQLite.Database, sql: string) => unknown = SQLite.prototype[name]
    return t.mock.method(SQLite.prototype, name, function (this: SQLite.Database, sql: string) {
      look()
      return real.call(this, sql)
    })
  })
  openDatabase(opened).close()
  for (const { mock } of mocks) mock.restore()
  return found
}

/** Opens the database, and dies by SIGKILL at the given statement. */
const OPEN_AND_DIE = `
  import SQLite from 'better-sqlite3'
  const [file, step] = process.argv.slice(1)
  let left = Number(step)
  for (const name of ['exec', 'prepare']) {
    const real = SQLite.prototype[name]
    SQLite.prototype[name] = function (sql) {
      if (left-- === 0) process.kill(process.pid, 'SIGKILL')
      return real.call(this, sql)
    }
  }
  const { openDatabase } = await import('./src/store/database.ts')
  openDatabase(file).close()`

function runUntilKilled(script: string, args: string[]): 'killed' | 'done' {
  const cwd = path.resolve(import.meta.dirname, '..', '..')
  const { signal, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, ...args], {
    cwd,
    encoding: 'utf8',
  })
  if (signal === 'SIGKILL') return 'killed'
  assert.equal(status, 0, stderr)
  return 'done'
}

/** The whole of it, not a half. */
function isOurs(file: string): boolean {
  const db = new SQLite(file)
  db.pragma('synchronous = OFF')
  try {
    const count = (table: string) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
    return db.pragma('user_version', { simple: true }) !== 0 && count('messages') === 506 && count('groups') === 2
  } finally {
    db.close()
  }
}

/** Everything in a database of v1. */
function rowsOf(file: string): unknown {
  const db = new SQLite(file)
  db.pragma('synchronous = OFF')
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok')
    const tables = ['chats', 'messages', 'registered_groups', 'sessions', 'router_state', 'scheduled_tasks', 'task_run_logs']
    return tables.map((table) => db.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all())
  } finally {
    db.close()
  }
}

test('when it cannot be taken over, the file is as it was to the byte, and it is said what to do', (t) => {
  const database = household(v1(t))
  database.db.exec('CREATE VIRTUAL TABLE turns USING fts5 (x)') // in the way of the work, after the copy was made
  database.close()
  const before = readFileSync(database.file)
  assert.throws(() => openDatabase(database.file), refused('store.v1', /could not be taken over[\s\S]*as it was/))
  assert.deepEqual(readFileSync(database.file), before)
  assert.deepEqual(readdirSync(path.dirname(database.file)).sort(), ['messages.db', 'messages.db.v1-backup'])
})

test('v1 that is writing at that moment is not overrun', (t) => {
  const database = household(v1(t))
  database.db.exec("BEGIN IMMEDIATE; INSERT INTO router_state VALUES ('busy', '1')")
  assert.throws(() => openDatabase(database.file), refused('store.v1', /Make sure that v1 is stopped/))
  database.db.exec('COMMIT')
  const { store } = open(t, database)
  assert.equal(store.facts.get('busy'), '1')
})

test('what v1 still writes after the copy was made is not taken over without a copy', (t) => {
  const database = household(v1(t))
  const db = new SQLite(database.file)
  t.after(() => db.close())
  const prepare = db.prepare.bind(db)
  db.prepare = (sql: string) => {
    if (sql.startsWith('VACUUM')) return { run: (to: string) => prepare(sql).run(to) && database.answered({}) } as never
    return prepare(sql)
  }
  const takingOver = () => takeOver({ db, file: database.file, createTables: () => assert.fail('it went on') })
  assert.throws(takingOver, refused('store.v1', /something else is writing/))
})

test('a database that is neither ours nor that of v1 is refused and left as it is', (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'messages.db')
  const db = new SQLite(file)
  db.exec('CREATE TABLE chats (jid TEXT PRIMARY KEY); CREATE TABLE messages (id TEXT, chat_jid TEXT)')
  db.close()
  copyFileSync(file, path.join(folder, 'before'))
  assert.throws(() => openDatabase(file), refused('store.foreign', /NanoClaw did not make/))
  assert.deepEqual(readFileSync(file), readFileSync(path.join(folder, 'before')))
  assert.deepEqual(readdirSync(folder).sort(), ['before', 'messages.db'])
})

function refused(code: string, message: RegExp) {
  return (error: unknown) => error instanceof AppError && error.code === code && message.test(error.message)
}
