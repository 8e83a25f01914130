import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { RunnerInput } from '@nanoclaw/protocol'
import { ManualClock } from '../test/fakes/clock.ts'
import { FakeContainer } from '../test/fakes/container.ts'
import { FakeEngine, untilKilled } from '../test/fakes/engine.ts'
import { EngineSocket } from '../test/fakes/engine-socket.ts'
import { openFilesIn } from '../test/fakes/open-files.ts'
import { patience, until } from '../test/fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { StoppableEngine } from '../test/fakes/stoppable-engine.ts'
import { RunLog } from './container/run-log.ts'
import {
  ContainerRunner,
  type ContainerRunnerPorts,
  type ContainerSettings,
  mountsOf,
  type StartRequest,
} from './container-runner.ts'
import type { ContainerConfig } from './domain/group.ts'
import type { Outcome } from './gateway/model-exchange.ts'
import type { ContainerSpec } from './runtimes/contract.ts'
import { EngineClient } from './runtimes/engine-client.ts'
import { EngineRuntime } from './runtimes/engine-runtime.ts'

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

/** `target < source`, which is below the root where that is so, with `(rw)` where it may be written. */
function mounts(given: ContainerSettings, { folder, isMain = false, lane = 'chat' }: Who) {
  const group = { folder, name: folder, isMain, config: {} }
  return mountsOf({ settings: given, group, lane, runId: 'r1' }).map(
    ({ source, target, readonly }) => `${target} < ${below(given.root, source)}${readonly ? '' : ' (rw)'}`,
  )
}

/** What is not below the root stays as it is. */
function below(root: string, source: string): string {
  const relative = path.relative(root, source)
  return relative.startsWith('..') ? source : relative
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
    '/workspace/project/.env < /dev/null',
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

const NO_ENGINE = { run: () => Promise.reject(new Error('there is no engine')), list: async () => [], remove: async () => {} }

/** A runner whose containers are played by the test; starts one for the group family. */
function office(t: TestContext, ports: Partial<ContainerRunnerPorts> = {}, changes: Partial<ContainerSettings> = {}) {
  const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const given = settings(t, { user, ...changes })
  mkdirSync(path.join(given.root, 'data'))
  const container = new FakeContainer()
  const started: ContainerSpec[] = []
  const audited: Parameters<ContainerRunnerPorts['audit']>[0][] = []
  const logged: string[] = []
  const note = (text: string) => void logged.push(text)
  const clock = new ManualClock()
  const runner = new ContainerRunner(given, {
    runtime: {
      run: async (spec) => {
        started.push(spec)
        return container
      },
      ...{ list: async () => [], remove: async () => {} },
    },
    openGateway: async () => ({ close: async () => {} }),
    ...{ loginFile: async () => ({ placeholder: 'PLACEHOLDER=1', real: 'REAL=1' }), writeSnapshots() {} },
    ...{ judgeMounts: async () => [], mountRulesStamp: () => '', isFull: () => false, redact: (text: string) => text, clock },
    ...{ audit: (entry) => void audited.push(entry), log: { info: note, debug() {}, warn: note, error: note } },
    ...ports,
  })
  const start = (config: ContainerConfig = {}, request: Partial<StartRequest> = {}, signal?: AbortSignal) =>
    runner.start(
      {
        group: { folder: 'family', name: 'Family', isMain: false, config },
        ...{ lane: 'chat', chatJid: 'x', sessionId: undefined, assistantName: 'Andy' },
        listener: { onSession() {}, onActivity() {} },
        ...request,
      },
      signal,
    )
  const logs = path.join(given.root, 'groups', 'family', 'logs')
  const logText = () => readFileSync(path.join(logs, readdirSync(logs)[0] ?? ''), 'utf8')
  return { given, runner, container, started, audited, logged, clock, start, logs, logText }
}

test('a connection that is open when its container ends is in the log of the run', async (t) => {
  const left = { host: 'a.example', port: 443, address: '93.184.216.34', up: 1, down: 2, refused: false, why: null }
  const { container, start, logText } = office(t, {
    openGateway: async ({ onEgress }) => ({ close: async () => onEgress(left) }),
  })
  const run = await start()
  container.exit()
  await run.ended
  assert.match(logText(), /^\[egress\] a\.example:443 \(93\.184\.216\.34\), 1 bytes up, 2 down\n=== ended/m)
})

test('a connection that was refused is in the log of the run and in the audit, with the reason', async (t) => {
  const refused = { host: 'b.example', port: 80, address: null, up: 0, down: 0, refused: true, why: 'not allowed' }
  const { start, container, logText, audited } = office(t, {
    openGateway: async ({ onEgress }) => ({ close: async () => onEgress(refused) }),
  })
  const run = await start()
  container.exit()
  await run.ended
  assert.match(logText(), /^\[egress\] b\.example:80, not reached: not allowed$/m)
  assert.deepEqual(audited, [
    { by: 'agent', folder: 'family', act: 'egress', subject: 'b.example:80', outcome: 'refused', detail: 'not allowed' },
  ])
})

const ALLOWED = {
  type: 'allowed',
  source: '/home/ann/app',
  target: '/workspace/extra/app',
  readonly: true,
  identity: { ino: '7' },
} as const

test('a container is outdated when the rules of mounts changed since it was started, if its group wants any', async (t) => {
  let stamp = 'first'
  const rules = { mountRulesStamp: () => stamp }
  const wants = await office(t, { ...rules, judgeMounts: async () => [ALLOWED] }).start()
  const wantsNone = await office(t, rules).start()
  assert.deepEqual([wants.outdated, wantsNone.outdated], [false, false])
  stamp = 'second'
  assert.deepEqual([wants.outdated, wantsNone.outdated], [true, false])
})

test('rules of mounts that change while folders are judged make the container outdated from its start', async (t) => {
  let stamp = 'first'
  const judgeMounts = async () => {
    stamp = 'second'
    return [ALLOWED]
  }
  const run = await office(t, { mountRulesStamp: () => stamp, judgeMounts }).start()
  assert.equal(run.outdated, true)
})

test('folders that are allowed are mounted and told to the runner; those that are refused are told to all', async (t) => {
  const why = 'it is not in the allowlist'
  const { start, started, audited, logged, container } = office(t, {
    judgeMounts: async () => [ALLOWED, { type: 'refused', hostPath: '/etc', why }],
  })
  await start()
  const { type: _, identity, ...mount } = ALLOWED
  assert.deepEqual(
    started[0]?.mounts.slice(-1).map(({ source, target, readonly }) => ({ source, target, readonly })),
    [mount],
  )
  const input = (await container.next()) as unknown as RunnerInput
  assert.deepEqual(input.mounts, [{ target: mount.target, ...identity }])
  assert.match(input.notice ?? '', /\/etc/)
  assert.deepEqual(audited, [
    {
      by: 'host',
      folder: 'family',
      act: 'mount',
      subject: mount.source,
      outcome: 'done',
      detail: `as ${mount.target}, read-only`,
    },
    { by: 'host', folder: 'family', act: 'mount', subject: '/etc', outcome: 'refused', detail: why },
  ])
  assert.ok(logged.includes(`Group family: /etc is not mounted: ${why}`))
})

test('a container that is not what was promised is in the audit', async (t) => {
  const { start, audited, container, started } = office(t)
  await start()
  container.result({ status: 'error', errorClass: 'setup', error: 'another folder' })
  await until(() => audited.length > 0, 'it is noted')
  const subject = started[0]?.name
  assert.deepEqual(audited, [
    { by: 'host', folder: 'family', act: 'mount', subject, outcome: 'refused', detail: 'another folder' },
  ])
})

test('a run has the placeholder of the login alone for itself, and what it had is gone with it', async (t) => {
  const { start, given, container, started } = office(t)
  const run = await start()
  const [source = ''] = (started[0]?.mounts ?? [])
    .filter(({ target }) => target === '/workspace/env-dir')
    .map((mount) => mount.source)
  const file = path.join(source, 'env')
  assert.deepEqual([readFileSync(file, 'utf8'), statSync(file).mode & 0o777], ['PLACEHOLDER=1', 0o600])
  assert.equal(readFileSync(path.join(given.root, 'data', 'env', 'env'), 'utf8'), 'REAL=1')
  assert.equal(readdirSync(given.runs).length, 1)
  container.exit()
  await run.ended
  assert.deepEqual(readdirSync(given.runs), [])
})

test('the first line tells a container its task, and the container starts with the settings of its group', async (t) => {
  const snapshots: string[] = []
  const { start, started, container, given, logText } = office(t, { writeSnapshots: (folder) => void snapshots.push(folder) })
  await start({ isolation: 'runsc', model: 'opus', systemPrompt: 'Be brief.' }, { sessionId: 's1' })
  await start({}, { lane: 'isolated' })
  const common = { groupFolder: 'family', chatJid: 'x', isMain: false, assistantName: 'Andy', mounts: [] }
  const chosen = { model: 'opus', systemPrompt: 'Be brief.' }
  assert.deepEqual(await container.next(), { ...common, ...chosen, isScheduledTask: false, sessionId: 's1' })
  assert.deepEqual(await container.next(), { ...common, isScheduledTask: true })
  assert.deepEqual(
    started.map(({ isolation, labels }) => [
      isolation,
      labels['nanoclaw.lane'],
      labels['nanoclaw.group'],
      labels['nanoclaw.install'],
    ]),
    [
      ['runsc', 'chat', 'family', 'x'],
      [undefined, 'isolated', 'family', 'x'],
    ],
  )
  assert.deepEqual(snapshots, ['family', 'family'])
  const modeOf = (...parts: string[]) => statSync(path.join(given.root, ...parts)).mode & 0o777
  assert.deepEqual([modeOf('data', 'run'), modeOf('data', 'sessions', 'family', '.claude')], [0o711, 0o700])
  assert.match(logText(), /^=== mounts ===\n\S+groups\/family -> \/workspace\/group$/m)
})

test('a start that fails says so in the log of the run, closes its gateway and leaves nothing', async (t) => {
  const closing = Promise.withResolvers<void>()
  const close = t.mock.fn(() => closing.promise)
  const { start, given, logText } = office(t, {
    runtime: { ...NO_ENGINE, run: () => Promise.reject(new Error('there is no engine')) },
    openGateway: async () => ({ close }),
  })
  let over = false
  const started = start().finally(() => (over = true))
  started.catch(() => {})
  await until(() => close.mock.callCount() === 1, 'the gateway is closed')
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  assert.equal(over, false, 'it is not over before that')
  closing.resolve()
  await assert.rejects(started, /there is no engine/)
  assert.deepEqual(readdirSync(given.runs), [])
  assert.match(logText(), /^=== ended: did not start: there is no engine ===$/m)
})

test('a gateway that does not close is a line of the log, and no more: what the run had goes all the same', async (t) => {
  const { start, container, logged, given } = office(t, {
    openGateway: async () => ({ close: () => Promise.reject(new Error('it is busy')) }),
  })
  const run = await start()
  container.exit()
  await run.ended
  assert.match(logged.join('\n'), /^Closing: the gateway of the run \w+ did not end well: it is busy$/m)
  assert.deepEqual(readdirSync(given.runs), [])
})

const failing = () => Promise.reject(new Error('it breaks'))
const throwing = () => {
  throw new Error('it breaks')
}
const FAULTS: Record<string, Partial<ContainerRunnerPorts>> = {
  'the judgement of mounts rejects': { judgeMounts: failing },
  'the judgement of mounts throws': { judgeMounts: throwing },
  'what was judged cannot be written down': { judgeMounts: async () => [ALLOWED], audit: throwing },
  'the rules of mounts cannot be looked at': { mountRulesStamp: throwing },
  'the login cannot be read': { loginFile: failing },
  'the login throws': { loginFile: throwing },
  'the snapshots cannot be written': { writeSnapshots: throwing },
  'the gateway cannot be opened': { openGateway: failing },
  'the gateway throws': { openGateway: throwing },
  'nobody knows whether the folder is full': { isFull: throwing },
  'the engine refuses': { runtime: { ...NO_ENGINE, run: failing } },
  'the engine throws': { runtime: { ...NO_ENGINE, run: throwing } },
}

for (const [what, ports] of Object.entries(FAULTS))
  test(`a start that fails leaves nothing: ${what}`, async (t) => {
    let open = 0
    const openGateway = async () => {
      open++
      return { close: async () => void open-- }
    }
    const { start, given, started } = office(t, { openGateway, ...ports })
    await assert.rejects(start(), /it breaks/)
    assert.deepEqual(existsSync(given.runs) ? readdirSync(given.runs) : [], [])
    assert.deepEqual([open, started.length, openFilesIn(realpathSync(given.root))], [0, 0, []])
  })

test('a container that cannot be told what it is for is killed', async (t) => {
  const { start, given, container } = office(t)
  Object.defineProperty(container, 'stdin', { value: Object.assign(new EventEmitter(), { write: throwing, end() {} }) })
  await assert.rejects(start(), /it breaks/)
  assert.equal(container.kills, 1)
  await until(() => readdirSync(given.runs).length === 0, 'its folder is gone')
})

test('a disk that takes no further file costs the log of a run, and not the run', async (t) => {
  const { start, given, logged, container } = office(t)
  rmSync(path.join(given.root, 'groups', 'family', 'logs'), { recursive: true })
  mkdirSync(path.join(given.root, 'groups', 'family'), { recursive: true })
  const create = t.mock.method(RunLog, 'create', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  })
  const run = await start()
  create.mock.restore()
  container.exit()
  await run.ended
  assert.match(logged.join('\n'), /^A run goes on without a log, because none can be made in .*logs: ENOSPC/m)
})

test('a refusal that cannot be written down is a line of the log: it is told when a connection ends', async (t) => {
  const refused = { host: 'b.example', port: 80, address: null, up: 0, down: 0, refused: true, why: 'not allowed' }
  const { start, container, logged } = office(t, {
    audit: throwing,
    openGateway: async ({ onEgress }) => ({ close: async () => onEgress(refused) }),
  })
  const run = await start()
  container.exit()
  await run.ended
  assert.match(logged.join('\n'), /^Group family: the refusal of b\.example:80 is not in the audit: it breaks$/m)
})

/** Everything that a start waits for, each as something that never comes. */
const HELD: Record<string, (hold: () => Promise<never>) => Partial<ContainerRunnerPorts>> = {
  'the judgement of mounts': (hold) => ({ judgeMounts: hold }),
  'the login': (hold) => ({ loginFile: hold }),
  'the gateway': (hold) => ({ openGateway: hold }),
  'the engine': (hold) => ({ runtime: { ...NO_ENGINE, run: hold } }),
}

for (const [what, ports] of Object.entries(HELD))
  test(`a start that is cancelled ends at once and leaves nothing, though ${what} does not answer`, async (t) => {
    const asked = Promise.withResolvers<void>()
    const hold = () => {
      asked.resolve()
      return new Promise<never>(() => {})
    }
    let open = 0
    const openGateway = async () => {
      open++
      return { close: async () => void open-- }
    }
    const { start, given } = office(t, { openGateway, ...ports(hold) })
    const abort = new AbortController()
    const starting = start({}, {}, abort.signal)
    await asked.promise
    abort.abort()
    await assert.rejects(starting, { code: 'run.cancelled', fault: 'engine' })
    await until(() => !existsSync(given.runs) || readdirSync(given.runs).length === 0, 'its folder is gone')
    await until(() => open === 0, 'its gateway is closed')
  })

test('what a cancelled start still brings is taken back: the gateway is closed, the container killed', async (t) => {
  const abort = new AbortController()
  const gateway = Promise.withResolvers<{ close(): Promise<void> }>()
  const asked = Promise.withResolvers<void>()
  const close = t.mock.fn(async () => {})
  const openGateway = () => {
    asked.resolve()
    return gateway.promise
  }
  const early = office(t, { openGateway })
  const starting = early.start({}, {}, abort.signal)
  await asked.promise
  abort.abort()
  await assert.rejects(starting, { code: 'run.cancelled' })
  gateway.resolve({ close })
  await early.runner.settled()
  assert.equal(close.mock.callCount(), 1)

  const again = new AbortController()
  const made = Promise.withResolvers<FakeContainer>()
  const runAsked = Promise.withResolvers<void>()
  const run = () => {
    runAsked.resolve()
    return made.promise
  }
  const late = office(t, { runtime: { ...NO_ENGINE, run } })
  const cancelled = late.start({}, {}, again.signal)
  await runAsked.promise
  again.abort()
  await assert.rejects(cancelled, { code: 'run.cancelled' })
  made.resolve(late.container)
  await late.runner.settled()
  assert.equal(late.container.kills, 1)
})

/** An engine that has containers of these runs, and notes what it is asked to remove. */
function engineWith(labels: () => Record<string, string>[]) {
  const removed: string[] = []
  const list = async () => labels().map((one, n) => ({ id: `id${n}`, name: `c${n}`, labels: one, state: 'created', binds: [] }))
  const remove = async (id: string) => void removed.push(id)
  return { engine: { list, remove }, removed }
}

test('a container that an engine makes after its start was cancelled is removed by the sweep, and no other', async (t) => {
  const abort = new AbortController()
  let runId = ''
  const asked = Promise.withResolvers<void>()
  let late = false
  const { engine, removed } = engineWith(() => [{ 'nanoclaw.run': 'another' }, ...(late ? [{ 'nanoclaw.run': runId }] : [])])
  const run = (spec: ContainerSpec) => {
    runId = spec.labels['nanoclaw.run'] ?? ''
    asked.resolve()
    return new Promise<never>(() => {})
  }
  const list = t.mock.fn(engine.list)
  const { start, runner } = office(t, { runtime: { ...engine, list, run } })
  await runner.removeLeftovers()
  assert.equal(list.mock.callCount(), 0, 'while nothing is suspected, nothing is asked')
  const starting = start({}, {}, abort.signal)
  await asked.promise
  abort.abort()
  await assert.rejects(starting)
  await runner.removeLeftovers()
  assert.deepEqual(removed, [])
  late = true
  await runner.removeLeftovers()
  assert.deepEqual(removed, ['id1'])
  late = false
  for (let n = 0; n < 5; n++) await runner.removeLeftovers()
  assert.equal(list.mock.callCount(), 5, 'three looks in vain are enough')
})

test('a container is looked for until the engine answers, and until it is gone', async (t) => {
  let runId = ''
  let down = true
  const { engine, removed } = engineWith(() => [{ 'nanoclaw.run': runId }])
  const list = () => (down ? Promise.reject(new Error('it does not answer')) : engine.list())
  const remove = (id: string) =>
    removed.length < 1 ? Promise.reject(new Error('busy')).finally(() => removed.push('tried')) : engine.remove(id)
  const run = (spec: ContainerSpec) => {
    runId = spec.labels['nanoclaw.run'] ?? ''
    return Promise.reject(new Error('it does not answer'))
  }
  const { start, runner, logged } = office(t, { runtime: { run, list, remove } })
  await assert.rejects(start())
  await assert.rejects(runner.removeLeftovers(), /it does not answer/)
  down = false
  await runner.removeLeftovers()
  await runner.removeLeftovers()
  assert.deepEqual(removed, ['tried', 'id0'])
  assert.match(logged.join('\n'), /c0.*could not be removed, and is tried again: busy/)
})

test('what a stopped engine does when it goes on is taken back, by the client itself and by the sweep', async (t) => {
  const program = async (inside: Parameters<typeof untilKilled>[0]) => {
    await untilKilled(inside)
    return 0
  }
  const fake = new FakeEngine({ images: { i: { labels: {} } }, program })
  const engine = await EngineSocket.listen(t, { engine: fake })
  const way = await StoppableEngine.start(t, engine.socketPath)
  const info = { ...(await fake.info()), runtimes: [] }
  const client = new EngineClient({ socketPath: way.socketPath, engine: info, patienceMs: patience(2_000) })
  const { start, runner, given } = office(t, { runtime: new EngineRuntime({ client, engine: info }) })
  mkdirSync(path.join(given.root, 'data', 'nothing'), { recursive: true })

  const abort = new AbortController()
  way.stop()
  const cancelled = start({}, {}, abort.signal)
  await until(() => readdirSync(path.join(given.root, 'groups', 'family', 'logs')).length === 1, 'the engine is asked')
  abort.abort()
  await assert.rejects(cancelled, { code: 'run.cancelled' })
  way.goOn()
  await runner.settled()
  await until(async () => {
    await runner.removeLeftovers()
    return engine.lines().includes('POST /containers/create') && engine.ids.length === 0
  }, 'the container is gone')

  way.stop()
  await assert.rejects(start(), { code: 'engine.unreachable' }, 'nobody cancels it, and it does not answer')
  way.goOn()
  await until(() => engine.ids.length === 1, 'it makes the container all the same')
  await runner.removeLeftovers()
  assert.deepEqual(engine.ids, [])
})

test('a container whose end cannot be heard of is looked for', async (t) => {
  const { engine, removed } = engineWith(() => [{ 'nanoclaw.run': runId }])
  let runId = ''
  const { start, runner, container } = office(t, {
    runtime: {
      ...engine,
      run: async (spec) => {
        runId = spec.labels['nanoclaw.run'] ?? ''
        return container
      },
    },
  })
  const run = await start()
  container.engineGone('the engine is gone')
  await run.ended
  await runner.removeLeftovers()
  assert.deepEqual(removed, ['id0'])
})

test('a group whose folder is full gets no log of its run', async (t) => {
  const { start, logs } = office(t, { isFull: (folder) => folder === 'family' })
  await start()
  assert.deepEqual(readdirSync(logs), [])
})

test('two runs of the same moment have names of their own', async (t) => {
  const { start, started, clock } = office(t)
  await start()
  await start()
  clock.advance(5)
  await start()
  const at = clock.now() - 5
  assert.deepEqual(
    started.map(({ name }) => name),
    [at, at + 1, at + 5].map((time) => `nanoclaw-family-${time}`),
  )
})

test('a container has the limits of its group, or those that are usual', async (t) => {
  const { start, started } = office(t)
  await start()
  await start({ limits: { memoryMb: 512, pids: 64 } })
  assert.deepEqual(
    started.map(({ limits }) => limits),
    [
      { memoryBytes: 2 ** 31, swapBytes: 0, cpus: 2, pids: 512 },
      { memoryBytes: 2 ** 29, swapBytes: 0, cpus: 2, pids: 64 },
    ],
  )
})

test('the network of a container is none but for a group that is given one, and is told to programs only where there is a gateway', async (t) => {
  const wishes: Parameters<ContainerRunnerPorts['openGateway']>[0][] = []
  const ports: Partial<ContainerRunnerPorts> = {
    openGateway: async (wish) => {
      wishes.push(wish)
      return { close: async () => {} }
    },
  }
  const { start, started } = office(t, ports)
  const egress = { policy: 'allowlist' as const, allow: ['a.example'] }
  for (const config of [{}, { network: 'bridge' as const }, { network: 'none' as const }, { egress }]) await start(config)
  assert.deepEqual(
    started.map(({ network, env }) => [network, env.HTTPS_PROXY ?? '']),
    [
      ['none', 'http://127.0.0.1:4180'],
      ['bridge', ''],
      ['none', 'http://127.0.0.1:4180'],
      ['none', 'http://127.0.0.1:4180'],
    ],
  )
  const bandwidth = { burst: 256 * 2 ** 20, perSecond: 16 * 2 ** 20 }
  assert.deepEqual(
    wishes.map(({ egress }) => egress),
    [
      { policy: 'open', allow: [], bandwidth },
      { policy: 'off', allow: [], bandwidth },
      { policy: 'off', allow: [], bandwidth },
      { ...egress, bandwidth },
    ],
  )
  const mounted = office(t, ports, { credentials: 'mount' })
  await mounted.start({ network: 'bridge' })
  assert.equal(wishes.length, 4, 'who has login and network needs no gateway')
  await mounted.start()
  assert.equal(wishes.length, 5)
})

test('what the gateway heard last from the model is why a turn failed', async (t) => {
  let tell: Parameters<ContainerRunnerPorts['openGateway']>[0]['onRequest'] = () => {}
  const { start, container } = office(t, {
    openGateway: async ({ onRequest }) => {
      tell = onRequest
      return { close: async () => {} }
    },
  })
  const run = await start()
  const uuid = '11111111-1111-4111-8111-111111111111'
  run.push({ uuid, prompt: 'hi', chatJid: 'x', earlier: [], siblings: [], timeoutMs: 60_000 })
  tell({ outcome: { type: 'answered', status: 429, retryAt: 7_000 } as Outcome })
  container.result({ status: 'error', errorClass: 'rate-limit', error: 'slow down', consumed: [uuid] })
  const { outcome } = await run.settled()
  assert.deepEqual(outcome, { type: 'failed', reason: 'rate-limit', detail: 'slow down', retryAt: 7_000 })
})

test('a user that the image does not know is given the name of its own', async (t) => {
  const passwd = async (uid: number) => {
    const { start, started, given } = office(t, {}, { user: { uid, gid: 100 } })
    await start()
    const mounted = started[0]?.mounts.some(({ target }) => target === '/etc/passwd')
    const [run = ''] = readdirSync(given.runs)
    const file = path.join(given.runs, run, 'passwd')
    return [mounted, existsSync(file) ? readFileSync(file, 'utf8') : undefined]
  }
  assert.deepEqual(await passwd(1007), [true, 'node:x:1007:100::/home/node:/bin/bash\n'])
  assert.deepEqual(await passwd(1000), [false, undefined])
})
