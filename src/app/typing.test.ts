import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import type { Channel } from '../channels/contract.ts'
import { showTyping } from './typing.ts'

test('a chat shows that it is worked for, again every eight seconds, until it is over', () => {
  const clock = new ManualClock()
  const shown: string[] = []
  const channel = { setTyping: (jid: string, on: boolean) => void shown.push(`${jid} ${on}`) } as unknown as Channel
  const end = showTyping({ channel, jid: 'tg:1', clock, log: console })
  clock.advance(7_999)
  assert.deepEqual(shown, ['tg:1 true'])
  clock.advance(1)
  clock.advance(8_000)
  assert.equal(shown.length, 3)
  end()
  assert.deepEqual([shown.at(-1), clock.waiting], ['tg:1 false', 0])
})

test('a channel that cannot show it, and a chat of no channel, show nothing', () => {
  const clock = new ManualClock()
  for (const channel of [undefined, {} as Channel]) showTyping({ channel, jid: 'tg:1', clock, log: console })()
  assert.equal(clock.waiting, 0)
})

test('a channel that throws is asked no more, and harms nobody', (t) => {
  const clock = new ManualClock()
  const error = t.mock.fn()
  const setTyping = t.mock.fn(() => {
    if (setTyping.mock.callCount() > 0) throw new Error('it is gone')
  })
  const end = showTyping({ channel: { setTyping } as unknown as Channel, jid: 'tg:1', clock, log: { error } })
  clock.advance(60_000)
  end()
  assert.deepEqual([setTyping.mock.callCount(), clock.waiting], [3, 0])
  assert.deepEqual(
    error.mock.calls.map((call) => call.arguments),
    Array(2).fill(['Typing in tg:1: it is gone']),
  )
})
