import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { TestHost } from '../fakes/host-process.ts'
import { patience, until } from '../fakes/patience.ts'

function query(host: TestHost, sql: string) {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'))
  try {
    return db.prepare(sql).all() as Record<string, unknown>[]
  } finally {
    db.close()
  }
}

/** What the chat was told by the host itself, not by the agent. */
const told = (host: TestHost) =>
  query(host, "SELECT text FROM outbox WHERE key LIKE '%-told-%' ORDER BY seq").map(({ text }) => String(text))
const turns = (host: TestHost) => query(host, 'SELECT state, reason, tries FROM turns ORDER BY id')

/** Nothing the host said about a failure ever reaches the agent. */
function assertNotFedBack(host: TestHost): void {
  const requests = JSON.stringify(host.model.requests.map((request) => request.body))
  for (const text of told(host)) assert.ok(!requests.includes(text.slice(0, 40)), text)
}

test('a missing login is told at once and once, and the message is taken along when there is one', async (t) => {
  const host = await TestHost.create(t)
  const { code, stderr } = await host.run(['chat', '--once', 'the first words'], {
    env: { ANTHROPIC_API_KEY: '', HOME: host.root },
  })
  assert.equal(code, 1)
  assert.match(stderr, /login is missing or not accepted/)
  assert.equal(told(host).length, 1)
  assert.match(await host.say('!echo now it works'), /works/)
  const asked = JSON.stringify(host.model.requests.map((request) => request.body))
  assert.ok(asked.includes('the first words'))
  assert.equal(told(host).length, 1)
  assertNotFedBack(host)
})

test('a login that appears while the host runs is noticed, and what waited for it is answered', async (t) => {
  const host = await TestHost.create(t, { ANTHROPIC_API_KEY: '' })
  const claude = path.join(host.root, '.claude')
  mkdirSync(claude)
  await host.start({ HOME: host.root })
  assert.equal((await host.run(['chat', '--once', '!echo it waited'])).code, 1)
  const login = { claudeAiOauth: { accessToken: `sk-ant-oat01-${randomUUID()}`, expiresAt: Date.now() + 3_600_000 } }
  writeFileSync(path.join(claude, '.credentials.json'), JSON.stringify(login))
  const answers = () => query(host, 'SELECT content FROM messages WHERE is_bot_message = 1').map(({ content }) => String(content))
  await until(() => answers().some((text) => text.includes('it waited')), 'the message is answered')
  assert.equal(told(host).length, 1)
})

test('a login that is refused is told, and not tried again by itself', async (t) => {
  const host = await TestHost.create(t)
  const { code, stderr } = await host.run(['chat', '--once', '!error 401'])
  assert.equal(code, 1)
  assert.match(stderr, /not accepted/)
  assert.deepEqual(turns(host), [{ state: 'pending', reason: 'login', tries: 1 }])
})

test('a request that the model refuses is told at once and not tried again', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  for (const [script, words] of [
    ['!error 400', /refused the request/],
    ['!error 413', /too large/],
  ] as const) {
    const { code, stderr } = await host.run(['chat', '--once', script])
    assert.equal(code, 1)
    assert.match(stderr, words)
  }
  assert.deepEqual(turns(host), [
    { state: 'failed', reason: 'invalid-request', tries: 1 },
    { state: 'failed', reason: 'too-large', tries: 1 },
  ])
  assert.equal(told(host).length, 2)
  assert.match(await host.say('!echo fine'), /fine/)
  assertNotFedBack(host)
})

test('an overloaded model and a connection that drops are survived in silence', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  for (const script of ['!error 529', '!drop', '!midstream cut']) assert.ok((await host.say(script)).length > 0, script)
  assert.deepEqual(
    turns(host).map(({ state, tries }) => [state, tries]),
    Array(3).fill(['done', 2]),
  )
  assert.deepEqual(told(host), [])
})

test('when every try fails the chat is told once, at the end', async (t) => {
  const host = await TestHost.create(t, { MAX_TURN_RETRIES: '0' })
  const { code, stderr } = await host.run(['chat', '--once', '!error 529'])
  assert.equal(code, 1)
  assert.match(stderr, /could not be reached.*gave up/)
  assert.equal(told(host).length, 1)
  assert.doesNotMatch(stderr, /127\.0\.0\.1|gateway/)
})

test('a usage limit is waited for: told once when the wait is long, with the time', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const waiting = host.run(['chat', '--once', '!error 429 after=90', '--timeout', '10'])
  await until(() => told(host).length === 1, 'the chat is told')
  assert.match(told(host)[0] ?? '', /usage limit.*again at \d\d:\d\d/)
  const [turn] = query(host, 'SELECT state, failures, not_before - started_at AS wait FROM turns')
  assert.deepEqual([turn?.state, turn?.failures], ['pending', 0])
  assert.ok(Number(turn?.wait) >= 85_000)
  assert.equal((await waiting).code, 1)
})

test('a session that is lost is started afresh, once, with a line in the answer', async (t) => {
  const host = await TestHost.create(t)
  await host.say('!echo before')
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'))
  db.exec("UPDATE sessions SET session_id = '11111111-1111-4111-8111-111111111111'")
  db.close()
  assert.match(await host.say('!echo hello again'), /hello again[\s\S]*fresh one/)
  assert.doesNotMatch(await host.say('!echo and again'), /fresh one/)
  assert.deepEqual(told(host), [])
})

test('a turn over its time is interrupted, told at once, and tried once more', async (t) => {
  const host = await TestHost.create(t, { CONTAINER_TIMEOUT: String(patience(20_000)) })
  const { stderr, code } = await host.run(['chat', '--once', '!tool Bash {"command":"tail -f /dev/null"}'])
  assert.equal(code, 0, stderr)
  assert.equal(told(host).length, 1)
  assert.match(told(host)[0] ?? '', /longer than allowed.*once more/)
  assert.deepEqual(turns(host), [{ state: 'done', reason: null, tries: 2 }])
  assertNotFedBack(host)
})
