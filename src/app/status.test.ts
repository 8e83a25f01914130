import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import type { Channel, ChannelState } from '../channels/contract.ts'
import type { Task } from '../store/tasks.ts'
import { Feed } from './feed.ts'
import type { GroupQueue } from './group-queue.ts'
import { keepMigrationNotes } from './migration-notes.ts'
import { hostStatus } from './status.ts'
import { pauseTask } from './task-run.ts'
import { ChannelTimes } from './troubles.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = 'local:main'
const DAY = 86_400_000

/** The real store, and what `status` says of it. */
function office(t: TestContext, { maxRetries = 0 } = {}) {
  const { store } = storeWith(t, ['main'])
  const clock = new ManualClock(1_000 * DAY)
  const channel = { name: 'fake', state: { state: 'online' } as ChannelState }
  const since = new ChannelTimes()
  const containers: object[] = []
  const queue = { stateOf: () => 'idle' as const, containers: () => containers as ReturnType<GroupQueue['containers']> }
  const channels = [channel as unknown as Channel]
  const status = () => hostStatus({ store, queue, channels, since, now: clock.now, root: '/', version: '1', ready: true })
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries, installId: 'test' }
  const desk = new TurnDesk({ store, feed: new Feed(console), now: clock.now, judge: everybody }, rules)
  const failTurn = (n: number) => {
    store.messages.add({ jid: JID, id: `m${n}`, sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
    const turn = desk.claim('main', 'chat') ?? assert.fail('there is no work')
    desk.finish([turn], { type: 'failed', reason: 'too-large', detail: `try ${n}` })
  }
  const failSend = (key: string, state: 'failed' | 'uncertain') => {
    store.outbox.add({ jid: JID, text: key, key, turnId: null, at: clock.now() })
    const row = store.outbox.due(clock.now()).at(-1)
    if (row) store.outbox.close({ seq: row.seq, state, at: clock.now(), platformId: null, why: 'no such chat' })
  }
  const failRun = (id: string) => {
    const runId = store.tasks.startRun({ taskId: id, at: clock.now() })
    store.tasks.endRun({ runId, at: clock.now(), status: 'error', result: null, error: 'too-large: why' })
  }
  return { store, clock, channel, containers, status, failTurn, failSend, failRun, desk }
}

const task = (id: string): Task => ({
  id,
  ...{ folder: 'main', jid: JID, prompt: 'x', script: null, schedule: { type: 'once', value: '' }, contextMode: 'group' },
  ...{ catchUp: 'once', status: 'active', reason: null, nextRun: null, lastRun: 5, lastResult: null, createdAt: 1 },
})

test('the status shows each group with its chats, its conversation and its containers', (t) => {
  const { store, status, containers } = office(t)
  const container = (lane: string, working: boolean) => ({
    ...{ folder: 'main', lane, working },
    run: { id: 'f'.repeat(64), name: `nanoclaw-${lane}`, startedAt: 5 },
  })
  containers.push(container('chat', true), container('isolated', false))
  store.sessions.set('main', 's1')
  const { version, ready, root, groups, containers: shown } = status()
  assert.deepEqual([version, ready, root], ['1', true, '/'])
  assert.deepEqual(groups, [{ folder: 'main', name: 'main', isMain: true, chats: [JID], state: 'idle', sessionId: 's1' }])
  assert.deepEqual(
    shown.map(({ id, name, group, lane, state, startedAt }) => [id, name, group, lane, state, startedAt]),
    [
      ['f'.repeat(12), 'nanoclaw-chat', 'main', 'chat', 'working', 5],
      ['f'.repeat(12), 'nanoclaw-isolated', 'main', 'isolated', 'warm', 5],
    ],
  )
})

test('everything that failed is in the status, with where, since when and why', (t) => {
  const { store, clock, channel, status, failTurn, failSend, failRun } = office(t)
  const since = clock.now()
  failSend('a', 'failed')
  failSend('b', 'uncertain')
  failTurn(1)
  for (const id of ['t1', 't2', 't3']) store.tasks.add(task(id))
  failRun('t3')
  pauseTask(store, task('t1'), { reason: 'its schedule makes no sense', at: since })
  pauseTask(store, task('t2'), { reason: null, at: since })
  keepMigrationNotes(store, ['two messages had no chat'], since)
  channel.state = { state: 'retrying', at: 0, why: 'no network' }
  const main = { folder: 'main', since }
  assert.deepEqual(status().troubles, [
    { kind: 'channel', where: 'fake', folder: null, since, why: 'retrying: no network' },
    { kind: 'turn', where: JID, ...main, why: 'too-large: try 1' },
    { kind: 'send', where: JID, ...main, why: 'may have arrived twice, or not: no such chat' },
    { kind: 'send', where: JID, ...main, why: 'was not delivered: no such chat' },
    { kind: 'task', where: 't1', ...main, why: 'is paused: its schedule makes no sense' },
    { kind: 'task', where: 't3', ...main, why: 'too-large: why' },
    { kind: 'migration', where: '', folder: null, since, why: 'two messages had no chat' },
  ])
})

test('what is tried again, or waits for somebody, is in the status until it is over', (t) => {
  const { store, clock, desk, status } = office(t, { maxRetries: 1 })
  const since = clock.now()
  const fail = (reason: 'overload' | 'login') => {
    const turn = desk.claim('main', 'chat') ?? assert.fail('there is no work')
    desk.finish([turn], { type: 'failed', reason, detail: 'why' })
  }
  const troubles = () => status().troubles.map(({ kind, since, why }) => [kind, since, why])
  store.messages.add({ jid: JID, id: 'm', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  const shelved = desk.claim('main', 'chat') ?? assert.fail('there is no work')
  desk.shelve([shelved])
  assert.deepEqual(troubles(), [], 'what only waits is no trouble')
  fail('overload')
  assert.deepEqual(troubles(), [['turn', since, 'is tried again: overload: why']])
  clock.advance(60_000)
  fail('login')
  for (const { seq } of store.outbox.due(clock.now())) store.outbox.postpone({ seq, until: 0, unsure: false, why: 'offline' })
  const later = clock.now()
  assert.deepEqual(troubles(), [
    ['turn', later, 'waits for somebody to put it right: login: why'],
    ['send', later, 'is tried again: offline'],
  ])
  for (const { seq } of store.outbox.due(later)) store.outbox.markSent({ seq, platformId: null, at: later })
  store.chats.unparkAll()
  const turn = desk.claim('main', 'chat') ?? assert.fail('there is no work')
  desk.finish([turn], { type: 'answered', text: null, usage: undefined })
  assert.deepEqual(troubles(), [])
})

test('what every start says again is there once, since the last one', (t) => {
  const { store, clock, status } = office(t)
  for (const texts of [['b is bad', 'moved'], ['b is bad']]) {
    clock.advance(1)
    keepMigrationNotes(store, texts, clock.now())
  }
  assert.deepEqual(
    status().troubles.map(({ why, since }) => [why, clock.now() - since]),
    [
      ['moved', 1],
      ['b is bad', 0],
    ],
  )
})

test('a task is in trouble until it ran well again', (t) => {
  const { store, clock, status, failRun } = office(t)
  store.tasks.add(task('t1'))
  failRun('t1')
  failRun('t1')
  assert.equal(status().troubles.length, 1)
  const runId = store.tasks.startRun({ taskId: 't1', at: clock.now() })
  assert.equal(status().troubles.length, 1, 'nobody knows yet')
  store.tasks.endRun({ runId, at: clock.now(), status: 'success', result: null, error: null })
  assert.deepEqual(status().troubles, [])
})

test('what is over is shown for a week, and no more than the newest twenty of a kind', (t) => {
  const { store, clock, status, failTurn, failSend } = office(t)
  for (let n = 0; n < 25; n++) failTurn(n)
  failSend('a', 'failed')
  const { troubles, turns, outbox } = status()
  assert.deepEqual([troubles.filter(({ kind }) => kind === 'turn').length, turns.failed, outbox.failed], [20, 25, 1])
  assert.equal(troubles[0]?.why, 'too-large: try 24')
  keepMigrationNotes(
    store,
    Array.from({ length: 21 }, (_, n) => `note ${n}`),
    clock.now(),
  )
  clock.advance(7 * DAY)
  const week = status()
  const migrations = week.troubles.filter(({ kind }) => kind === 'migration').map(({ why }) => why)
  assert.deepEqual([migrations.length, migrations[0], migrations.at(-1)], [20, 'note 1', 'note 20'])
  assert.deepEqual([week.troubles.length, week.turns.failed, week.outbox.failed], [41, 25, 1])
  clock.advance(1)
  const later = status()
  assert.deepEqual([later.troubles, later.turns.failed, later.outbox.failed], [[], 0, 0])
})

test('a channel is in its state since it was first seen so', (t) => {
  const { clock, channel, status } = office(t)
  const start = clock.now()
  const since = () => status().channels[0]?.since
  assert.equal(since(), start)
  clock.advance(5_000)
  channel.state = { state: 'retrying', at: 1, why: 'no network' }
  assert.equal(since(), start + 5_000)
  clock.advance(5_000)
  channel.state = { state: 'retrying', at: 2, why: 'still no network' }
  assert.equal(since(), start + 5_000)
})
