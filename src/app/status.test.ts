import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import type { Channel, ChannelState } from '../channels/contract.ts'
import type { Task } from '../store/tasks.ts'
import { Feed } from './feed.ts'
import { keepMigrationNotes } from './migration-notes.ts'
import { ChannelTimes, hostStatus } from './status.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = 'local:main'
const DAY = 86_400_000

/** The real store, and what `status` says of it. */
function office(t: TestContext) {
  const { store } = storeWith(t, ['main'])
  const clock = new ManualClock(1_000 * DAY)
  const channel = { name: 'fake', state: { state: 'online' } as ChannelState }
  const since = new ChannelTimes()
  const queue = { stateOf: () => 'idle' as const, containers: () => [] }
  const channels = [channel as unknown as Channel]
  const status = () => hostStatus({ store, queue, channels, since, now: clock.now, root: '/', version: '1', ready: true })
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 0, installId: 'test' }
  const desk = new TurnDesk({ store, feed: new Feed(), now: clock.now }, rules)
  const failTurn = (n: number) => {
    store.messages.add({ jid: JID, id: `m${n}`, sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
    const turn = desk.claim('main', 'chat')
    if (turn) desk.finish([turn], { type: 'failed', reason: 'too-large', detail: `try ${n}` })
  }
  const failSend = (key: string, state: 'failed' | 'uncertain') => {
    store.outbox.add({ jid: JID, text: key, key, turnId: null, at: clock.now() })
    const row = store.outbox.due(clock.now()).at(-1)
    if (row) store.outbox.close({ seq: row.seq, state, at: clock.now(), platformId: null, why: 'no such chat' })
  }
  return { store, clock, channel, status, failTurn, failSend }
}

const task = (id: string, reason: string | null): Task => ({
  id,
  ...{ folder: 'main', jid: JID, prompt: 'x', script: null, schedule: { type: 'once', value: '' }, contextMode: 'group' },
  ...{ catchUp: 'once', status: 'paused', reason, nextRun: null, lastRun: 5, lastResult: null, createdAt: 1 },
})

test('everything that failed is in the status, with where, since when and why', (t) => {
  const { store, clock, channel, status, failTurn, failSend } = office(t)
  const now = clock.now()
  failSend('a', 'failed')
  failSend('b', 'uncertain')
  failTurn(1)
  store.tasks.add(task('t1', 'its schedule makes no sense'))
  store.tasks.add(task('t2', null))
  keepMigrationNotes(store, ['two messages had no chat'], now)
  channel.state = { state: 'retrying', at: 0, why: 'no network' }
  assert.deepEqual(
    status().troubles.sort((a, b) => a.why.localeCompare(b.why)),
    [
      { kind: 'task', where: 't1', since: 5, why: 'its schedule makes no sense' },
      { kind: 'send', where: JID, since: now, why: 'may have arrived twice, or not: no such chat' },
      { kind: 'channel', where: 'fake', since: now, why: 'retrying: no network' },
      { kind: 'turn', where: JID, since: now, why: 'too-large: try 1' },
      { kind: 'migration', where: '', since: now, why: 'two messages had no chat' },
      { kind: 'send', where: JID, since: now, why: 'was not delivered: no such chat' },
    ],
  )
})

test('what is over is shown for a week, and no more than the newest twenty of a kind', (t) => {
  const { clock, status, failTurn, failSend } = office(t)
  for (let n = 0; n < 25; n++) failTurn(n)
  failSend('a', 'failed')
  const { troubles, turns, outbox } = status()
  assert.deepEqual([troubles.filter(({ kind }) => kind === 'turn').length, turns.failed, outbox.failed], [20, 25, 1])
  assert.equal(troubles[0]?.why, 'too-large: try 24')
  clock.advance(7 * DAY + 1)
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
