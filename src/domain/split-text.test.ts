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

test('no piece is blank, however the blanks lie, and a blank text has no piece', () => {
  assert.deepEqual(splitText(`${' '.repeat(9_000)}b`, 4_096), ['b'])
  assert.deepEqual(splitText(`a${' '.repeat(9_000)}`, 4_096), ['a'])
  assert.deepEqual(splitText(`a${'\n'.repeat(9_000)}b`, 4_096), ['a', 'b'])
  for (const blank of [' ', '\n\n', '\u200b', '\u2060\u00ad', '\u3000'])
    for (const times of [1, 100, 9_000]) assert.deepEqual(splitText(blank.repeat(times), 100), [], JSON.stringify(blank))
})

test('a block of code that is cut leaves no piece without any of it', () => {
  const line = 'x'.repeat(60)
  assert.deepEqual(splitText(`\`\`\`js\n${line}\n\`\`\``, 80), [`\`\`\`js\n${line}\n\`\`\``])
  for (const end of [`\n\`\`\`${' '.repeat(20)}`, `${'\n'.repeat(300)}\`\`\``, '\n'.repeat(300)]) {
    const pieces = splitText(`\`\`\`js\n${line}${end}`, 75)
    assert.deepEqual(pieces, [`\`\`\`js\n${line}\n\`\`\``], JSON.stringify(end))
  }
})

test('a seam does not part a blank from the mark that belongs to it', () => {
  const accent = '\u0301'
  const pieces = splitText(`${'a'.repeat(30)} ${'b'.repeat(8)} ${accent}${'c'.repeat(40)}`, 50)
  assert.deepEqual(pieces, ['a'.repeat(30), `${'b'.repeat(8)} ${accent}${'c'.repeat(40)}`])
})

test('a limit that is too small for a block of code, or for a character, is kept all the same', () => {
  assert.deepEqual(splitText('ab c', 1), ['a', 'b', 'c'])
  assert.deepEqual(splitText('a😀b', 2), ['a', '😀', 'b'])
  assert.deepEqual(splitText('😀', 1).join(''), '😀')
  assert.deepEqual(splitText('```\nx\n```', 3), ['```', 'x\n`', '``'])
  for (const limit of [0, -1, Number.NaN]) assert.throws(() => splitText('a', limit), RangeError)
})

test('whatever the text and the limit, no piece is blank or too long, and every visible character comes in order', () => {
  const alphabet = [
    'a',
    'b ',
    ' ',
    '    ',
    '\n',
    '\n\n',
    '. ',
    '```',
    '```js\n',
    '~~~~\n',
    '😀',
    '👩‍👩‍👧',
    'e\u0301',
    ' \u0301',
    '漢',
    '。',
  ]
  const unusual = [
    '\u200b',
    '\u00a0',
    '\u2060',
    '\ud800',
    '\udc00',
    '\t',
    '\r\n',
    ' '.repeat(150),
    '\n'.repeat(90),
    'x'.repeat(130),
  ]
  const all = [...alphabet, ...unusual]
  let state = 29
  const next = (n: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state % n
  }
  for (let round = 0; round < 4_000; round++) {
    const text = Array.from({ length: next(60) }, () => all[next(all.length)]).join('')
    const limit = 1 + next(120)
    const pieces = splitText(text, limit)
    const seen = JSON.stringify({ text, limit, pieces })
    for (const piece of pieces) assert.ok(piece.length <= limit && !/^[\s\p{DI}]*$/u.test(piece), seen)
    assert.ok(holds(pieces.join(''), visible(text)), seen)
    if (limit > 1 && text.isWellFormed())
      assert.ok(
        pieces.every((piece) => piece.isWellFormed()),
        seen,
      )
  }
})

/** Marks of direction and the like may be lost with the blanks around them. */
function visible(text: string): string {
  return text.replaceAll(/[\s\p{DI}]/gu, '')
}

/** Is every character of `wanted` in `text`, in order? A block of code that is opened again adds some between them. */
function holds(text: string, wanted: string): boolean {
  let found = 0
  for (let at = 0; at < text.length && found < wanted.length; at++) if (text[at] === wanted[found]) found++
  return found === wanted.length
}
