import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neutralised } from './neutral-text.ts'

test('neutralised text keeps what people see and nothing that drives a terminal', () => {
  const cases: [string, string, string][] = [
    ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
    ['a clear screen', 'a\u001b[2J\u001b[Hb', 'ab'],
    ['a window title', 'a\u001b]0;title\u0007b', 'ab'],
    ['a hyperlink', '\u001b]8;;https://x.org\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['a clipboard write', '\u001b]52;c;aGk=\u0007x', 'x'],
    ['a device string', '\u001bPq#0\u001b\\x', 'x'],
    ['a reset', '\u001bcx', 'x'],
    ['8-bit introducers', '\u009b2Jx\u009d0;t\u009cy', '2Jx0;ty'],
    ['bell, backspace, form feed, delete', 'a\u0007\b\f\u007fb', 'ab'],
    ['a carriage return that would overwrite', 'safe\rrm -rf', 'safe\nrm -rf'],
    ['Windows line ends', 'a\r\nb', 'a\nb'],
    ['marks that reorder text', 'user\u202egnp.exe', 'usergnp.exe'],
    ['half a character', 'a\ud83dx', 'a\ufffdx'],
    ['tabs and newlines', 'a\tb\nc', 'a\tb\nc'],
    ['what joins emoji', '👨\u200d👩\u200d👧', '👨\u200d👩\u200d👧'],
  ]
  for (const [what, text, expected] of cases) assert.equal(neutralised(text), expected, what)
})

test('an unfinished sequence hides nothing of the text behind it', () => {
  assert.equal(neutralised('a\u001b]0;title without an end\nnext line'), 'a0;title without an end\nnext line')
  assert.equal(neutralised('a\u001b[12'), 'a12')
})

test('no control character is left of any text', () => {
  const all = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).join('x\u001b[')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
  assert.doesNotMatch(neutralised(all), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
})
