import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith } from '../../test/fakes/rooms.ts'
import { LoginWatch } from './login-watch.ts'

test('what waits for a login is taken up when the login changes, and only then', async (t) => {
  const { store } = storeWith(t, ['main'])
  store.chats.park('local:main', 7)
  let login = 'none'
  let wakes = 0
  const watch = new LoginWatch({ store, fingerprint: async () => login, wakeAll: () => wakes++ })
  const parked = () => store.chats.cursors('local:main').parkedSeq
  await watch.check()
  await watch.check()
  assert.deepEqual([parked(), wakes], [7, 0])
  login = 'another'
  await watch.check()
  await watch.check()
  assert.deepEqual([parked(), wakes], [0, 1])
})

test('a change that could not be acted on is acted on later', async (t) => {
  const { store } = storeWith(t, ['main'])
  store.chats.park('local:main', 7)
  let login = 'none'
  const watch = new LoginWatch({ store, fingerprint: async () => login, wakeAll: () => {} })
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
