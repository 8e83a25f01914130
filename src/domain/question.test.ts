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
