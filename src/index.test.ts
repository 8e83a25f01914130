import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, realpathSync, rmdirSync, utimesSync, watch, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { CHAT, HostRoom } from '../test/fakes/host-room.ts'
import { openFilesIn } from '../test/fakes/open-files.ts'
import { until } from '../test/fakes/patience.ts'
import { registerChat, temporaryFolder } from '../test/fakes/rooms.ts'
import { noteLeaving } from './app/leaving.ts'
import { ControlClient } from './cli/control-client.ts'
import type { Store } from './store/store.ts'
import type { Task } from './store/tasks.ts'

const TASK: Task = {
  ...{ id: 'plants', folder: 'main', jid: CHAT, prompt: 'water the plants', script: null },
  ...{ schedule: { type: 'once', value: '1970-01-01T00:00:00' }, contextMode: 'group', catchUp: 'once', status: 'active' },
  ...{ reason: null, nextRun: null, lastRun: null, lastResult: null, createdAt: 0 },
}
const NEVER = new AbortController().signal
const DAY = 86_400_000

/** Lets whatever could happen by now happen. */
async function settle(): Promise<void> {
  for (let n = 0; n < 200; n++) await new Promise(setImmediate)
}

test('a message is answered in its chat; a host with a turn, or that is watched, is not idle', async (t) => {
  const thought = Promise.withResolvers<string>()
  const room = new HostRoom(t, { agent: () => thought.promise })
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  assert.deepEqual([host.idle(), host.status().ready], [true, true])
  await room.channel.hear('hello')
  await until(() => room.engine.started.length === 1, 'a container starts')
  assert.equal(host.idle(), false)
  thought.resolve('hello Ann')
  await until(() => room.channel.sent.length === 1 && host.idle(), 'it is answered, and nothing is left to do')
  assert.deepEqual(room.channel.sent, [{ jid: CHAT, text: 'hello Ann' }])

  const watching = new AbortController()
  const client = new ControlClient({ socketPath: room.config.paths.controlSocket })
  const events = await client.watch(CHAT, watching.signal)
  assert.equal(host.idle(), false)
  watching.abort()
  await events.return(undefined)
  await until(() => host.idle(), 'nobody watches any more')
})

test('a request of an agent is carried out and answered while its container runs', async (t) => {
  const id = '11111111-1111-4111-8111-111111111111'
  const room: HostRoom = new HostRoom(t, {
    agent: async (_prompt, next) => {
      room.ask(id, { type: 'message', text: 'by the way' })
      const reply = await next()
      return reply?.type === 'reply' ? `${reply.id} ${reply.ok}` : 'no reply'
    },
  })
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  await room.channel.hear('hello')
  await until(() => room.channel.sent.length === 2, 'both are sent', { seen: () => room.logged, limitMs: 20_000 })
  assert.deepEqual(
    room.channel.sent.map(({ text }) => text),
    ['by the way', `${id} true`],
  )
})

test('a host that stops keeps its root until each channel has stopped', async (t) => {
  const room = new HostRoom(t)
  const closed = Promise.withResolvers<void>()
  room.channel.closing = closed.promise
  const host = await room.start()
  let stopped = false
  const stopping = host.stop(NEVER).then(() => (stopped = true))
  await until(() => room.channel.stops.length === 1, 'the channel is stopped')
  await settle()
  assert.deepEqual(room.channel.stops, [true], 'its signal came first')
  assert.equal(stopped, false)
  assert.equal(host.status().ready, false)
  await assert.rejects(room.start(), { code: 'host.already-running' })
  closed.resolve()
  await stopping
  assert.deepEqual(room.logged.slice(-2), ['Stopping', 'Stopped'])
  await (await room.start()).stop(NEVER)
})

test('a host that stops waits for a turn that is about to end, and delivers its answer', async (t) => {
  const thought = Promise.withResolvers<string>()
  const room = new HostRoom(t, { agent: () => thought.promise })
  const host = await room.start()
  await room.channel.hear('hello')
  await until(() => room.engine.started.length === 1, 'a container starts')
  const stopping = host.stop(NEVER)
  await settle()
  thought.resolve('goodbye')
  await stopping
  assert.deepEqual(room.channel.sent, [{ jid: CHAT, text: 'goodbye' }])
  assert.deepEqual(room.channel.stops, [true])
})

test('a host that stopped does nothing more: no task, no delivery, no look at the login', async (t) => {
  const soon = Date.now() + 1_500
  const room = new HostRoom(t, {
    env: { ANTHROPIC_API_KEY: '' },
    before: ({ tasks, outbox }) => {
      tasks.add({ ...TASK, nextRun: soon })
      outbox.add({ jid: CHAT, text: 'later', key: 'later', turnId: null, at: soon })
    },
  })
  const login = path.join(room.config.userHome, '.claude')
  mkdirSync(login, { recursive: true })
  await (await room.start()).stop(NEVER)
  const said = [...room.logged]
  const watcher = watch(login, { persistent: false })
  const seen = once(watcher, 'change')
  writeFileSync(path.join(login, '.credentials.json'), '{"claudeAiOauth":{"accessToken":"another"}}')
  await seen
  watcher.close()
  await until(() => Date.now() > soon + 50, 'the moment is over')
  await settle()
  assert.deepEqual(room.logged, said)
  assert.equal(said.at(-1), 'Stopped')
  assert.deepEqual(room.channel.sent, [])
})

test('a host that stops ends the backup that it is making', async (t) => {
  const folder = path.join(temporaryFolder(t), 'backups')
  const room = new HostRoom(t, { env: { BACKUP_FOLDER: folder } })
  const working = () => process.getActiveResourcesInfo().includes('ProcessWrap')
  const host = await room.start()
  await until(working, 'a backup begins')
  await host.stop(NEVER)
  await until(() => !working(), 'its process is gone')
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('nanoclaw-')),
    [],
  )
  assert.deepEqual(
    room.logged.filter((text) => text.includes('backup')),
    [],
  )
})

const said = (id: string, jid = CHAT) => ({ jid, id, sender: 'ann', senderName: 'Ann', text: id, sentAt: 0, fromMe: false })

/** What a host may leave when it ends, and by what it shows that the next one goes on with it. */
const LEFT: Record<string, { before(store: Store, room: HostRoom): void; done(room: HostRoom, asked: string): boolean }> = {
  'a message that nobody answered': {
    before: ({ messages }) => void messages.add(said('hello')),
    done: (room, asked) => asked.includes('hello') && room.channel.texts.includes('done'),
  },
  'a turn that ran': {
    before: ({ messages, turns }) => {
      messages.add(said('hello'))
      const turn = turns.add({ folder: 'main', jid: CHAT, at: 0 })
      messages.take(messages.unanswered(CHAT, 0), turn)
      turns.save({ state: 'running', id: turn, tries: 1, failures: 0, told: false, startedAt: 0 })
    },
    done: (room, asked) => asked.includes('hello') && room.channel.texts.includes('done'),
  },
  'what is to be sent': {
    before: ({ outbox }) => outbox.add({ jid: CHAT, text: 'late', key: 'late', turnId: null, at: 0 }),
    done: (room) => room.channel.texts.includes('late'),
  },
  'what was being sent': {
    before: ({ outbox }) => {
      outbox.add({ jid: CHAT, text: 'half', key: 'half', turnId: null, at: 0 })
      for (const { seq } of outbox.due(0)) outbox.markSending(seq)
    },
    done: (room) => room.channel.texts.includes('half'),
  },
  'a task whose time came': {
    before: ({ tasks }) => tasks.add({ ...TASK, nextRun: 1 }),
    done: (_room, asked) => asked.includes('water the plants'),
  },
  'a request of an agent': {
    before: (_store, room) => room.ask('22222222-2222-4222-8222-222222222222', { type: 'message', text: 'by the way' }),
    done: (room) => room.channel.texts.includes('by the way'),
  },
  'a chat that was to be removed': {
    before: (store) => {
      registerChat(store, { jid: 'room:2', folder: 'main' })
      noteLeaving(store, 'room:2')
    },
    done: (room) => room.look(({ groups }) => groups.chat('room:2')) === undefined,
  },
  'a copy of a file that nobody sends': {
    before: (_store, room) => mkdirSync(path.join(room.config.root, 'data', 'outgoing', 'x'), { recursive: true }),
    done: (room) => !existsSync(path.join(room.config.root, 'data', 'outgoing', 'x')),
  },
}

for (const [what, { before, done }] of Object.entries(LEFT))
  test(`a host goes on with what the last one left: ${what}`, async (t) => {
    let asked = ''
    const room = new HostRoom(t, {
      agent: async (prompt) => {
        asked += prompt
        return 'done'
      },
    })
    room.look((store) => before(store, room))
    const host = await room.start()
    t.after(() => host.stop(AbortSignal.abort()))
    await until(() => done(room, asked), 'it is done', { limitMs: 30_000, seen: () => ({ asked, sent: room.channel.sent }) })
    const took = room.logged.filter((text) => text.startsWith('Going on with'))
    const counted = ['a turn that ran', 'what was being sent'].includes(what)
    assert.deepEqual(took, counted ? ['Going on with 1 turns and deliveries of the last run'] : [])
  })

test('a new root has the group main, what its agent may know, and the channels that are in use', async (t) => {
  const room = new HostRoom(t)
  room.look(({ groups }) => groups.remove('main'))
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  const { groups, channels } = host.status()
  assert.deepEqual(
    groups.map(({ folder, isMain }) => [folder, isMain]),
    [['main', true]],
  )
  assert.deepEqual(
    channels.map(({ name }) => name),
    ['terminal', 'room'],
  )
  assert.ok(existsSync(path.join(room.config.root, 'data', 'ipc', 'main', 'current_tasks.json')))
})

test('a login that ends within the hour is told when a host starts', async (t) => {
  const room = new HostRoom(t, { env: { ANTHROPIC_API_KEY: '' } })
  const login = path.join(room.config.userHome, '.claude')
  mkdirSync(login, { recursive: true })
  const claudeAiOauth = { accessToken: 'sk-ant-oat01-soon-over', expiresAt: Date.now() + 1_800_000 }
  writeFileSync(path.join(login, '.credentials.json'), JSON.stringify({ claudeAiOauth }))
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  await until(() => room.channel.texts.some((text) => text.includes('expires at')), 'main is told', { limitMs: 30_000 })
})

test('a login that is given while a host runs is a secret from its first use on', async (t) => {
  const token = 'sk-ant-oat01-given-just-now'
  const room = new HostRoom(t, { env: { ANTHROPIC_API_KEY: '' }, agent: async () => `it is ${token}` })
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  const login = path.join(room.config.userHome, '.claude')
  mkdirSync(login, { recursive: true })
  const claudeAiOauth = { accessToken: token, expiresAt: Date.now() + 7_200_000 }
  writeFileSync(path.join(login, '.credentials.json'), JSON.stringify({ claudeAiOauth }))
  await room.channel.hear('what is the login?')
  await until(() => room.channel.sent.length > 0, 'it is answered')
  assert.match(room.channel.texts.join(), /^it is (?!sk-)/)
})

test('a host that cannot start gives its root back', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as net.AddressInfo
  const room = new HostRoom(t, { env: { METRICS_PORT: String(port) } })
  await assert.rejects(room.start(), { code: 'config.port' })
  other.close()
  await once(other, 'close')
  await (await room.start()).stop(NEVER)
})

test('a host that cannot start closes all that it opened until then', async (t) => {
  const port = await freePort()
  const room = new HostRoom(t, { env: { METRICS_PORT: String(port) } })
  // Nothing can listen where a folder is, and by then everything else was opened.
  mkdirSync(room.config.paths.controlSocket, { recursive: true })
  const before = process.getActiveResourcesInfo().sort()
  await assert.rejects(room.start(), { code: 'ERR_FS_EISDIR' })
  assert.deepEqual(room.channel.stops, [true], 'the channel is stopped, and its signal came first')
  await until(() => process.getActiveResourcesInfo().length <= before.length, 'no handle is left', {
    seen: () => process.getActiveResourcesInfo(),
  })
  assert.deepEqual(openFilesIn(realpathSync(room.config.root)), [])
  rmdirSync(room.config.paths.controlSocket)
  await (await room.start()).stop(NEVER)
})

test('a host that cannot start ends the containers that began meanwhile', async (t) => {
  const room = new HostRoom(t, { agent: () => new Promise(() => {}) })
  room.look(({ messages }) => messages.add(said('hello')))
  room.ask('33333333-3333-4333-8333-333333333333', { type: 'message', text: 'by the way' })
  const { start } = room.channel
  room.channel.start = async (...parts) => {
    await start.apply(room.channel, parts)
    await room.channel.hear('hello')
    await until(() => room.engine.started.length === 1, 'a container starts')
    throw new Error('the platform refuses')
  }
  await assert.rejects(room.start(), /the platform refuses/)
  await until(async () => (await room.engine.list({})).length === 0, 'it is gone')
})

test('whatever does not end well, the rest ends, the root is given back, and it is told', async (t) => {
  const port = await freePort()
  const room = new HostRoom(t, { env: { METRICS_PORT: String(port) } })
  const host = await room.start()
  t.mock.method(room.channel, 'stop', () => Promise.reject(new Error('the platform hangs up')), { times: 1 })
  await host.stop(NEVER)
  assert.deepEqual(room.logged.slice(-3), [
    'Stopping',
    'Closing: the channel room did not end well: the platform hangs up',
    'Stopped',
  ])
  assert.deepEqual(openFilesIn(realpathSync(room.config.root)), [])
  await (await room.start()).stop(NEVER)
})

test('what hangs at the end is left behind, as soon as the end is wanted at once', async (t) => {
  const room = new HostRoom(t)
  const host = await room.start()
  room.channel.closing = new Promise(() => {})
  const now = new AbortController()
  const stopping = host.stop(now.signal)
  await until(() => room.channel.stops.length === 1, 'the channel is asked to stop')
  now.abort()
  await stopping
  assert.deepEqual(room.logged.slice(-2), ['Closing: the channel room did not end in time, and is left behind', 'Stopped'])
  room.channel.closing = Promise.resolve()
  await (await room.start()).stop(NEVER)
})

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('what was sent and what became of tasks is kept for ninety days, logs of runs for thirty, requests of agents for one', async (t) => {
  const now = Date.now()
  const [young, old] = [now - 89 * DAY, now - 91 * DAY]
  const room = new HostRoom(t, {
    before: (store) =>
      store.tx(() => {
        const { outbox, tasks, ipcRequests } = store
        for (const at of [old, young]) {
          outbox.add({ jid: CHAT, text: 'x', key: `sent at ${at}`, turnId: null, at })
          for (const { seq } of outbox.due(now)) outbox.markSent({ seq, platformId: null, at })
        }
        for (let n = 0; n < 1_002; n++) {
          const at = n < 1 ? old : young
          const runId = tasks.startRun({ taskId: 'often', at })
          tasks.endRun({ runId, at, status: 'success', result: null, error: null })
        }
        ipcRequests.note({ folder: 'main', id: 'young', at: now - DAY + 60_000 })
        ipcRequests.note({ folder: 'main', id: 'old', at: now - DAY - 60_000 })
      }),
  })
  const logs = path.join(room.config.root, 'groups', 'main', 'logs')
  mkdirSync(logs, { recursive: true })
  for (const [name, age] of [
    ['container-young.log', 29],
    ['container-old.log', 31],
  ] as const) {
    writeFileSync(path.join(logs, name), '')
    utimesSync(path.join(logs, name), (now - age * DAY) / 1_000, (now - age * DAY) / 1_000)
  }
  await (await room.start()).stop(NEVER)
  assert.deepEqual(readdirSync(logs), ['container-young.log'])
  room.look(({ outbox, tasks, ipcRequests }) => {
    const isDone = (id: string) => ipcRequests.isDone({ folder: 'main', id, at: now })
    assert.deepEqual([isDone('young'), isDone('old')], [true, false])
    assert.equal(outbox.prune(now), 1, 'what was sent 89 days ago was still there')
    assert.equal(tasks.history('often', 2_000).length, 1_001)
  })
})
