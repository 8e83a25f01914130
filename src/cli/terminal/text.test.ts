import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clip, graphemes, oneLine, width } from './text.ts'

test('one line has no line ends and no double spaces', () => {
  assert.equal(oneLine(' a\n\n b\tc\u001b[1m '), 'a b c')
})

test('width counts the columns that terminals use', () => {
  const cases: [string, number][] = [
    ['hello', 5],
    ['wörld', 5],
    ['e\u0301', 1],
    ['漢字', 4],
    ['かな', 4],
    ['ﾊﾝｶｸ', 4],
    ['한국어', 6],
    ['👍', 2],
    ['👍🏽', 2],
    ['👨‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['©', 1],
    ['→', 1],
    ['\u200b', 0],
    ['', 0],
  ]
  for (const [text, columns] of cases) assert.equal(width(text), columns, JSON.stringify(text))
})

test('graphemes are what a person counts', () => {
  assert.deepEqual(graphemes('ae\u0301👨‍👩‍👧漢'), ['a', 'e\u0301', '👨‍👩‍👧', '漢'])
  assert.deepEqual(graphemes('漢字かな'), ['漢', '字', 'か', 'な'])
})

test('clipped text ends with an ellipsis and never exceeds its columns', () => {
  assert.equal(clip('hello', 5), 'hello')
  assert.equal(clip('hello!', 5), 'hell…')
  assert.equal(clip('漢字漢字', 6), '漢字…')
  assert.equal(clip('漢字漢字', 0), '')
})
