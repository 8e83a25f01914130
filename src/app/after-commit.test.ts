import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { office } from '../../test/fakes/ipc-office.ts'
import { ownerDesk } from '../../test/fakes/owner.ts'
import { until } from '../../test/fakes/patience.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { noPolicy } from '../../test/fakes/senders.ts'
import { GroupRegistry } from './groups.ts'
import { Scheduler } from './scheduler.ts'
import { TaskBook, type TaskPorts } from './tasks.ts'

/** What follows a commit, and fails, must not look like a failure of what was committed: whoever asked would ask again. */
const broken = () => {
  throw new Error('broken')
}

test('a request that is committed is answered as done, whatever fails behind it, and its agent does not say it again', async (t) => {
  const { attach, ask, feed, ports, store } = office(t)
  feed.subscribe('local:family', broken)
  t.mock.method(ports, 'deliver', broken)
  const answer = await ask('family', attach('family'), { type: 'message', text: 'once' })
  assert.deepEqual(answer, { status: 'done', text: 'Sent to local:family.' })
  assert.equal(store.messages.latest('local:family', 9).length, 1)
})

test('a request is carried out once where its agent cannot be told, and the other runs hear of it', async (t) => {
  const { attach, drop, store, logged, boxOf } = office(t)
  const [deaf, other] = [attach('family'), attach('family')]
  t.mock.method(deaf, 'reply', broken)
  const id = drop('family', { type: 'message', text: 'once' })
  await until(() => !existsSync(path.join(boxOf('family'), `${id}.json`)), 'the request is removed')
  assert.equal(other.replies.get(id)?.status, 'done')
  assert.equal(store.messages.latest('local:family', 9).length, 1)
  assert.deepEqual(logged, ['Group family: an agent did not hear what became of its request: broken'])
})

test('a question waits for its answer, and is answered once, whatever fails behind it', async (t) => {
  const { attach, drop, feed, ports, inbox, store } = office(t)
  feed.subscribe('local:family', broken)
  t.mock.method(ports, 'deliver', broken)
  const run = attach('family')
  const id = drop('family', { type: 'ask_user', question: 'Which?', options: ['Red', 'Blue'], timeoutMinutes: 1 })
  await until(() => run.paused === 1, 'it waits')
  const { mock } = t.mock.method(store.questions, 'noteTold', broken)
  const message = { jid: 'local:family', id: '1', sender: 'a', senderName: 'Ann', text: '2', sentAt: 0, fromMe: false }
  assert.equal(typeof inbox.receive(message), 'number')
  assert.equal(mock.callCount(), 1)
  assert.deepEqual([run.replies.get(id)?.answer, run.paused], ['Blue', 0])
})

test('a list of chats that cannot be read after it was made anew is answered, and ends no process', async (t) => {
  const { attach, ask, store } = office(t)
  const run = attach('main')
  t.mock.method(store.chats, 'all', broken)
  const answer = await ask('main', run, { type: 'refresh_groups' })
  assert.equal(answer.status, 'failed')
})

function book(t: TestContext, ports: Partial<TaskPorts> = {}) {
  const { store, folder: root } = storeWith(t, ['main', 'family'])
  const tasks = new TaskBook(
    { store, now: () => 0, newId: () => 't1', wake: broken, changed: broken, ...ports },
    { timeZone: 'UTC' },
  )
  const wish = { folder: 'family', jid: 'local:family', prompt: 'p', schedule: { type: 'interval', value: '60000' } }
  return { store, root, tasks, wish }
}

test('a task is scheduled, and begun, whatever fails behind it', (t) => {
  const { store, tasks, wish } = book(t)
  assert.equal(tasks.schedule(wish).type, 'done')
  assert.equal(tasks.runNow('t1').type, 'done')
  assert.deepEqual([store.tasks.all().length, store.tasks.history('t1', 9).length], [1, 1])
})

test('nobody is told of a task, or woken for it, before the transaction around it has committed, or after it rolled back', (t) => {
  const told: string[] = []
  const { store, tasks, wish } = book(t, {
    wake: () => told.push(`wake: ${store.tasks.all().length}`),
    changed: () => told.push(`changed: ${store.tasks.all().length}`),
  })
  const change = () => {
    tasks.schedule(wish)
    tasks.runNow('t1')
    assert.deepEqual(told, [])
  }
  assert.throws(() => store.tx(() => [change(), broken()]), /broken/)
  assert.deepEqual([told, store.tasks.all()], [[], []])
  store.tx(change)
  assert.deepEqual(told, ['changed: 1', 'changed: 1', 'wake: 1'])
})

function registry(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main', 'family'])
  const told: string[] = []
  const ports = {
    store,
    now: () => 0,
    release: (folder: string) => void told.push(`release ${folder}`),
    changed: () => void told.push('changed'),
    senderPolicy: noPolicy,
  }
  return { store, root, told, ports, groups: new GroupRegistry(ports, { root, assistantName: 'Andy' }) }
}

test('a group is changed, whatever fails behind it', (t) => {
  const { store, groups, ports } = registry(t)
  ports.changed = broken
  ports.release = broken
  assert.equal(groups.register({ jid: 'tg:1', folder: 'club' }).type, 'done')
  assert.equal(groups.set({ target: 'club', config: { model: 'opus' } }).type, 'done')
  assert.equal(groups.set({ target: 'club', main: true }).type, 'done')
  assert.equal(groups.openTerminal('family').type, 'open')
  assert.equal(groups.remove('family').type, 'done')
  assert.deepEqual(
    store.groups.all().map(({ folder, isMain }) => [folder, isMain]),
    [
      ['club', true],
      ['main', false],
    ],
  )
})

test('a container is let go, and lists are written, after the transaction around a change has committed', (t) => {
  const { store, groups, told } = registry(t)
  const change = () => {
    groups.set({ target: 'family', config: { model: 'opus' } })
    assert.deepEqual(told, [])
  }
  assert.throws(() => store.tx(() => [change(), broken()]), /broken/)
  assert.deepEqual(told, [])
  store.tx(change)
  assert.deepEqual(told, ['release family', 'changed'])
})

test('a folder is not allowed where that cannot be recorded: the allowlist is as it was', (t) => {
  const { store, root, groups } = registry(t)
  const desk = ownerDesk({ store, registry: groups, root })
  const file = path.join(root, 'home', '.config', 'nanoclaw', 'mount-allowlist.json')
  const unrecorded = (change: () => unknown) => {
    const { mock } = t.mock.method(store.audit, 'add', broken)
    assert.throws(change, /broken/)
    mock.restore()
  }
  unrecorded(() => desk.allowMount({ path: '/srv', readWrite: true }))
  assert.equal(existsSync(file), false)
  assert.equal(desk.allowMount({ path: '/srv', readWrite: false }).type, 'done')
  const before = readFileSync(file, 'utf8')
  unrecorded(() => desk.allowMount({ path: '/srv', readWrite: true }))
  unrecorded(() => desk.removeMount('/srv'))
  assert.equal(readFileSync(file, 'utf8'), before)
})

test('moments of tasks are acted on, and the next one is waited for, whatever fails behind a claim', (t) => {
  const { store } = storeWith(t, ['main', 'family'])
  const clock = new ManualClock(0)
  const woken: string[] = []
  const wake = (folder: string) => {
    woken.push(folder)
    broken()
  }
  const errors: string[] = []
  const log = { info() {}, warn() {}, error: (text: string) => void errors.push(text) }
  const scheduler = new Scheduler({ store, clock, log, wake, deliver: broken, changed: broken }, { timeZone: 'UTC' })
  for (const folder of ['main', 'family'])
    store.tasks.add({
      ...{ id: folder, folder, jid: `local:${folder}`, prompt: 'p', script: null, status: 'active', reason: null },
      ...{ schedule: { type: 'interval', value: '90000' }, contextMode: 'isolated', catchUp: 'once' },
      ...{ nextRun: 90_000, lastRun: null, lastResult: null, createdAt: 0 },
    })
  scheduler.start()
  clock.advance(90_000)
  assert.deepEqual(woken.sort(), ['family', 'main'])
  assert.deepEqual([store.tasks.history('family', 9).length, errors], [1, []])
  clock.advance(90_000)
  assert.equal(store.tasks.find('family')?.nextRun, 270_000, 'the moment after it is not a minute late')
  scheduler.stop()
})

test('a turn ends once, whoever watches', (t) => {
  const { store, feed, desk } = office(t)
  feed.subscribe('local:family', broken)
  store.messages.add({ jid: 'local:family', id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  const claimed = desk.claim('family', 'chat') ?? assert.fail('there is no work')
  desk.finish([claimed], { type: 'answered', text: 'hello', usage: undefined })
  assert.deepEqual([store.turns.running(), store.outbox.due(Number.MAX_SAFE_INTEGER).length], [[], 1])
})
