import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { Allowance } from './ipc-allowance.ts'

const MiB = 2 ** 20

function allowance() {
  const clock = new ManualClock()
  const left = new Allowance(clock)
  const ask = (requests: number, bytes = 0) => left.take({ requests, bytes })
  return { clock, ask }
}

test('a group may ask for 1,000 things of 256 MiB at once, and what is refused costs nothing', () => {
  const { ask } = allowance()
  assert.deepEqual([ask(1_001), ask(1, 256 * MiB + 1), ask(1_000, 256 * MiB)], [false, false, true])
  assert.deepEqual([ask(1), ask(0, 1), ask(0)], [false, false, true])
})

test('100 requests and 25 MiB come back in a minute, a part of them in a part of it, and never more than there were', () => {
  const { clock, ask } = allowance()
  ask(1_000, 256 * MiB)
  clock.advance(599)
  assert.equal(ask(1), false)
  clock.advance(1)
  assert.deepEqual([ask(1), ask(1)], [true, false])
  clock.advance(59_400)
  assert.deepEqual([ask(100), ask(99, 25 * MiB + 1), ask(99, 25 * MiB), ask(1)], [false, false, true, false])
  clock.advance(24 * 60 * 60_000)
  assert.deepEqual([ask(1_001), ask(1_000, 256 * MiB + 1), ask(1_000, 256 * MiB)], [false, false, true])
})

test('a clock that is set back gives nothing and takes nothing', () => {
  const { clock, ask } = allowance()
  ask(999)
  clock.set(0)
  assert.deepEqual([ask(2), ask(1)], [false, true])
  clock.advance(60_000)
  assert.deepEqual([ask(101), ask(100)], [false, true])
})
