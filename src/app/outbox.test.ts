import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import type { Channel } from '../channels/contract.ts'
import { AppError } from '../domain/errors.ts'
import { Courier } from './outbox.ts'

type Send = Channel['send']

/** The real courier and store with one channel for `tg:` chats, whose sends the test plays. */
function postOffice(t: TestContext, send: Send) {
  const { store } = storeWith(t, [])
  const clock = new ManualClock()
  const channel: Channel = {
    name: 'fake',
    capabilities: { delivery: 'keyed', maxText: 4_096 },
    state: { state: 'online' },
    start: async () => {},
    send,
    owns: (jid) => jid.startsWith('tg:'),
  }
  const log = { warn() {}, error() {} }
  const courier = new Courier({
    store,
    clock,
    log,
    random: () => 1,
    channelOf: (jid) => (channel.owns(jid) ? channel : undefined),
  })
  const post = (jid: string, text: string) => store.outbox.add({ jid, text, key: text, turnId: null, at: clock.now() })
  return { store, clock, courier, post }
}

async function settle(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 1_000 && !condition(); n++) await new Promise(setImmediate)
  assert.ok(condition(), 'it did not come to pass')
}

test('each chat gets its texts in order, with the key of each, and a slow chat holds no other up', async (t) => {
  const sent: string[] = []
  const slow = Promise.withResolvers<void>()
  const { store, courier, post } = postOffice(t, async (jid, { text }, { idempotencyKey }) => {
    if (text === 'a1') await slow.promise
    sent.push(`${jid} ${text} ${idempotencyKey}`)
    return { platformId: null }
  })
  for (const [jid, text] of [
    ['tg:a', 'a1'],
    ['tg:a', 'a2'],
    ['tg:b', 'b1'],
  ] as const)
    post(jid, text)
  courier.deliver()
  await settle(() => sent.length === 1)
  assert.deepEqual(sent, ['tg:b b1 b1'])
  slow.resolve()
  await settle(() => sent.length === 3)
  assert.deepEqual(sent.slice(1), ['tg:a a1 a1', 'tg:a a2 a2'])
  await settle(() => store.outbox.counts().pending === 0)
})

test('a failed send is tried again later and later, with the same key, and the chat waits in order', async (t) => {
  const tries: string[] = []
  let broken = true
  const { clock, courier, post, store } = postOffice(t, async (_jid, { text }) => {
    tries.push(text)
    if (broken) throw new Error('the platform is down')
    return { platformId: 'p' }
  })
  post('tg:a', 'a1')
  post('tg:a', 'a2')
  courier.deliver()
  await settle(() => tries.length === 1)
  await settle(() => store.outbox.nextDue() === clock.now() + 1_000)
  clock.advance(1_000)
  await settle(() => tries.length === 2)
  await settle(() => store.outbox.nextDue() === clock.now() + 2_000)
  broken = false
  clock.advance(2_000)
  await settle(() => tries.length === 4)
  assert.deepEqual(tries, ['a1', 'a1', 'a1', 'a2'])
})

test('what the platform refuses for good, and what no channel serves, is closed and shown', async (t) => {
  const { courier, post, store } = postOffice(t, async () => {
    throw new AppError({ code: 'x.blocked', fault: 'user', message: 'The bot was removed from this chat.' })
  })
  post('tg:a', 'a1')
  post('wa:b', 'b1')
  courier.deliver()
  await settle(() => store.outbox.counts().failed === 2)
})

test('a stop aborts what is under way and keeps it for the next start', async (t) => {
  const { courier, post, store } = postOffice(t, (_jid, _message, { signal }) => {
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  })
  post('tg:a', 'a1')
  courier.deliver()
  await courier.stop()
  assert.deepEqual(store.outbox.counts(), { pending: 1, failed: 0, uncertain: 0 })
})
