import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { Feed } from './feed.ts'
import { LoginWatch } from './login-watch.ts'
import { TurnDesk } from './turn-desk.ts'

test('what waits for a login is taken up when the login changes, and only then', async (t) => {
  const { store } = storeWith(t, ['main'])
  store.chats.park('local:main', 7)
  let login = 'none'
  let wakes = 0
  const watch = new LoginWatch({ store, login: async () => ({ fingerprint: login }), wakeAll: () => wakes++ })
  const parked = () => store.chats.cursors('local:main').parkedSeq
  await watch.check()
  await watch.check()
  assert.deepEqual([parked(), wakes, watch.changes], [7, 0, 0])
  login = 'another'
  await watch.check()
  await watch.check()
  assert.deepEqual([parked(), wakes, watch.changes], [0, 1, 1])
})

test('a change that could not be acted on is acted on later', async (t) => {
  const { store } = storeWith(t, ['main'])
  store.chats.park('local:main', 7)
  let login = 'none'
  const watch = new LoginWatch({ store, login: async () => ({ fingerprint: login }), wakeAll: () => {} })
  await watch.check()
  login = 'another'
  const { mock } = t.mock.method(store.chats, 'unparkAll', () => {
    throw new Error('disk full')
  })
  await assert.rejects(watch.check(), /disk full/)
  mock.restore()
  await watch.check()
  assert.equal(store.chats.cursors('local:main').parkedSeq, 0)
})

test('what was refused for a login that has changed meanwhile does not wait for another one', async (t) => {
  const { store } = storeWith(t, ['main'])
  let login = 'none'
  const watch = new LoginWatch({ store, login: async () => ({ fingerprint: login }), wakeAll: () => {} })
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk(
    { store, feed: new Feed(console), now: () => 1_000, judge: everybody, loginChanges: () => watch.changes },
    rules,
  )
  const refuse = () => {
    const claimed = desk.claim('main', 'chat') ?? assert.fail('there is no work')
    return () => desk.finish([claimed], { type: 'failed', reason: 'login', detail: '401' })
  }
  store.messages.add({ jid: 'local:main', id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  await watch.check()
  const late = refuse()
  login = 'another'
  await watch.check()
  late()
  assert.equal(store.outbox.counts().pending, 0)
  refuse()()
  assert.equal(store.outbox.counts().pending, 1, 'the new one is not accepted either')
  assert.equal(desk.claim('main', 'chat'), undefined)
})

test('the owner hears once that a login ends soon, and of the next one again', async (t) => {
  const { store } = storeWith(t, ['main'])
  const HOUR = 60 * 60_000
  const told: number[] = []
  let [now, expiresAt] = [0, 8 * HOUR]
  const ports = { store, login: async () => ({ fingerprint: 'x', expiresAt }), wakeAll: () => {}, now: () => now }
  const watch = () => new LoginWatch({ ...ports, onExpiring: (at) => told.push(at) })
  const checks = async () => {
    await watch().check()
    return told.splice(0)
  }
  now = 7 * HOUR - 1
  assert.deepEqual(await checks(), [])
  now = 7 * HOUR
  assert.deepEqual([await checks(), await checks()], [[8 * HOUR], []])
  expiresAt = 16 * HOUR
  assert.deepEqual(await checks(), [])
  now = 15.5 * HOUR
  assert.deepEqual(await checks(), [16 * HOUR])
})
