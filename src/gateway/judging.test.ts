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
  await settle()
  assert.deepEqual([order, pauses.map(({ ms }) => ms)], [[], [400]])
  pauses[0]?.end()
  await Promise.all([second, third])
  assert.deepEqual(order, ['second', 'third'])
})

test('a body that cannot be read keeps nobody waiting', async () => {
  const { read, line } = judging()
  await assert.rejects(
    line.next(() => assert.fail('unreadable')),
    /unreadable/,
  )
  assert.equal(await read(1), 1)
})
