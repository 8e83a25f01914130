import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'

const query = (host: TestHost, sql: string) => {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  try {
    return db.prepare(sql).all() as Record<string, unknown>[]
  } finally {
    db.close()
  }
}

test('a backup made under load brings the same conversation back after everything is lost, and nothing is doubled', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'saved')
  const host = await TestHost.create(t, { HOME: folder, BACKUP_PASSPHRASE: 'correct horse battery' })
  await host.start()
  await host.say('!echo the first of all')
  const [{ sessionId }] = (await host.status()).groups

  // The agent writes files and answers while the backup is made; the last of its turns is caught running.
  const busy = host.run(['chat', '--once', '!tool Bash {"command":"seq 20000 > many; cp many more"}'])
  const model = host.hold('!slow 50')
  const asked = host.run(['chat', '--once', '!slow 50 20'])
  await host.modelWasAsked('!slow 50')
  const saved = await host.run(['backup', file, '--encrypt'])
  assert.equal(saved.code, 0, saved.stderr)
  const onHost = await host.run(['restore', file])
  assert.equal(onHost.code, 1)
  assert.match(onHost.stderr, /already running/)

  await host.kill()
  model.release()
  rmSync(host.root, { recursive: true, force: true })
  const restored = await host.run(['restore', file])
  assert.equal(restored.code, 0, restored.stderr)

  await host.start()
  await until(() => query(host, "SELECT 1 FROM turns WHERE state IN ('pending', 'running')").length === 0, 'all is answered', {
    limitMs: 240_000,
  })
  assert.equal((await host.status()).groups[0].sessionId, sessionId, 'the same session')
  assert.match(await host.say('!history'), /the first of all/, 'the agent remembers')
  assert.equal((await host.status()).groups[0].sessionId, sessionId)
  const failed = query(host, "SELECT * FROM turns WHERE state <> 'done'")
  assert.deepEqual(failed, [])
  const often = query(host, 'SELECT turn_id FROM messages WHERE is_bot_message = 1 GROUP BY turn_id HAVING count(*) > 1')
  assert.deepEqual(often, [], 'no turn has two answers')
  const lost = query(
    host,
    "SELECT m.content FROM messages m LEFT JOIN turns t ON t.id = m.turn_id WHERE m.is_bot_message = 0 AND t.state IS NOT 'done'",
  )
  assert.deepEqual(lost, [], 'every message is answered')
  assert.deepEqual(query(host, 'SELECT DISTINCT state FROM outbox'), [{ state: 'sent' }])
  await Promise.all([busy, asked])
})

test('the host makes a backup a day by itself, and one that fails is in its status', async (t) => {
  const folder = temporaryFolder(t)
  const backups = path.join(folder, 'backups')
  writeFileSync(backups, 'a file in the way')
  const host = await TestHost.create(t, { HOME: folder, BACKUP_FOLDER: backups })
  await host.start()
  const troubles = async () => (await host.status()).troubles.filter(({ kind }) => kind === 'backup')
  await until(async () => (await troubles()).length === 1, 'the failure is in the status', { limitMs: 240_000 })
  const [trouble] = await troubles()
  assert.equal(trouble?.where, backups)
  assert.match(trouble.why, /daily backup fails/)
  await host.stop()

  rmSync(backups)
  mkdirSync(backups)
  const facts = new SQLite(path.join(host.root, 'store', 'messages.db'))
  facts.exec("DELETE FROM router_state WHERE key = 'backups'") // as if an hour had passed
  facts.close()
  await host.start()
  const names = () => readdirSync(backups).filter((name) => /^nanoclaw-\d{8}-\d{6}\.tar\.gz$/.test(name))
  await until(() => names().length === 1, 'a backup is made', { limitMs: 240_000 })
  await until(async () => (await troubles()).length === 0, 'the trouble is over')
})
