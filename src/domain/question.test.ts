import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choiceOf } from './question.ts'

const options = Array.from({ length: 12 }, (_, n) => `Option ${String.fromCharCode(65 + n)}`)
const chosen = (text: string, labels: readonly string[] = options) => choiceOf(text, { options: labels, trigger: '@Andy' })

test('an option is chosen by its number, from the first to the last', () => {
  assert.deepEqual(
    ['1', '12', '#12', '12.', '3)', '03'].map((text) => chosen(text)),
    ['Option A', 'Option L', 'Option L', 'Option L', 'Option C', 'Option C'],
  )
  assert.deepEqual(
    ['0', '13', '112', '-1', '1.5', '1..', '##1', ''].map((text) => chosen(text)),
    Array(8).fill(undefined),
  )
})

test('a label goes before a number', () => {
  assert.deepEqual([chosen('2', ['2', '1']), chosen('#1', ['x', '#1'])], ['2', '#1'])
})

test('a label is known in any case and width, also behind the trigger', () => {
  for (const text of ['option a', ' OPTION A\n', 'Ｏｐｔｉｏｎ A', '@andy option a', '@Andy: option a', '@Andy,1'])
    assert.equal(chosen(text), 'Option A', text)
  assert.equal(chosen('Andy, option a'), undefined)
})

test('whatever calls the assistant can choose: marks of direction, characters without width, markers, signs and blanks', () => {
  const said = [
    '@\u2068Andy\u2069 2',
    '\u2068@Andy\u2069 2',
    '\u200e@Andy\u200f \u20682\u2069',
    '@A\u200bndy 2',
    '\u200b@Andy\u200b2',
    '@\u2060Andy\ufeff 2',
    '@Ａｎｄｙ ２',
    '[Photo] @Andy 2',
    '[In reply to Andy: "Which [colour]?"] @Andy: 2',
    '[Photo] [Image: a [b].png] @\u2068Andy\u2069, 2',
    '@Andy… 2',
    '@Andy – 2.',
    '@Andy! 👋 2)',
    '@Andy: #2',
    '@Andy\n2',
    '@Andy, option b',
    '@Andy – “OPTION\u00a0B',
  ]
  for (const text of said) assert.equal(chosen(text), 'Option B', JSON.stringify(text))
  for (const text of ['@Andy2', '@Andy -2', '@Andrew 2', 'and @Andy 2', '@Andy', '@Andy 2 or 3', `@Andy${' '.repeat(4_000)}2`])
    assert.equal(chosen(text), undefined, JSON.stringify(text))
})

test('an answer without the trigger is read in the same way, also where it quotes the question', () => {
  for (const text of [
    '\u20682\u2069',
    '2\u200b',
    '２',
    '2\ufe0f\u20e3',
    '[In reply to Andy: "Which one?"] 2',
    '[Photo] option\u00a0b',
  ])
    assert.equal(chosen(text), 'Option B', JSON.stringify(text))
})

test('a label is found as it stands before any other that looks the same, and so is one that looks like a marker or a trigger', () => {
  assert.equal(chosen('ß', ['SS', 'ß']), 'ß')
  assert.equal(chosen('ss', ['ß', 'other']), 'ß')
  assert.equal(chosen('[Photo]', ['[Photo]', '[Video]']), '[Photo]')
  assert.equal(chosen('@andy', ['@Andy', 'Bob']), '@Andy')
  assert.equal(chosen('@Andy 👍', ['👍', '👎']), '👍')
  assert.equal(chosen('[Reaction to "Go?"] 👎', ['👍', '👎']), '👎')
})
