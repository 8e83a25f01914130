import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Report } from '../../src/cli/doctor/doctor.ts'
import { startDemoModel } from '../../src/demo/server.ts'
import { Store } from '../../src/store/store.ts'
import { bridgeAddress } from '../fakes/guide-project.ts'
import { TestHost } from '../fakes/host-process.ts'

/** As of the guide's diagnostic script, in its order. */
const GUIDE = ['login', 'env-file', 'engine', 'image', 'session-mount', 'groups', 'run-logs', 'continuity']

test('a healthy host is found so, by every check of the guide too', async (t) => {
  const host = await TestHost.create(t, { HOME: home(t), TZ: 'Europe/Berlin' })
  await host.start()
  await host.say('run: echo hello')
  const { code, report } = await examined(host)
  assert.equal(code, 0, JSON.stringify(report, null, 2))
  for (const id of [...GUIDE, 'gateway', 'database', 'sessions', 'host', 'channels', 'troubles'])
    assert.equal(statusOf(report, id), 'ok', id)
  assert.match(find(report, 'run-logs').what, /newest is groups\/main\/logs\/container-/)
})

test('with the host down what is broken is found, explained, and put right where that is safe', async (t) => {
  const user = home(t)
  const host = await TestHost.create(t, { HOME: user })
  const file = (...parts: string[]) => path.join(host.root, ...parts)
  const store = Store.open(file('store', 'messages.db'))
  store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
  store.sessions.set('main', 'gone')
  store.close()
  writeFileSync(file('.env'), 'LOG_LEVEL=info\n')
  chmodSync(file('.env'), 0o644)
  mkdirSync(path.join(user, '.config', 'nanoclaw'), { recursive: true })
  writeFileSync(path.join(user, '.config', 'nanoclaw', 'mount-allowlist.json'), '{"allowedRoots":')

  const before = await examined(host)
  assert.equal(before.code, 1)
  assert.equal(before.report.worst, 'fail')
  assert.equal(statusOf(before.report, 'mount-allowlist'), 'fail')
  for (const id of ['secrets', 'sessions', 'host']) assert.equal(statusOf(before.report, id), 'warn', id)
  assert.match(find(before.report, 'sessions').fix, /sessions clear main/)

  const after = await examined(host, '--fix')
  for (const id of ['secrets', 'sessions']) assert.equal(statusOf(after.report, id), 'ok', id)
  assert.equal(statSync(file('.env')).mode & 0o777, 0o600)
  assert.equal(statusOf(after.report, 'mount-allowlist'), 'fail', 'a policy is for its owner to put right')
})

test('a damaged database is told, and not touched', async (t) => {
  const host = await TestHost.create(t, { HOME: home(t) })
  const file = path.join(host.root, 'store', 'messages.db')
  mkdirSync(path.dirname(file))
  writeFileSync(file, 'no database at all, but long enough to be looked at as one'.repeat(20))
  const { report } = await examined(host)
  assert.equal(statusOf(report, 'database'), 'fail')
  assert.deepEqual(readdirSync(path.dirname(file)), ['messages.db'])
})

test('what an agent put into its folders leads nowhere', async (t) => {
  const host = await TestHost.create(t, { HOME: home(t) })
  const outside = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-outside-'))
  t.after(() => rmSync(outside, { recursive: true }))
  writeFileSync(path.join(outside, 'stolen.jsonl'), '')
  writeFileSync(path.join(outside, 'container-20260101-000000.log'), '')
  const store = Store.open(path.join(host.root, 'store', 'messages.db'))
  store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
  store.sessions.set('main', 'stolen')
  store.close()
  const claude = path.join(host.root, 'data', 'sessions', 'main', '.claude')
  mkdirSync(path.join(claude, 'projects', 'deep'), { recursive: true })
  symlinkSync(outside, path.join(claude, 'projects', 'link'))
  symlinkSync('..', path.join(claude, 'projects', 'deep', 'loop'))
  execFileSync('mkfifo', [path.join(claude, 'projects', 'stolen.jsonl')])
  mkdirSync(path.join(host.root, 'groups', 'main'), { recursive: true })
  symlinkSync(outside, path.join(host.root, 'groups', 'main', 'logs'))

  const { report } = await examined(host)
  assert.equal(statusOf(report, 'sessions'), 'warn', 'the transcript outside is none of this group')
  assert.equal(find(report, 'run-logs').what, 'No container has run yet')
})

test('without an engine that is the finding, and what needs one is left out', async (t) => {
  const host = await TestHost.create(t, { HOME: home(t), DOCKER_HOST: 'unix:///nowhere.sock' })
  const { code, report } = await examined(host)
  assert.equal(code, 1)
  assert.match(find(report, 'engine').why, /nowhere\.sock/)
  for (const id of ['runc', 'isolation', 'image', 'gateway']) assert.equal(statusOf(report, id), 'skip', id)
})

test('a group on the bridge network has its way out tried', async (t) => {
  const outside = await startDemoModel({ host: bridgeAddress() })
  t.after(() => outside.close())
  const host = await TestHost.create(t, { HOME: home(t), NETWORK: 'bridge', ANTHROPIC_BASE_URL: outside.url })
  const store = Store.open(path.join(host.root, 'store', 'messages.db'))
  store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
  store.close()
  const firewall = async () => find((await examined(host)).report, 'firewall')
  assert.equal((await firewall()).status, 'ok')
  await outside.close()
  assert.match((await firewall()).what, /reach nothing outside/)
})

test('settings that cannot be used are the finding', async (t) => {
  const host = await TestHost.create(t, { HOME: home(t), MAX_CONCURRENT_CONTAINERS: 'many' })
  const { code, report } = await examined(host)
  assert.equal(code, 1)
  assert.match(find(report, 'settings').why, /MAX_CONCURRENT_CONTAINERS/)
})

function home(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-home-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function examined(host: TestHost, ...options: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, stdout, stderr } = await host.run(['doctor', '--json', ...options])
  assert.ok(stdout.startsWith('{'), stderr)
  return { code, report: JSON.parse(stdout) }
}

function find(report: Report, id: string) {
  const check = report.checks.find((one) => one.id === id)
  assert.ok(check, `there is a check ${id}`)
  return check
}

function statusOf(report: Report, id: string) {
  return find(report, id).status
}
