import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserMessages } from './user-messages.ts'

test('messages come in the order they were pushed in, also those that are waited for', async () => {
  const messages = new UserMessages()
  messages.push({ uuid: 'a', content: 'one' })
  messages.push({ uuid: 'b', content: 'two' })
  const pushed = messages[Symbol.asyncIterator]()
  assert.deepEqual((await pushed.next()).value?.message, { role: 'user', content: 'one' })
  assert.equal((await pushed.next()).value?.uuid, 'b')
  const third = pushed.next()
  messages.push({ uuid: 'c', content: 'three' })
  assert.equal((await third).value?.uuid, 'c')
})

test('an end comes after everything that was pushed, and ends a wait', async () => {
  const full = new UserMessages()
  full.push({ uuid: 'a', content: 'one' })
  full.end()
  assert.deepEqual(
    (await Array.fromAsync(full)).map(({ uuid }) => uuid),
    ['a'],
  )
  const empty = new UserMessages()
  const next = empty[Symbol.asyncIterator]().next()
  empty.end()
  assert.equal((await next).done, true)
})
