import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitText } from './split-text.ts'

test('a text that fits is left as it is', () => {
  assert.deepEqual(splitText(' a\n\nb ', 40), [' a\n\nb '])
  assert.deepEqual(splitText('', 40), [])
  assert.deepEqual(splitText('x'.repeat(40), 40), ['x'.repeat(40)])
  assert.equal(splitText('x'.repeat(41), 40).length, 2)
})

test('a text is parted between paragraphs, else lines, else sentences, else words', () => {
  const word = 'word '
  assert.deepEqual(splitText(`${word.repeat(6)}\n\n${word.repeat(6)}`, 50), [word.repeat(6).trim(), word.repeat(6)])
  assert.deepEqual(splitText(`${'a'.repeat(30)}\n${'b'.repeat(30)}`, 50), ['a'.repeat(30), 'b'.repeat(30)])
  assert.deepEqual(splitText(`${'a'.repeat(30)}. ${'b'.repeat(30)}`, 50), [`${'a'.repeat(30)}.`, 'b'.repeat(30)])
  assert.deepEqual(splitText('x'.repeat(90), 50), ['x'.repeat(41), 'x'.repeat(49)])
})

test('a seam counts where it leaves a piece at least half full, else the next kind of seam', () => {
  const first = (filled: number) => splitText(`${'a'.repeat(filled)}. ${'b'.repeat(8)} ${'c'.repeat(40)}`, 49)[0]
  assert.equal(first(20), `${'a'.repeat(20)}.`)
  assert.equal(first(19), `${'a'.repeat(19)}. ${'b'.repeat(8)}`)
})

test('no character that people see as one is cut', () => {
  const family = '👩‍👩‍👧‍👦'
  for (const piece of splitText(family.repeat(20), 60)) assert.equal(piece.replaceAll(family, ''), '')
  for (const piece of splitText('é'.normalize('NFD').repeat(100), 41)) assert.equal(piece.length % 2, 0)
})

test('a block of code that is cut is closed and opened again with its language', () => {
  const lines = Array.from({ length: 12 }, (_, n) => `line ${n} of the code`)
  const pieces = splitText(['Look:', '```ts', ...lines, '```', 'Done.'].join('\n'), 120)
  assert.ok(pieces.length > 2)
  for (const piece of pieces) assert.equal((piece.match(/^```/gm) ?? []).length % 2, 0, piece)
  assert.ok(pieces.slice(1, -1).every((piece) => piece.startsWith('```ts\n')))
  const kept = pieces.flatMap((piece) => piece.split('\n')).filter((line) => line.startsWith('line '))
  assert.deepEqual(kept, lines)
})

test('whatever the text, the pieces fit, are whole characters, and hold every visible one in order', () => {
  const alphabet = [
    'a',
    'b ',
    'word ',
    '. ',
    '\n',
    '\n\n',
    '```',
    '```js\n',
    '~~~\n',
    '😀',
    '👩‍👩‍👧',
    'é',
    '漢',
    '。',
    '\u00a0',
    '\ud800',
    '\t',
  ]
  let state = 11
  const next = (n: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state % n
  }
  const visible = (text: string) => text.replaceAll(/[\s`~\w]/g, '') // what opens a block of code again repeats its language
  for (let round = 0; round < 3_000; round++) {
    const text = Array.from({ length: next(200) }, () => alphabet[next(alphabet.length)]).join('')
    const limit = 40 + next(100)
    const pieces = splitText(text, limit)
    for (const piece of pieces) assert.ok(piece.length <= limit && piece.trim() !== '', JSON.stringify(piece))
    assert.equal(visible(pieces.join('')), visible(text), JSON.stringify(text))
    if (text.isWellFormed()) assert.ok(pieces.every((piece) => piece.isWellFormed()))
  }
})
