import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Closers } from './closers.ts'

const never = () => new Promise<never>(() => {})

/** Parts that note when they are closed, and what was logged of them. Time passes as the test says. */
function parts(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const [closed, logged]: [string[], string[]] = [[], []]
  const closers = new Closers({ error: (text) => void logged.push(text) })
  const add = (name: string, end: () => unknown = () => {}, limitMs?: number) =>
    closers.add(
      name,
      () => {
        closed.push(name)
        return end()
      },
      limitMs,
    )
  const settle = async () => {
    for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  }
  const pass = async (ms: number) => {
    await settle()
    t.mock.timers.tick(ms)
    await settle()
  }
  return { closers, closed, logged, add, pass }
}

test('everything that was opened is closed, the last first, and each waits for the one before it', async (t) => {
  const { closers, closed, add, pass } = parts(t)
  const slow = Promise.withResolvers<void>()
  add('lock')
  add('store', () => slow.promise)
  add('channel')
  let over = false
  const closing = closers.close().then(() => (over = true))
  await pass(0)
  assert.deepEqual([closed, over], [['channel', 'store'], false])
  slow.resolve()
  await closing
  assert.deepEqual(closed, ['channel', 'store', 'lock'])
})

test('a part that throws, rejects or hangs is logged, and keeps no other from being closed', async (t) => {
  const { closers, closed, logged, add, pass } = parts(t)
  add('lock')
  add('throws', () => {
    throw new Error('the disk is full')
  })
  add('rejects', () => Promise.reject(new Error('the engine is gone')))
  add('hangs', never)
  const closing = closers.close()
  await pass(9_999)
  assert.deepEqual(closed, ['hangs'])
  await pass(1)
  await closing
  assert.deepEqual(closed, ['hangs', 'rejects', 'throws', 'lock'])
  assert.deepEqual(logged, [
    'Closing: hangs did not end in time, and is left behind',
    'Closing: rejects did not end well: the engine is gone',
    'Closing: throws did not end well: the disk is full',
  ])
})

test('a part may be given longer', async (t) => {
  const { closers, closed, add, pass } = parts(t)
  add('lock')
  add('containers', never, 60_000)
  const closing = closers.close()
  await pass(59_999)
  assert.deepEqual(closed, ['containers'])
  await pass(1)
  await closing
  assert.deepEqual(closed, ['containers', 'lock'])
})

test('once the end is wanted at once, all that is left has three seconds together, and hears of it', async (t) => {
  const { closers, closed, logged, add, pass } = parts(t)
  const now = new AbortController()
  add('lock')
  for (const name of ['one', 'two', 'three']) add(name, never)
  let told = false
  closers.add('containers', async (signal) => {
    signal.addEventListener('abort', () => (told = true))
    await never()
  })
  const closing = closers.close(now.signal)
  await pass(1)
  assert.equal(told, false)
  now.abort()
  assert.equal(told, true)
  await pass(2_999)
  assert.deepEqual(closed, [])
  await pass(1)
  await closing
  assert.deepEqual(closed, ['three', 'two', 'one', 'lock'])
  assert.equal(logged.length, 4)
})

test('a part that closes at once is closed well also when there is no time left', async (t) => {
  const { closers, logged, add, pass } = parts(t)
  add('lock')
  add('store', async () => {})
  add('hangs', never)
  const closing = closers.close(AbortSignal.abort())
  await pass(3_000)
  await closing
  assert.deepEqual(logged, ['Closing: hangs did not end in time, and is left behind'])
})

test('a second call hurries the first, resolves with it, and closes nothing twice', async (t) => {
  const { closers, closed, add, pass } = parts(t)
  add('lock')
  add('hangs', never)
  const order: string[] = []
  const first = closers.close().then(() => order.push('first'))
  await pass(0)
  const second = closers.close(AbortSignal.abort()).then(() => order.push('second'))
  await pass(2_999)
  assert.deepEqual(order, [])
  await pass(1)
  await Promise.all([first, second])
  assert.deepEqual([closed, order.length], [['hangs', 'lock'], 2])
})
