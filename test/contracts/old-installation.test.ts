// An installation of an earlier version opens today, as far as that can be seen without a container.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { AuthState } from '../../src/channels/whatsapp/auth-state.ts'
import { databaseFile, openDeviceDatabase } from '../../src/channels/whatsapp/database.ts'
import { commands } from '../../src/cli/commands.ts'
import { isServiceOf } from '../../src/cli/service/service.ts'
import { closedTo, WRITTEN_BY_US } from '../../src/cli/service/systemd-unit.ts'
import { PROJECT } from '../../src/config.ts'
import { Store } from '../../src/store/store.ts'
import { TestHost } from '../fakes/host-process.ts'
import { type Entry, entriesBelow, OldInstallation, UNIT } from '../fakes/old-installation.ts'
import { type TestContext, temporaryFolder } from '../fakes/rooms.ts'
import { rowsOf, versionOf } from '../fakes/rows.ts'

const COMMIT = 'de269d9'
const VERSION = 10
/** Nobody else can give files to others, so nobody else can unpack them as they were. */
const needsRoot = { skip: process.getuid?.() !== 0 && 'only root can restore the owners of files' }

const databaseOf = (root: string) => path.join(root, 'store', 'messages.db')
const below = (entries: readonly Entry[], place: string) => entries.filter((entry) => entry.path.startsWith(`${place}/`))

async function opened(t: TestContext): Promise<{ old: OldInstallation; host: TestHost }> {
  const old = new OldInstallation(t, COMMIT)
  return { old, host: await TestHost.create(t, old.env, { root: old.root }) }
}

/** What agents and channels keep. A folder that an agent made within its own may have another mode afterwards. */
const KEPT = /^root\/(data\/sessions\/[^/]+\/(isolated\/)?\.claude|store\/auth)(\/|$)/
const MADE_INSIDE = /\.claude\/./

/** What is there again has the owner and the mode that it had; every transcript and every account is there. */
function assertSameRights(now: readonly Entry[], then: readonly Entry[]): void {
  const rights = ({ type, path: name, mode, uid, gid }: Entry) =>
    [name, uid, gid, type === 'folder' && MADE_INSIDE.test(name) ? '' : mode].join(' ')
  const before = new Map(then.filter(({ path: name }) => KEPT.test(name)).map((entry) => [entry.path, entry]))
  for (const entry of now) assert.equal(rights(entry), rights(before.get(entry.path) ?? entry))
  const isWanted = ({ path: name }: Entry) => KEPT.test(name) && /(\.claude|auth|\.jsonl|whatsapp\.db)$/.test(name)
  const wanted = then.filter(isWanted).map(({ path: name }) => name)
  assert.ok(wanted.length > 9)
  assert.deepEqual(
    now.filter(isWanted).map(({ path: name }) => name),
    wanted,
  )
}

test('the archive holds what its manifest says, with the modes and owners of a host that runs as root', needsRoot, (t) => {
  const old = new OldInstallation(t, COMMIT)
  assert.deepEqual(entriesBelow(old.folder), old.entries)
  const has = (name: string) => old.entries.find((entry) => entry.path === name)
  assert.deepEqual([has('root/store/messages.db')?.mode, has('root/store/messages.db')?.uid], ['600', 0])
  assert.deepEqual([has('root/groups/main')?.mode, has('root/groups/main')?.uid], ['755', 1000])
  assert.ok(has('root/store/messages.db-wal'), 'the host was killed, so there is a write-ahead log')
})

/** The name that git gives to a file with this content. */
function blobOf(file: string): string {
  const content = readFileSync(file)
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

test('the program beside it is the one of that commit', (t) => {
  const old = new OldInstallation(t, COMMIT)
  const program = old.program()
  const migrations = readdirSync(path.join(program, 'src', 'store', 'migrations')).map((name) => Number.parseInt(name, 10))
  assert.equal(Math.max(...migrations), VERSION)
  const listed = spawnSync('git', ['-C', PROJECT, 'ls-tree', '-r', '-z', COMMIT], { encoding: 'utf8' })
  // A clone need not have the history of that time.
  if (listed.status !== 0) return
  const blobs = new Map(listed.stdout.split('\0').map((line) => [line.split('\t')[1], line.split(/\s/)[2]]))
  for (const { type, path: name } of entriesBelow(program))
    if (type === 'file') assert.equal(blobOf(path.join(program, name)), blobs.get(name), name)
})

test('the store takes its database over: every row stays, and what was there before lies beside it', (t) => {
  const old = new OldInstallation(t, COMMIT)
  const file = databaseOf(old.root)
  const before = path.join(temporaryFolder(t), 'store')
  cpSync(path.dirname(file), before, { recursive: true })
  const rows = rowsOf(path.join(before, 'messages.db'))
  assert.equal(versionOf(path.join(before, 'messages.db')), VERSION)
  Store.open(file).close()
  const now = rowsOf(file, rows)
  for (const [table, { values }] of Object.entries(rows)) assert.deepEqual(now[table]?.values, values, table)
  const db = new SQLite(file, { readonly: true })
  t.after(() => db.close())
  assert.deepEqual(db.pragma('integrity_check'), [{ integrity_check: 'ok' }])
  assert.deepEqual(db.pragma('foreign_key_check'), [])
  if (versionOf(file) === VERSION) return
  const copy = `${file}.before-${VERSION + 1}`
  assert.equal(versionOf(copy), VERSION)
  assert.deepEqual(rowsOf(copy), rows)
})

test('its fixture has what an upgrade can lose', (t) => {
  const old = new OldInstallation(t, COMMIT)
  const store = Store.open(databaseOf(old.root))
  t.after(() => store.close())
  const tasks = store.tasks.all().map(({ schedule, status }) => `${schedule.type} ${status}`)
  assert.deepEqual(tasks.sort(), ['cron active', 'interval active', 'interval paused', 'once active'])
  const counted = rowsOf(databaseOf(old.root))
  for (const table of [
    'groups',
    'registered_groups',
    'messages',
    'turns',
    'sessions',
    'outbox',
    'task_run_logs',
    'questions',
    'usage',
    'audit',
  ])
    assert.ok((counted[table]?.values.length ?? 0) > 0, `${table} has rows`)
  const states = counted.turns?.values.map((row) => JSON.parse(row)).filter(({ state }) => state !== 'done')
  assert.deepEqual(states?.map(({ state, reason }) => `${state} ${reason}`).sort(), ['pending login', 'running null'])
})

test('the commands ask for a start of the host first, and say then what they said', async (t) => {
  const { old, host } = await opened(t)
  const early = await host.run(['groups', 'list'])
  if (early.code !== 0) assert.match(early.stderr, /Start NanoClaw once/)
  Store.open(databaseOf(old.root)).close()
  assert.ok(old.commands.length > 0)
  for (const command of old.commands) {
    const { code, stdout, stderr } = await host.run([...command.split(' '), '--json'])
    assert.equal(code, 0, `${command}: ${stderr}`)
    assert.partialDeepStrictEqual(JSON.parse(stdout), old.said(command), command)
  }
  const mounts = JSON.parse((await host.run(['mounts', 'list', '--json'])).stdout)
  assert.deepEqual(
    mounts.groups.map(({ folder, mounts: [mount] }: { folder: string; mounts: { type: string; target: string }[] }) => [
      folder,
      mount?.type,
      mount?.target,
    ]),
    [['family', 'allowed', '/workspace/extra/shared']],
  )
})

test('WhatsApp is linked to the account that it was linked to', async (t) => {
  const { old, host } = await opened(t)
  const [, whatsapp] = JSON.parse((await host.run(['channels', 'list', '--json'])).stdout)
  assert.match(whatsapp.detail, /^linked/)
  const device = openDeviceDatabase(databaseFile(path.join(old.root, 'store', 'auth')))
  t.after(() => device.close({ keep: true }))
  assert.equal(new AuthState(device.db).account?.phone, '15550001111@s.whatsapp.net')
})

test('what its update calls of a newer version is there: a copy of its database is taken over', async (t) => {
  const { old, host } = await opened(t)
  const store = path.join(temporaryFolder(t), 'store')
  cpSync(path.join(old.root, 'store'), store, { recursive: true })
  const { code, stderr } = await host.run(['migrate', path.join(store, 'messages.db')])
  assert.equal(code, 0, stderr)
  assert.ok(versionOf(path.join(store, 'messages.db')) >= VERSION)
})

test('its unit is known as ours, of the folder that it was made in, and starts what is there', (t) => {
  const old = new OldInstallation(t, COMMIT)
  const { unit } = old
  assert.ok(unit.startsWith(WRITTEN_BY_US), 'an install replaces it, instead of keeping it aside')
  const [, launcher = '', words = ''] = /^ExecStart="([^"]+)" (.+)$/m.exec(unit) ?? []
  const project = path.dirname(launcher)
  const state = {
    manager: 'systemd',
    file: path.join(old.home, UNIT),
    installed: true,
    running: true,
    detail: '',
    notes: [],
  } as const
  assert.equal(isServiceOf({ ...state, notes: [] }, project), true)
  assert.equal(isServiceOf({ ...state, notes: [] }, `${project}-2`), false)
  assert.deepEqual(closedTo(unit, [project, '/srv/elsewhere']), ['/srv/elsewhere'])
  assert.equal(path.basename(launcher), 'nanoclaw')
  assert.ok(commands(() => {}).commands.some((command) => command.name() === words))
})

test('its encrypted backup is restored where nothing is, with the same rows, files, modes and owners', needsRoot, async (t) => {
  const old = new OldInstallation(t, COMMIT)
  const folder = temporaryFolder(t)
  const root = path.join(folder, 'root')
  const env = { ...old.env, NANOCLAW_HOME: root, HOME: path.join(folder, 'home'), BACKUP_PASSPHRASE: old.passphrase }
  const host = await TestHost.create(t, env, { root })
  const { code, stderr } = await host.run(['restore', old.backup])
  assert.equal(code, 0, stderr)

  const rows = rowsOf(databaseOf(old.root))
  const restored = rowsOf(databaseOf(root), rows)
  for (const [table, { values }] of Object.entries(rows)) assert.deepEqual(restored[table]?.values, values, table)
  const isSaved = ({ path: name }: Entry) =>
    name === 'root/.env' ||
    name === 'root/data/install-id' ||
    (/^root\/groups\/./.test(name) && !/^root\/groups\/[^/]+\/logs(\/|$)/.test(name))
  const now = entriesBelow(folder)
  const wanted = old.entries.filter(isSaved)
  assert.ok(wanted.length > 5)
  assert.deepEqual(now.filter(isSaved), wanted)
  assertSameRights(now, old.entries)
  const policies = (entries: readonly Entry[]) => below(entries, 'home/.config/nanoclaw')
  assert.deepEqual(policies(now), policies(old.entries))
})

test('its backup takes the place of what is there, which is kept; a wrong passphrase changes nothing', async (t) => {
  const { old, host } = await opened(t)
  const before = entriesBelow(old.root).filter(({ path: name }) => !name.startsWith('data/host'))
  const wrong = await host.run(['restore', old.backup], { env: { BACKUP_PASSPHRASE: 'another passphrase' } })
  assert.notEqual(wrong.code, 0)
  assert.match(wrong.stderr, /passphrase/)
  assert.deepEqual(
    entriesBelow(old.root).filter(({ path: name }) => !name.startsWith('data/host')),
    before,
  )

  const { code, stdout, stderr } = await host.run(['restore', old.backup, '--json'])
  assert.equal(code, 0, stderr)
  const { kept } = JSON.parse(stdout)
  assert.ok(existsSync(path.join(kept, 'store', 'messages.db')))
  assert.deepEqual(readdirSync(path.join(kept, 'groups')).sort(), readdirSync(path.join(old.root, 'groups')).sort())
  Store.open(databaseOf(old.root)).close()
  const groups = await host.run(['groups', 'list', '--json'])
  assert.partialDeepStrictEqual(JSON.parse(groups.stdout), old.said('groups list'))
})
