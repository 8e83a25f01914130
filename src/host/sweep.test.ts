import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSweep } from './sweep.ts'

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
