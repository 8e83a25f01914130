import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Editor, emptyEditor, press, remembered } from './editor.ts'
import type { CommandKey, Key } from './keys.ts'

/** `|` is the cursor, notes stand in place of pastes. */
function shown({ cells, cursor }: Editor): string {
  const parts = cells.map((cell) => cell.note ?? cell.text)
  return [...parts.slice(0, cursor), '|', ...parts.slice(cursor)].join('')
}

function type(...inputs: string[]): { editor: Editor; sent: string[] } {
  return typeInto(emptyEditor, ...inputs)
}

/** `<left>` is a key, `<paste>...` a paste, anything else is text. */
function typeInto(start: Editor, ...inputs: string[]): { editor: Editor; sent: string[] } {
  let editor = start
  const sent: string[] = []
  for (const input of inputs) {
    const step = press(editor, keyOf(input))
    editor = step.editor
    if (step.submitted !== undefined) sent.push(step.submitted)
  }
  return { editor, sent }
}

function keyOf(input: string): Key {
  if (input.startsWith('<paste>')) return { name: 'paste', text: input.slice(7) }
  if (/^<[a-z-]+>$/.test(input)) return { name: input.slice(1, -1) as CommandKey }
  return { name: 'text', text: input }
}

function after(...inputs: string[]): string {
  return shown(type(...inputs).editor)
}

test('Enter submits the trimmed text and empties the input', () => {
  const { editor, sent } = type(' hello ', '<enter>')
  assert.deepEqual(sent, ['hello'])
  assert.equal(shown(editor), '|')
})

test('Enter on nothing submits nothing', () => {
  assert.deepEqual(type('<enter>', '  ', '<enter>').sent, [])
})

test('Alt-Enter and a backslash before Enter make a new line', () => {
  assert.deepEqual(type('a', '<newline>', 'b\\', '<enter>', 'c', '<enter>').sent, ['a\nb\nc'])
})

test('the cursor moves by what a person sees as one character', () => {
  assert.equal(after('a👨‍👩‍👧漢', '<left>', '<left>', 'x'), 'ax|👨‍👩‍👧漢')
  assert.equal(after('a👨‍👩‍👧', '<backspace>'), 'a|')
})

test('an accent that is typed after its letter joins it', () => {
  assert.equal(after('e', '\u0301', '<backspace>'), '|')
})

test('the cursor stops at both ends', () => {
  assert.equal(after('ab', '<left>', '<left>', '<left>', 'x', '<end>', '<right>', 'y'), 'xaby|')
})

test('words are jumped over and deleted, and what was deleted can be put back', () => {
  assert.equal(after('one two, three', '<word-left>', '<word-left>'), 'one |two, three')
  assert.equal(after('one two', '<home>', '<word-right>'), 'one| two')
  assert.equal(after('one two', '<delete-word-left>', '<home>', '<put-back>'), 'two|one ')
  assert.equal(after('one two', '<home>', '<delete-word-right>'), '| two')
})

test('deleting to a line end stays on the line', () => {
  assert.equal(after('ab', '<newline>', 'cd', '<left>', '<delete-to-start>'), 'ab\n|d')
  assert.equal(after('ab', '<newline>', 'cd', '<up>', '<home>', '<delete-to-end>'), '|\ncd')
})

test('Ctrl-D deletes forward', () => {
  assert.equal(after('ab', '<home>', '<end-of-input>'), '|b')
})

test('up and down move between lines, and from the outer lines to earlier inputs', () => {
  const lines = ['long line', '<newline>', 'ab']
  assert.equal(after(...lines, '<up>'), 'lo|ng line\nab')
  assert.equal(after(...lines, '<up>', '<end>', '<down>'), 'long line\nab|')
  assert.equal(after('old', '<enter>', ...lines, '<up>', '<up>'), 'old|')
  assert.equal(after('old', '<enter>', ...lines, '<up>', '<up>', '<down>'), 'long line\nab|')
})

test('earlier inputs are recalled newest first, and the draft is not lost', () => {
  const { editor } = type('one', '<enter>', 'two', '<enter>', 'draft')
  assert.equal(shown(typeInto(editor, '<up>').editor), 'two|')
  assert.equal(shown(typeInto(editor, '<up>', '<up>', '<up>').editor), 'one|')
  assert.equal(shown(typeInto(editor, '<up>', '<up>', '<down>', '<down>', '<down>').editor), 'draft|')
})

test('an input that is sent twice is remembered once', () => {
  assert.equal(after('one', '<enter>', 'two', '<enter>', 'two', '<enter>', '<up>', '<up>'), 'one|')
})

test('what another terminal sent is remembered, and does not disturb who is looking back', () => {
  const { editor } = type('one', '<enter>', 'two', '<enter>', '<up>', '<up>')
  const disturbed = remembered(editor, 'three')
  assert.equal(shown(disturbed), 'one|')
  assert.equal(shown(typeInto(disturbed, '<down>').editor), 'two|')
  assert.equal(shown(typeInto(disturbed, '<down>', '<down>').editor), 'three|')
})

test('a small paste is text, with the line ends that terminals send', () => {
  assert.equal(after('a', '<paste>b\rc', 'd'), 'ab\ncd|')
})

test('a large paste is one note and is sent whole', () => {
  const paste = '1\r2\r3\r4\r5'
  assert.equal(after('see ', `<paste>${paste}`, ' ok'), 'see [5 lines pasted] ok|')
  assert.deepEqual(type('see ', `<paste>${paste}`, '<enter>').sent, ['see 1\n2\n3\n4\n5'])
  assert.equal(after('see ', `<paste>${paste}`, '<backspace>'), 'see |')
  assert.equal(after(`<paste>${'x'.repeat(500)}`), '[500 characters pasted]|')
})

test('a paste cannot submit or bring control characters in', () => {
  const { sent, editor } = type('<paste>one\r\u001b[31mtwo\u0003\r')
  assert.deepEqual(sent, [])
  assert.equal(shown(editor), 'one\ntwo\n|')
})

test('a large paste is recalled as its note', () => {
  assert.equal(after('<paste>1\r2\r3\r4', '<enter>', '<up>'), '[4 lines pasted]|')
})
