import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../test/fakes/clock.ts'
import { FakeContainer } from '../test/fakes/container.ts'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { ContainerRunner, type ContainerSettings, mountsOf } from './container-runner.ts'

function settings(t: TestContext, changes: Partial<ContainerSettings> = {}): ContainerSettings {
  const root = temporaryFolder(t)
  for (const folder of ['groups/main/logs', 'groups/family/logs', 'groups/global', 'groups/evil', 'project/container/skills'])
    mkdirSync(path.join(root, folder), { recursive: true })
  symlinkSync('/etc', path.join(root, 'groups', 'evil', 'logs'))
  return {
    ...{ root, runs: path.join(root, 'data', 'run'), project: path.join(root, 'project'), projectEntries: ['src'] },
    ...{
      installId: 'x',
      image: 'i',
      user: { uid: 1000, gid: 1000 },
      network: 'gateway',
      credentials: 'gateway',
      timeZone: 'UTC',
    },
    ...changes,
  }
}

type Who = { folder: string; isMain?: boolean; lane?: 'chat' | 'isolated' }

/** `target < source, mode`, below the root. */
function mounts(given: ContainerSettings, { folder, isMain = false, lane = 'chat' }: Who) {
  const group = { folder, name: folder, isMain, config: {} }
  return mountsOf({ settings: given, group, lane, runId: 'r1' }).map(
    ({ source, target, readonly }) => `${target} < ${path.relative(given.root, source)}${readonly ? '' : ' (rw)'}`,
  )
}

test('a group has its own folders and nothing else, and writes only where the host never does', (t) => {
  assert.deepEqual(mounts(settings(t), { folder: 'family' }), [
    '/workspace/group < groups/family (rw)',
    '/workspace/group/logs < groups/family/logs',
    '/workspace/ipc < data/ipc/family',
    '/workspace/ipc/messages < data/ipc/family/messages (rw)',
    '/workspace/ipc/tasks < data/ipc/family/tasks (rw)',
    '/workspace/ipc/files < data/ipc/family/files (rw)',
    '/home/node/.claude < data/sessions/family/.claude (rw)',
    '/home/node/.claude/skills < project/container/skills',
    '/workspace/env-dir < data/run/r1/env-dir',
    '/workspace/attachments < data/attachments/family',
    '/run/nanoclaw < data/run/r1',
    '/workspace/global < groups/global',
  ])
})

test('main reads what is listed of the project and all groups without their logs, and never the root itself', (t) => {
  const given = settings(t)
  const own = mounts(given, { folder: 'family' }).length - 1
  assert.deepEqual(mounts(given, { folder: 'main', isMain: true }).slice(own).sort(), [
    '/workspace/project/.env < ../../dev/null',
    '/workspace/project/groups < groups',
    '/workspace/project/groups/family/logs < data/nothing',
    '/workspace/project/groups/global < groups/global (rw)',
    '/workspace/project/groups/main/logs < data/nothing',
    '/workspace/project/src < project/src',
  ])
})

test('a task beside the chats has sessions of its own, and the login is mounted only where the user chose that', (t) => {
  const isolated = mounts(settings(t, { credentials: 'mount' }), { folder: 'family', lane: 'isolated' })
  assert.ok(isolated.includes('/home/node/.claude < data/sessions/family/isolated/.claude (rw)'))
  assert.ok(isolated.includes('/workspace/env-dir < data/env'))
})

test('a connection that is open when its container ends is in the log of the run', async (t) => {
  const container = new FakeContainer()
  const given = settings(t, { user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 } })
  mkdirSync(path.join(given.root, 'data'))
  const left = { host: 'a.example', port: 443, address: '93.184.216.34', up: 1, down: 2, refused: false, why: null }
  const runner = new ContainerRunner(given, {
    runtime: { run: async () => container },
    openGateway: async ({ onEgress }) => ({ close: async () => onEgress(left) }),
    ...{ loginFile: async () => ({ placeholder: '', real: '' }), writeSnapshots() {}, judgeMounts: async () => [] },
    ...{ mountRulesStamp: () => '', audit() {}, isFull: () => false, redact: (text: string) => text, clock: new ManualClock() },
    log: { info() {}, debug() {}, warn() {} },
  })
  const group = { folder: 'family', name: 'Family', isMain: false, config: {} }
  const listener = { onSession() {}, onActivity() {} }
  const run = await runner.start({ group, lane: 'chat', chatJid: 'x', sessionId: undefined, assistantName: 'Andy', listener })
  container.exit()
  await run.ended
  const logs = path.join(given.root, 'groups', 'family', 'logs')
  const text = readFileSync(path.join(logs, readdirSync(logs)[0] ?? ''), 'utf8')
  assert.match(text, /^\[egress\] a\.example:443 \(93\.184\.216\.34\), 1 bytes up, 2 down\n=== ended/m)
})
