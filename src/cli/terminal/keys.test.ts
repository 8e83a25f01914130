import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeKeys, type Key, nothingHeld, type Undecoded } from './keys.ts'

function decode(...chunks: string[]): { keys: Key[]; undecoded: Undecoded } {
  let undecoded = nothingHeld
  const keys: Key[] = []
  for (const chunk of chunks) {
    const step = decodeKeys(undecoded, chunk)
    keys.push(...step.keys)
    undecoded = step.undecoded
  }
  return { keys, undecoded }
}

function names(...chunks: string[]): string[] {
  return decode(...chunks).keys.map((key) => ('text' in key ? `${key.name} ${key.text}` : key.name))
}

test('text and keys come in the order they were typed', () => {
  assert.deepEqual(names('hé漢👍\u007fx\r'), ['text hé漢👍', 'backspace', 'text x', 'enter'])
})

test('keys are known in the forms that terminals send', () => {
  const cases: [string, string][] = [
    ['\u001b[A', 'up'],
    ['\u001bOA', 'up'],
    ['\u001b[H', 'home'],
    ['\u001b[1~', 'home'],
    ['\u001bOF', 'end'],
    ['\u001b[3~', 'delete'],
    ['\u001b[1;5D', 'word-left'],
    ['\u001bb', 'word-left'],
    ['\u001b\r', 'newline'],
    ['\u001b[13;2u', 'newline'],
    ['\r\n', 'enter'],
    ['\n', 'enter'],
    ['\u0003', 'interrupt'],
    ['\u0004', 'end-of-input'],
    ['\u0015', 'delete-to-start'],
    ['\u001b\u007f', 'delete-word-left'],
  ]
  for (const [bytes, name] of cases) assert.deepEqual(names(bytes), [name], JSON.stringify(bytes))
})

test('unknown sequences are ignored as a whole', () => {
  assert.deepEqual(names('a\u001b[200;3Rb\u001b[15~c\u001b[<0;1;2Md\u0000e'), ['text a', 'text b', 'text c', 'text d', 'text e'])
})

test('a sequence may come in pieces', () => {
  assert.deepEqual(names('a\u001b', '[', '1;5', 'Cb'), ['text a', 'word-right', 'text b'])
})

test('a lone Escape is held back until it is clear what it begins', () => {
  assert.deepEqual(decode('a\u001b').undecoded, { type: 'keys', held: '\u001b' })
})

test('a paste is one key, whatever is in it', () => {
  assert.deepEqual(names('x\u001b[200~one\rtwo\u001b[A\u0003\u001b[201~y'), ['text x', 'paste one\rtwo\u001b[A\u0003', 'text y'])
})

test('a paste may come in pieces, its end too', () => {
  assert.deepEqual(names('\u001b[20', '0~one', '\rtwo\u001b[2', '01~\r'), ['paste one\rtwo', 'enter'])
})

test('two pastes in one chunk are two', () => {
  assert.deepEqual(names('\u001b[200~a\u001b[201~\u001b[200~b\u001b[201~'), ['paste a', 'paste b'])
})

test('however the bytes are cut, the keys are the same', () => {
  const bytes = 'ab\u001b[A\u001b[1;5Cé\u001b[200~p\rq\u001b[201~\u001b\r\u001bOHz\r'
  const whole = names(bytes)
  for (let cut = 1; cut < bytes.length; cut++) {
    const joined = names(bytes.slice(0, cut), bytes.slice(cut)).join('|').replaceAll('text a|text b', 'text ab')
    assert.equal(joined, whole.join('|'), `cut at ${cut}`)
  }
})
