import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourly, startSweep } from './sweep.ts'

test('chores are done at once and every minute, and one that fails keeps none of the others from being done', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const done: string[] = []
  const logged: string[] = []
  const fails = () => {
    throw new Error('the disk is full')
  }
  const rejects = () => Promise.reject(new Error('the engine is gone'))
  const stop = startSweep([() => done.push('first'), fails, rejects, () => done.push('last')], {
    error: (text) => logged.push(text),
  })
  t.mock.timers.tick(60_000)
  stop()
  t.mock.timers.tick(60_000)
  assert.deepEqual(done, ['first', 'last', 'first', 'last'])
  await new Promise(setImmediate)
  const failed = 'A chore failed, and is done again in a minute'
  const each = [`${failed}: the disk is full`, `${failed}: the engine is gone`]
  assert.deepEqual(logged.sort(), [...each, ...each].sort())
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
