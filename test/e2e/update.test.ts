import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import SQLite from 'better-sqlite3'
import { isEncrypted } from '../../src/cli/backup/read-backup.ts'
import { Checkout } from '../../src/cli/update/checkout.ts'
import { healthOf } from '../../src/cli/update/health.ts'
import { update } from '../../src/cli/update/update.ts'
import { loadConfig } from '../../src/config.ts'
import { until } from '../fakes/patience.ts'
import { keptHost, Releases } from '../fakes/releases.ts'
import { temporaryFolder } from '../fakes/rooms.ts'

const PATIENCE_MS = 180_000

/** A clone of 0.1.0 whose host runs and has something in its database. */
async function installation(t: TestContext, settings = '') {
  const releases = new Releases(t)
  const { clone } = releases
  writeFileSync(releases.inClone('.env'), settings)
  const env = { ...process.env, NANOCLAW_HOME: clone, HOME: temporaryFolder(t), ANTHROPIC_API_KEY: 'k', METRICS_PORT: '', CI: '' }
  const config = loadConfig(env, env.HOME)
  const keeper = keptHost({ clone, env })
  t.after(() => keeper.stop())
  await keeper.start()
  const socketPath = config.paths.controlSocket
  await until(async () => (await healthOf(socketPath))?.ready ?? false, 'the host is ready', { limitMs: PATIENCE_MS })
  query((db) => db.exec("INSERT INTO router_state VALUES ('mine', 'kept')"))
  function query<T>(use: (db: SQLite.Database) => T): T {
    const db = new SQLite(config.paths.database)
    try {
      return use(db)
    } finally {
      db.close()
    }
  }
  const version = () => query((db) => Number(db.pragma('user_version', { simple: true })))
  const mine = () => query((db) => db.prepare("SELECT value FROM router_state WHERE key = 'mine'").pluck().get())
  const said: string[] = []
  const go = async (tag?: string, patienceMs = PATIENCE_MS) => {
    const checkout = new Checkout({ project: clone, env })
    const [from, to] = [await checkout.current(), await checkout.wanted(tag)]
    const say = (line: string) => said.push(line)
    await update({ config, env, checkout, keeper, say, now: () => new Date(), patienceMs }, { from, to })
  }
  return { releases, keeper, go, version, mine, said, query, health: () => healthOf(socketPath), before: version() }
}

test('an update saves, switches, migrates and starts again; what people wrote in files of the program stays', async (t) => {
  const { releases, keeper, go, version, mine, health } = await installation(t)
  const memory = releases.inClone('groups', 'main', 'CLAUDE.md')
  writeFileSync(memory, 'I remember this.\n')
  const earlier = ['0.11.0-20260101', '0.10.0-20260102', '0.9.0-20260103'].map((name) => `before-update-${name}-000000.tar.gz`)
  mkdirSync(releases.inClone('backups'))
  for (const name of [...earlier, 'mine']) writeFileSync(releases.inClone('backups', name), '')
  releases.release('0.2.0', { ...Releases.migration('CREATE TABLE later (a) ;'), 'groups/main/CLAUDE.md': 'New words.\n' })
  await go()
  assert.deepEqual(await health().then((now) => [now?.version, now?.ready]), ['0.2.0', true])
  assert.equal(version(), 9999)
  assert.equal(mine(), 'kept')
  assert.equal(readFileSync(memory, 'utf8'), 'I remember this.\n')
  assert.deepEqual(keeper.log, ['start', 'stop', 'start', 'settle'])
  const backups = readdirSync(releases.inClone('backups'))
  assert.deepEqual(
    backups.filter((name) => !name.startsWith('before-update-0.1.0-')),
    [...earlier.slice(1), 'mine'],
  )
  assert.equal(backups.length, 4)
  assert.deepEqual(
    readdirSync(releases.inClone('.runtime')).filter((name) => name.startsWith('trial-')),
    [],
  )
})

test('a version that cannot take over the data is refused while the host goes on running', async (t) => {
  const { releases, keeper, go, version, mine, health, before } = await installation(t)
  const { pid } = (await health()) ?? {}
  releases.release('0.2.0', Releases.migration('INSERT INTO no_such_table VALUES (1);'))
  await assert.rejects(go(), { code: 'update.refused', message: /no_such_table/ })
  assert.deepEqual(await health(), { version: '0.1.0', pid, ready: true })
  assert.deepEqual(keeper.log, ['start'])
  assert.equal(version(), before)
  assert.equal(mine(), 'kept')
  assert.equal(releases.git('symbolic-ref', '--short', 'HEAD'), 'main')
})

test('when a version does not work after it changed the data, code and data return together', async (t) => {
  const { releases, keeper, go, version, mine, health, query, before, said } = await installation(
    t,
    'BACKUP_PASSPHRASE=correct horse battery\n',
  )
  releases.release('0.2.0', { ...Releases.migration('CREATE TABLE later (a); DELETE FROM router_state;'), ...Releases.broken() })
  await assert.rejects(go(undefined, 6_000), { code: 'update.failed', message: /0\.1\.0 runs/ })
  assert.deepEqual(await health().then((now) => [now?.version, now?.ready]), ['0.1.0', true])
  assert.equal(releases.git('symbolic-ref', '--short', 'HEAD'), 'main', 'a branch stays one')
  assert.equal(version(), before)
  assert.equal(mine(), 'kept')
  assert.deepEqual(
    query((db) => db.prepare("SELECT name FROM sqlite_schema WHERE name = 'later'").all()),
    [],
  )
  assert.deepEqual(keeper.log, ['start', 'stop', 'start', 'stop', 'start', 'settle'])
  assert.ok(
    said.some((line) => /before-restore-/.test(line)),
    'what the new version had is kept',
  )
  const [backup = ''] = readdirSync(releases.inClone('backups'))
  assert.match(backup, /^before-update-0\.1\.0-.*\.enc$/)
  assert.ok(await isEncrypted(releases.inClone('backups', backup)))
})

test('where the newest release is a part of what is here, nothing is newer, and an older one is gone to only by its name', async (t) => {
  const releases = new Releases(t)
  const checkout = new Checkout({ project: releases.clone, env: process.env })
  const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']
  releases.git(...who, 'commit', '--quiet', '--allow-empty', '-m', 'further')
  const { commit } = await checkout.current()
  assert.equal((await checkout.wanted(undefined)).commit, commit)
  assert.equal((await checkout.wanted('v0.1.0')).commit, releases.git('rev-parse', 'v0.1.0'))
  releases.release('0.2.0', {})
  assert.equal((await checkout.wanted(undefined)).version, '0.2.0')
})

test('the command updates where no host runs, leaves none, and refuses what it would lose', async (t) => {
  const { releases, keeper, version, mine } = await installation(t)
  const command = (...args: string[]) =>
    new Promise<{ code: number; said: string }>((resolve) => {
      const env = { ...process.env, NANOCLAW_HOME: releases.clone, ANTHROPIC_API_KEY: 'k', CI: '' }
      execFile(releases.inClone('nanoclaw'), ['update', ...args], { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
      )
    })
  assert.match((await command()).said, /0\.1\.0 runs, which is the newest/)
  releases.release('0.2.0', Releases.migration('CREATE TABLE later (a) ;'))
  assert.match((await command('--check')).said, /goes to 0\.2\.0/)
  const byHand = await command()
  assert.deepEqual([byHand.code, /runs in a terminal/.test(byHand.said)], [2, true], byHand.said)
  await keeper.stop()
  assert.deepEqual((await command('v9.9.9')).code, 2)
  writeFileSync(releases.inClone('nanoclaw'), '\n', { flag: 'a' })
  const changed = await command()
  assert.deepEqual([changed.code, /Files of the program were changed/.test(changed.said)], [2, true], changed.said)
  releases.git('checkout', '--', 'nanoclaw')
  const done = await command()
  assert.deepEqual([done.code, /Updated to 0\.2\.0/.test(done.said)], [0, true], done.said)
  assert.equal(version(), 9999)
  assert.equal(mine(), 'kept')
  assert.equal(await healthOf(releases.inClone('data', 'nanoclaw.sock')), undefined)
})
