import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { pause, systemClock } from './clock.ts'

const DAY = 86_400_000
/** What a timer of Node can wait at most. */
const LONGEST = 2 ** 31 - 1

function alarms(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 })
  const went: number[] = []
  const wakeIn = (ms: number) => systemClock.wakeAt(systemClock.now() + ms, () => went.push(systemClock.now()))
  return { went, wakeIn, tick: (ms: number) => t.mock.timers.tick(ms) }
}

test('the clock of the system wakes at the moment that was asked for, once', (t) => {
  const { went, wakeIn, tick } = alarms(t)
  wakeIn(5_000)
  tick(4_999)
  assert.deepEqual(went, [])
  tick(1)
  tick(60_000)
  assert.deepEqual(went, [6_000])
})

for (const ms of [LONGEST - 1, LONGEST, LONGEST + 1, 60 * DAY])
  test(`the clock of the system can be asked to wake in ${ms} ms`, (t) => {
    const { went, wakeIn, tick } = alarms(t)
    wakeIn(ms)
    for (let left = ms - 1; left > 0; left -= LONGEST) tick(Math.min(left, LONGEST))
    assert.deepEqual(went, [])
    tick(1)
    assert.deepEqual(went, [1_000 + ms])
  })

test('a moment that has passed already comes at once, and one that was called off never', (t) => {
  const { went, wakeIn, tick } = alarms(t)
  wakeIn(-60_000)
  const callOff = wakeIn(5_000)
  const callOffLong = wakeIn(60 * DAY)
  tick(1)
  assert.equal(went.length, 1)
  callOff()
  tick(LONGEST)
  callOffLong()
  tick(60 * DAY)
  assert.equal(went.length, 1)
})

test('a pause ends at its moment or when it is called off, and leaves nothing behind', async () => {
  const clock = new ManualClock(0)
  const stop = new AbortController()
  const listeners = { added: 0 }
  const add = stop.signal.addEventListener.bind(stop.signal)
  const remove = stop.signal.removeEventListener.bind(stop.signal)
  const signal = Object.assign(stop.signal, {
    addEventListener: (...given: Parameters<typeof add>) => {
      listeners.added++
      add(...given)
    },
    removeEventListener: (...given: Parameters<typeof remove>) => {
      listeners.added--
      remove(...given)
    },
  })
  const ended: string[] = []
  const long = pause({ clock, until: 5_000, signal }).then(() => ended.push('long'))
  const short = pause({ clock, until: 1_000, signal }).then(() => ended.push('short'))
  clock.advance(999)
  await Promise.resolve()
  assert.deepEqual(ended, [])
  clock.advance(1)
  await short
  assert.deepEqual([ended, clock.waiting, listeners.added], [['short'], 1, 1])
  stop.abort()
  await long
  await pause({ clock, until: 9_000, signal })
  assert.deepEqual([ended, clock.waiting, listeners.added], [['short', 'long'], 0, 0])
})
