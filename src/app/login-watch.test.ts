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
