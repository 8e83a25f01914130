import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourly, startSweep } from './sweep.ts'

test('chores are done at once and every minute, and one that fails keeps none of the others from being done', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const done: string[] = []
  const logged: string[] = []
  const fails = () => {
    throw new Error('the disk is full')
  }
  const stop = startSweep([() => done.push('first'), fails, () => done.push('last')], { error: (text) => logged.push(text) })
  t.mock.timers.tick(60_000)
  stop()
  t.mock.timers.tick(60_000)
  assert.deepEqual(done, ['first', 'last', 'first', 'last'])
  assert.deepEqual(logged, ['the disk is full', 'the disk is full'])
})

test('what is done once an hour is done at the first call, and then in the next hour', () => {
  let now = 0
  let times = 0
  const chore = hourly(
    () => times++,
    () => now,
  )
  for (now = 0; now <= 120; now++) chore()
  assert.equal(times, 1)
  for (now = 0; now <= 2 * 3_600_000; now += 60_000) chore()
  assert.equal(times, 3)
})
