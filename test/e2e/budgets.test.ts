import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'

function query(host: TestHost, sql: string) {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'))
  try {
    return db.prepare(sql).all() as Record<string, unknown>[]
  } finally {
    db.close()
  }
}

const told = (host: TestHost) =>
  query(host, "SELECT text FROM outbox WHERE key LIKE '%-told-%' ORDER BY seq").map(({ text }) => String(text))
const answers = (host: TestHost) =>
  query(host, 'SELECT content FROM messages WHERE is_bot_message = 1').map(({ content }) => String(content))
const used = async (host: TestHost) => JSON.parse((await host.run(['usage', '--json'])).stdout).all.day

test('a group whose budget is used up is told once when it goes on, and goes on when it gets more', async (t) => {
  const host = await TestHost.create(t, { TZ: 'UTC' })
  await host.start()
  assert.equal((await host.run(['groups', 'set', 'main', '--config', '{"budget":{"dayTokens":1}}'])).code, 0)
  assert.match(await host.say('!echo the first call exceeds it'), /exceeds it/)
  const { calls, countedTokens } = await used(host)
  assert.ok(calls >= 1 && countedTokens > 1, `${calls} calls, ${countedTokens} tokens`)

  const asked = host.model.requests.length
  const waiting = host.run(['chat', '--once', '!echo with more'])
  await until(() => told(host).length > 0, 'the chat is told')
  assert.match(told(host)[0] ?? '', /^This group's budget for this day is used up\. I will try again at \d{4}-\d\d-\d\d 00:00\.$/)
  assert.equal(host.model.requests.length, asked, 'nothing goes up')
  const [turn] = query(host, "SELECT not_before FROM turns WHERE state = 'pending'")
  assert.equal(Number(turn?.not_before) % 86_400_000, 0, 'it waits until midnight')

  assert.equal((await host.run(['groups', 'set', 'main', '--config', '{"budget":{"dayTokens":100000000}}'])).code, 0)
  await until(() => answers(host).some((text) => text.includes('with more')), 'it is answered')
  assert.equal((await waiting).code, 0)
  assert.equal(told(host).length, 1)
})

test('the budget of all groups holds from the settings, also after a restart with another one', async (t) => {
  const host = await TestHost.create(t, { TZ: 'UTC' })
  await host.start({ BUDGET_MONTH_USD: '0' })
  const waiting = host.run(['chat', '--once', '!echo next time'])
  await until(() => told(host).length > 0, 'the chat is told')
  assert.match(
    told(host)[0] ?? '',
    /^The budget of all groups for this month is used up\. I will try again at \d{4}-\d\d-01 00:00\.$/,
  )
  assert.equal(host.model.requests.length, 0)
  await host.stop()
  await host.start({ BUDGET_MONTH_USD: '100' })
  await until(() => answers(host).some((text) => text.includes('next time')), 'it is answered')
  await waiting
})
