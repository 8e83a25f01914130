import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Fate, judge, type Shown } from './verdict.ts'

const said = [
  { id: '1', jid: 'peer:a', words: 'm1' },
  { id: '2', jid: 'peer:a', words: 'm2' },
]
const answer = (words: string): Fate => ({ state: 'done', answers: [words] })
const shown = (...texts: string[]): Shown[] => texts.map((text, n) => ({ jid: 'peer:a', text, key: `k${n}` }))
const verdict = (fates: (Fate | undefined)[], platform: Shown[]) =>
  judge({ said, fateOf: ({ id }) => fates[Number(id) - 1], shown: platform })

test('messages that were answered once, alone or together, are well', () => {
  const well = { lost: [], doubled: [], givenUp: [] }
  assert.deepEqual(verdict([answer('m1'), answer('m2')], shown('m1', 'm2')), well)
  assert.deepEqual(verdict([answer('RESULT:m1'), answer('RESULT:m1')], shown('RESULT:m1')), well)
})

test('a message that is in no turn, unanswered, or answered without a delivery is lost', () => {
  const silent: Fate = { state: 'done', answers: [] }
  const running: Fate = { state: 'running', answers: [] }
  for (const fate of [undefined, silent, running]) assert.equal(verdict([fate, answer('m2')], shown('m2')).lost.length, 1)
  assert.equal(verdict([answer('m1'), answer('m2')], shown('m2')).lost.length, 1)
})

test('a delivery that is made twice, a turn with two answers, and words that are said twice are doubled', () => {
  const one = { jid: 'peer:a', text: 'm1', key: 'k0' }
  assert.ok(verdict([answer('m1'), answer('m2')], [one, one, ...shown('m2')]).doubled.length > 0)
  assert.equal(verdict([{ state: 'done', answers: ['x', 'y'] }, answer('m2')], shown('x', 'y', 'm2')).doubled.length, 1)
  assert.equal(verdict([answer('m1'), answer('m2')], shown('m1', 'm2', 'again m1')).doubled.length, 1)
})

test('a turn that failed for good is neither: its chat was told', () => {
  const failed: Fate = { state: 'failed', answers: [], why: 'crash' }
  assert.deepEqual(verdict([failed, answer('m2')], shown('m2')), { lost: [], doubled: [], givenUp: ['peer:a m1: crash'] })
})
