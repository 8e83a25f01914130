// An installation of an earlier version goes on today, and goes back when today's version does not work.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { hostStatus, type TaskDetail } from '@nanoclaw/protocol'
import type { Report } from '../../src/cli/doctor/doctor.ts'
import type * as CheckoutModule from '../../src/cli/update/checkout.ts'
import { healthOf } from '../../src/cli/update/health.ts'
import type * as Update from '../../src/cli/update/update.ts'
import type * as Config from '../../src/config.ts'
import type { Script } from '../../src/demo/reply.ts'
import { demoScript } from '../../src/demo/script.ts'
import { TestHost } from '../fakes/host-process.ts'
import { type Entry, entriesBelow, OldInstallation } from '../fakes/old-installation.ts'
import { until } from '../fakes/patience.ts'
import { keptHost, Releases } from '../fakes/releases.ts'
import { type TestContext, temporaryFolder } from '../fakes/rooms.ts'
import { type Rows, rowsOf, versionOf } from '../fakes/rows.ts'
import { People } from '../fakes/whatsapp/people.ts'
import { FakeWhatsApp } from '../fakes/whatsapp/server.ts'
import { shownTexts } from '../fakes/whatsapp/world.ts'

const COMMIT = 'de269d9'
const VERSION = 10
const needsRoot = { skip: process.getuid?.() !== 0 && 'only root can restore the owners of files' }
const BOB = '15550003333'
const [PARKED, INTERRUPTED, DELIVERED] = ['the parked answer', 'the interrupted answer', 'Bob, the boat is ready.']

/** What `doctor` looks at of an installation itself; the rest is the machine's. */
const OURS = [
  'root',
  'home',
  'env-file',
  'secrets',
  'mount-allowlist',
  'sender-allowlist',
  'database',
  'groups',
  'sessions',
  'host',
  'channels',
]

/** What the assistant said in a chat, oldest first. */
async function answers(host: TestHost, jid: string): Promise<string[]> {
  const messages = await host.client.history(jid, 100)
  return messages.flatMap(({ text, fromAssistant }) => (fromAssistant ? [text] : []))
}

/** What is written again and again, or made for a run. */
const PASSING = /^(data\/(run|host)|store\/.*(-wal|-shm|-journal)$|groups\/[^/]+\/logs\/|data\/sessions\/.*\.claude\/)/

/** What nobody but the host's user may read. */
const CLOSED =
  /^(\.env|store\/messages\.db.*|store\/auth(\/.*\.db)?|data\/install-id|data\/sessions\/[^/]+\/(isolated\/)?\.claude)$/

/** What was there and is there still has the mode and the owner that it had. */
function assertSameRights(old: OldInstallation): void {
  const now = new Map(entriesBelow(old.root).map((entry) => [entry.path, entry]))
  const rights = ({ path: name, mode, uid, gid }: Entry) => [name, mode, uid, gid].join(' ')
  const before = old.entries.flatMap((entry) =>
    entry.path.startsWith('root/') ? [{ ...entry, path: entry.path.slice('root/'.length) }] : [],
  )
  const kept = before.filter(({ path: name }) => !PASSING.test(name))
  assert.ok(kept.length > 20)
  for (const entry of kept) assert.equal(rights(now.get(entry.path) ?? assert.fail(`${entry.path} is gone`)), rights(entry))
  const closed = [...now.values()].filter(({ path: name }) => CLOSED.test(name))
  assert.deepEqual(closed.filter(({ mode }) => !/00$/.test(mode)).map(rights), [])
}

/** Once, and never again: each moment of a schedule that has not come is as it was. */
function assertSameMoments(now: readonly TaskDetail[], then: readonly TaskDetail[]): void {
  assert.deepEqual(
    now.map(({ id, status }) => [id, status]),
    then.map(({ id, status }) => [id, status]),
  )
  for (const task of then) {
    const { nextRun } = now.find(({ id }) => id === task.id) ?? assert.fail(`${task.id} is gone`)
    // What came since is made up for, or is not: that is the schedule's, not the upgrade's.
    if (task.nextRun === null || task.nextRun > Date.now()) assert.equal(nextRun, task.nextRun, task.prompt)
  }
}

/** The host on an old installation, with a WhatsApp that knows it, and a model that refuses one login until it accepts it. */
async function goingOn(t: TestContext) {
  const old = new OldInstallation(t, COMMIT)
  const people = People.restored(old.platform)
  const server = await FakeWhatsApp.start(t, { people })
  const login = { accepted: false }
  const script: Script = (conversation) =>
    conversation.said.includes(`!echo ${PARKED}`) && !login.accepted ? { type: 'error', status: 401 } : demoScript(conversation)
  const env = { ...old.env, WHATSAPP_SOCKET_URL: server.url }
  const host = await TestHost.create(t, env, { root: old.root, model: { script } })
  const bob = people.phones.get(BOB) ?? assert.fail('there is no Bob')
  const count = async (jid: string, answer: string) => (await answers(host, jid)).filter((text) => text === answer).length
  /** How often the chat was told that the login is not accepted. */
  const told = async () => (await answers(host, 'local:family')).filter((text) => text.includes('login')).length
  const open = async () => {
    const { turns, outbox } = await host.status()
    return [turns.pending, turns.running, outbox.pending].join()
  }
  return { old, host, login, bob, count, told, open }
}

test('the current host goes on with it: what waited is answered and delivered', needsRoot, async (t) => {
  const { old, host, login, bob, count, told, open } = await goingOn(t)
  await host.start()
  await until(async () => (await count('local:main', INTERRUPTED)) > 0, 'the turn that was broken off is answered')
  await until(() => shownTexts(bob).includes(DELIVERED), 'the delivery that waited arrives')
  await until(() => host.model.requests.some(({ reply }) => reply?.type === 'error'), 'the login is tried')
  await until(async () => (await open()) === '1,0,0', 'only the turn without a login waits', {
    seen: () => host.model.requests.length,
  })
  assert.deepEqual([await count('local:family', PARKED), await told()], [0, 1])
  assert.equal(await host.stop(), 0)

  login.accepted = true
  await host.start()
  await until(async () => (await count('local:family', PARKED)) > 0, 'the turn that waited for a login is answered')
  await assertRemembers(host)
  await until(async () => (await open()) === '0,0,0', 'nothing waits')
  assert.deepEqual([await count('local:family', PARKED), await told()], [1, 1])
  assert.equal(await count('local:main', INTERRUPTED), 1)
  assert.deepEqual(shownTexts(bob), [DELIVERED])
  await assertReadable(host, old)
  assert.equal(await host.stop(), 0)
  assertSameRights(old)
})

/** The conversation, the files and the mount of an agent. */
async function assertRemembers(host: TestHost): Promise<void> {
  const cat = (file: string) => `!tool Bash {"command":"cat ${file}"}`
  assert.match(await host.say('!history'), /the first answer/)
  assert.match(await host.say(cat('boat.md')), /The boat is blue/)
  assert.match(await host.say(cat('/workspace/extra/shared/recipe.txt'), ['--group', 'family']), /Flour/)
}

/** Status and doctor, and what the owner set. */
async function assertReadable(host: TestHost, old: OldInstallation): Promise<void> {
  const json = async (...command: string[]) => JSON.parse((await host.run([...command, '--json'])).stdout)
  assert.equal(hostStatus.parse(await json('status')).ready, true)
  for (const command of ['groups list', 'sessions list'])
    assert.partialDeepStrictEqual(await json(...command.split(' ')), old.said(command), command)
  assertSameMoments(await json('tasks', 'list'), old.said<TaskDetail[]>('tasks list'))
  const { checks }: Report = await json('doctor')
  const looked = checks.filter(({ id }) => OURS.includes(id))
  assert.equal(looked.length, OURS.length)
  assert.deepEqual(
    looked.filter(({ status }) => status === 'fail'),
    [],
  )
}

/** Its program in a git repository of its own, and its data in a clone of that, as the guide has it. */
function installed(t: TestContext) {
  const old = new OldInstallation(t, COMMIT)
  const releases = new Releases(t, { first: old.program() })
  const { clone } = releases
  execFileSync('cp', ['-a', `${old.root}/.`, clone])
  // No agent works here: an image that is not there parks what is asked, and changes nothing else.
  const settings = { CONTAINER_IMAGE: 'nanoclaw-no-such-image:1', XDG_RUNTIME_DIR: '', METRICS_PORT: '', CI: '' }
  const env = { ...process.env, ...old.env, ...settings, NANOCLAW_HOME: clone }
  const keeper = keptHost({ clone, env })
  t.after(() => keeper.stop())
  const health = () => healthOf(path.join(clone, 'data', 'nanoclaw.sock'))
  return { old, releases, clone, env, keeper, health }
}

/** The update of the old program, which is what people have. All of it is loaded before it exchanges its own files. */
async function oldUpdate({ old, clone, env, keeper }: ReturnType<typeof installed>) {
  const load = (...parts: string[]) => import(pathToFileURL(path.join(clone, 'src', ...parts)).href)
  const { update }: typeof Update = await load('cli', 'update', 'update.ts')
  const { Checkout }: typeof CheckoutModule = await load('cli', 'update', 'checkout.ts')
  const { loadConfig }: typeof Config = await load('config.ts')
  const said: string[] = []
  const go = async (patienceMs: number) => {
    const checkout = new Checkout({ project: clone, env })
    const [from, to] = [await checkout.current(), await checkout.wanted(undefined)]
    const say = (line: string) => void said.push(line)
    const config = loadConfig(env, old.home)
    await update({ config, env, checkout, keeper, say, now: () => new Date(), patienceMs }, { from, to })
  }
  return { said, go }
}

/** What no host changes by itself; the rest is compared row by row where it can only grow. */
const STEADY = ['groups', 'registered_groups', 'sessions', 'scheduled_tasks', 'questions', 'usage'] as const
/** Of a task, all that its schedule does not change. */
const TASKS: Rows = { scheduled_tasks: { columns: ['id', 'group_folder', 'prompt', 'schedule_value', 'status'], values: [] } }

function assertNothingLost(file: string, rows: Rows): void {
  const now = rowsOf(file, rows)
  for (const table of STEADY) assert.deepEqual(now[table]?.values, rows[table]?.values, table)
  for (const table of ['messages', 'task_run_logs', 'audit']) {
    const there = new Set(now[table]?.values)
    assert.deepEqual(
      rows[table]?.values.filter((row) => !there.has(row)),
      [],
      table,
    )
  }
  const waiting = rowsOf(file, { outbox: { columns: ['jid', 'text'], where: "state = 'pending'", values: [] } })
  assert.deepEqual(waiting.outbox?.values, [JSON.stringify({ jid: `${BOB}@s.whatsapp.net`, text: DELIVERED })])
}

test(
  'when today’s version does not work on it, program and data go back together, and the next one takes them over',
  needsRoot,
  async (t) => {
    const installation = installed(t)
    const { old, releases, clone, keeper, health } = installation
    const file = path.join(clone, 'store', 'messages.db')
    const copy = path.join(temporaryFolder(t), 'store')
    cpSync(path.join(clone, 'store'), copy, { recursive: true })
    const saved = path.join(copy, 'messages.db')
    const rows = { ...rowsOf(saved), ...rowsOf(saved, TASKS) }
    const { go, said } = await oldUpdate(installation)

    const harm = Releases.migration('CREATE TABLE later (a); DELETE FROM sessions; UPDATE messages SET content = upper(content);')
    releases.releaseOfThis('99.0.0', { ...harm, ...Releases.broken() })
    await assert.rejects(go(6_000), { code: 'update.failed', message: /0\.1\.0 runs/ })
    assert.ok(
      said.some((line) => /before-restore-/.test(line)),
      'what the new version had is kept',
    )
    assert.deepEqual(await health().then((now) => [now?.version, now?.ready]), ['0.1.0', true])
    assert.equal(releases.git('symbolic-ref', '--short', 'HEAD'), 'main')
    assert.equal(versionOf(file), VERSION, 'the old program knows this database')
    assertNothingLost(file, rows)
    const same = ['.env', 'data/install-id', 'groups/main/boat.md', 'groups/main/CLAUDE.md', 'groups/family/CLAUDE.md']
    const contents = (root: string) =>
      same.filter((name) => existsSync(path.join(root, name))).map((name) => readFileSync(path.join(root, name), 'utf8'))
    assert.ok(contents(old.root).length > 3)
    assert.deepEqual(contents(clone), contents(old.root))

    releases.releaseOfThis('99.1.0', {})
    await go(180_000)
    assert.deepEqual(await health().then((now) => [now?.version, now?.ready]), ['99.1.0', true])
    assertNothingLost(file, rows)
    await keeper.stop()
  },
)
