import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import type { Channel } from '../channels/contract.ts'
import { showTyping } from './typing.ts'

test('a chat shows that it is worked for, again every eight seconds, until it is over', () => {
  const clock = new ManualClock()
  const shown: string[] = []
  const channel = { setTyping: (jid: string, on: boolean) => void shown.push(`${jid} ${on}`) } as unknown as Channel
  const end = showTyping({ channel, jid: 'tg:1', clock })
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
  for (const channel of [undefined, {} as Channel]) showTyping({ channel, jid: 'tg:1', clock })()
  assert.equal(clock.waiting, 0)
})
