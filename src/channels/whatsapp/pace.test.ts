import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ManualClock } from '../../../test/fakes/clock.ts'
import { Pace, wait } from './pace.ts'

test('a few pass at once, the rest at the pace, and a pause gives the few back', async () => {
  const clock = new ManualClock(0)
  const pace = new Pace(clock, { perMinute: 30, burst: 3 })
  const passed: number[] = []
  const { signal } = new AbortController()
  const send = (count: number) => {
    for (let n = 0; n < count; n++) void pace.turn(signal).then(() => passed.push(clock.now()))
  }
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      clock.advance(1_000)
      await new Promise(setImmediate)
    }
  }
  send(5)
  await new Promise(setImmediate)
  await advance(10_000)
  assert.deepEqual(passed, [0, 0, 0, 2_000, 4_000])
  await advance(60_000)
  send(4)
  await new Promise(setImmediate)
  assert.equal(passed.length, 8)
  await advance(2_000)
  assert.equal(passed.length, 9)
})

test('an account sends eight messages at once, and then one every two seconds', async () => {
  const clock = new ManualClock(0)
  const pace = new Pace(clock)
  let passed = 0
  for (let n = 0; n < 10; n++) void pace.turn(new AbortController().signal).then(() => passed++)
  assert.equal(clock.waiting, 2)
  for (const [ms, expected] of [
    [1_999, 8],
    [1, 9],
    [1_999, 9],
    [1, 10],
  ] as const) {
    clock.advance(ms)
    await new Promise(setImmediate)
    assert.equal(passed, expected, `after ${clock.now()} ms`)
  }
})

test('who waits leaves when the signal aborts', async () => {
  const clock = new ManualClock(0)
  const pace = new Pace(clock, { perMinute: 1, burst: 1 })
  const stop = new AbortController()
  await pace.turn(stop.signal)
  const waiting = pace.turn(stop.signal)
  stop.abort(new Error('stopped'))
  await assert.rejects(waiting, /stopped/)
  await assert.rejects(pace.turn(stop.signal), /stopped/)
  let failure: unknown
  wait({ clock, at: 60_000, signal: stop.signal }).catch((error) => {
    failure = error
  })
  await new Promise(setImmediate)
  assert.deepEqual([failure, clock.waiting], [stop.signal.reason, 0])
})

test('a wait that is over leaves neither alarm nor listener behind', async () => {
  const clock = new ManualClock(0)
  const { signal } = new AbortController()
  const waiting = wait({ clock, at: 1, signal })
  clock.advance(1)
  await waiting
  assert.deepEqual([clock.waiting, getEventListeners(signal, 'abort').length], [0, 0])
})
