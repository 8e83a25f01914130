import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as settle } from 'node:timers/promises'
import { Judging } from './judging.ts'

function judging() {
  let now = 0
  const pauses: { ms: number; end: () => void }[] = []
  const pause = (ms: number) => new Promise<void>((end) => pauses.push({ ms, end }))
  const line = new Judging({ now: () => now, pause })
  const read = (ms: number) => line.next(() => (now += ms))
  return { read, line, pauses }
}

test('bodies that are read quickly do not wait for each other', async () => {
  const { read, pauses } = judging()
  assert.deepEqual([await read(10), await read(20), await read(15)], [10, 30, 45])
  assert.equal(pauses.length, 0)
})

test('after a body that took long the next one waits several times as long, in order', async () => {
  const { read, pauses } = judging()
  assert.equal(await read(120), 120)
  const order: string[] = []
  const [second, third] = [read(1).then(() => order.push('second')), read(1).then(() => order.push('third'))]
  for (let round = 0; round < 20; round++) await settle()
  assert.deepEqual([order, pauses.map(({ ms }) => ms)], [[], [400]])
  pauses[0]?.end()
  await Promise.all([second, third])
  assert.deepEqual(order, ['second', 'third'])
})

test('only the time beyond 20 ms makes the next body wait', async () => {
  const { read, pauses } = judging()
  await read(20)
  assert.equal(pauses.length, 0)
  await read(21)
  assert.deepEqual(
    pauses.map(({ ms }) => ms),
    [4],
  )
})

test('a pause takes its time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 0
  const line = new Judging({ now: () => now })
  await line.next(() => (now += 120))
  let second = 'waits'
  const next = line.next(() => (second = 'was read'))
  for (let round = 0; round < 20; round++) await settle()
  t.mock.timers.tick(399)
  for (let round = 0; round < 20; round++) await settle()
  assert.equal(second, 'waits')
  t.mock.timers.tick(1)
  await next
  assert.equal(second, 'was read')
})

test('a body that cannot be read keeps nobody waiting', async () => {
  const { read, line } = judging()
  await assert.rejects(
    line.next(() => assert.fail('unreadable')),
    /unreadable/,
  )
  assert.equal(await read(1), 1)
})
