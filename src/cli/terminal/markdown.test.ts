import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { patience } from '../../../test/fakes/patience.ts'
import { renderMarkdown } from './markdown.ts'
import { colours, noColours } from './style.ts'
import { paintedWidth } from './text.ts'

/** Looks as tags, so that expectations can be read. */
const tagged = {
  ...colours,
  bold: (text: string) => `<b>${text}</b>`,
  dim: (text: string) => text,
  italic: (text: string) => `<i>${text}</i>`,
  underline: (text: string) => `<u>${text}</u>`,
  strike: (text: string) => `<s>${text}</s>`,
  code: (text: string) => `<c>${text}</c>`,
  accent: (text: string) => text,
}

function inline(text: string): string {
  return renderMarkdown(text, { columns: 1_000, style: tagged }).join('\n')
}

function plain(text: string, columns = 40): string {
  return renderMarkdown(text, { columns, style: noColours }).join('\n')
}

test('marks in text become looks', () => {
  const cases: [string, string][] = [
    ['a **bold** word', 'a <b>bold</b> word'],
    ['an *italic* and an _italic_ word', 'an <i>italic</i> and an <i>italic</i> word'],
    ['***both***', '<b><i>both</i></b>'],
    ['**bold *and italic* text**', '<b>bold </b><b><i>and italic</i></b><b> text</b>'],
    ['`code with **no** marks`', '<c>code with **no** marks</c>'],
    ['``a ` tick``', '<c>a ` tick</c>'],
    ['~~gone~~', '<s>gone</s>'],
    ['[docs](https://x.org/a_b_c)', '<u>docs</u> (https://x.org/a_b_c)'],
    ['[https://x.org](https://x.org)', '<u>https://x.org</u>'],
    ['see https://x.org/a_b_(c), ok', 'see <u>https://x.org/a_b_(c)</u>, ok'],
    ['(https://x.org/a)', '(<u>https://x.org/a</u>)'],
    ['\\*not italic\\*', '*not italic*'],
  ]
  for (const [text, expected] of cases) assert.equal(inline(text), expected)
})

test('marks without a partner, and those inside words, stay as they are', () => {
  for (const text of [
    '2 * 3 * 4',
    '2*3*4',
    'snake_case_name',
    'a ** b',
    '*open',
    '`open',
    'a ~ b',
    '[x] y',
    '[label](',
    '**',
    '____x',
  ])
    assert.equal(inline(text), text)
})

test('headings and code keep their marks where there are no colours', () => {
  assert.equal(plain('## Title ##\ntext `x`'), '## Title\ntext `x`')
  assert.equal(inline('## Title'), '<b>Title</b>')
})

test('prose is wrapped between words, long words where they must be', () => {
  assert.equal(plain('one two three', 8), 'one two\nthree')
  assert.equal(plain('abcdefghij', 4), 'abcd\nefgh\nij')
})

test('wide characters may be parted anywhere, and closing marks stay with them', () => {
  assert.equal(plain('漢字漢字漢字', 5), '漢字\n漢字\n漢字')
  assert.equal(plain('漢字漢。', 6), '漢字\n漢。')
})

test('lines of code keep their spaces, their length and their marks', () => {
  const code = '  if (a_b_c) { return **x** } // a comment that is longer than the line'
  assert.deepEqual(renderMarkdown(`\`\`\`js\n${code}\n\n}\n\`\`\`\nafter`, { columns: 20, style: tagged }), [
    '── js ──────────────',
    `<c>${code}</c>`,
    '<c></c>',
    '<c>}</c>',
    '────────────────────',
    '',
    'after',
  ])
})

test('a fence that is still open runs to the end', () => {
  assert.equal(plain('```\na\n\nb'), '```\na\n\nb\n```')
})

test('lists are indented under their marks', () => {
  assert.equal(
    plain('Things:\n- one\n- two words that wrap over the line here\n  - deeper\n- [x] done\n1. first\n2) second'),
    'Things:\n• one\n• two words that wrap over the line here\n  • deeper\n• ☑ done\n\n1. first\n2) second',
  )
  assert.equal(plain('10. ten words wrap\n\n    a paragraph', 14), '10. ten words\n    wrap\n\n    a\n    paragraph')
})

test('a number that begins a line of prose starts no list', () => {
  assert.equal(plain('It was in\n2024. A good year.'), 'It was in\n2024. A good year.')
})

test('quotes have a bar', () => {
  assert.equal(plain('> one\n> > two\n\nthree'), '│ one\n│\n│ │ two\n\nthree')
})

test('tables have columns as wide as needed', () => {
  assert.equal(
    plain('| Name | N |\n|:--|--:|\n| 漢字 | 1 |\n| a\\|b | 100 |\n| short |'),
    'Name  │   N\n──────┼────\n漢字  │   1\na|b   │ 100\nshort │',
  )
})

test('a table that is too wide is wrapped inside its cells', () => {
  const lines = renderMarkdown('|A|B|\n|-|-|\n|x|one two three four five six|', { columns: 20, style: noColours })
  assert.deepEqual(lines, ['A │ B', '──┼─────────────────', 'x │ one two three', '  │ four five six'])
})

test('a table with too many columns for the width becomes a list of its rows', () => {
  assert.equal(plain('|A|B|C|\n|-|-|-|\n|1|2|3|\n|4|5|6|', 10), 'A: 1\nB: 2\nC: 3\n\nA: 4\nB: 5\nC: 6')
})

test('a table whose columns just fit with four characters each stays a table', () => {
  const table = '|A|B|\n|-|-|\n|1|2|'
  assert.equal(plain(table, 11), 'A │ B\n──┼──\n1 │ 2')
  assert.equal(plain(table, 10), 'A: 1\nB: 2')
})

test('line ends of the text are kept', () => {
  assert.equal(plain('one\ntwo\n\n\n\nthree'), 'one\ntwo\n\nthree')
})

test('an answer cannot bring escape sequences in, whatever they are wrapped in', () => {
  const evil = '\u001b[2J\u001b]52;c;aGk=\u0007\u009b31m\r\u0008'
  const text = `# one${evil}\n- **two${evil}**\n\`\`\`js${evil}\nthree${evil}\n\`\`\`\n|four${evil}|\n|-|\n[five${evil}](six${evil})\n> seven${evil}`
  const lines = renderMarkdown(text, { columns: 40, style: noColours })
  for (const word of ['one', 'two', 'js', 'three', 'four', 'five', 'six', 'seven'])
    assert.ok(lines.join('\n').includes(word), word)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/)
})

test('prose never exceeds the columns, and makes use of them', () => {
  const text =
    '# 漢字 heading with 👨‍👩‍👧 and `code here`\n\n- item **bold** https://x.org/a/very/long/path\n  1. deep 漢字漢字漢字\n> quote of words\n\n|a|b|\n|-|-|\n|one two|three four|'
  for (let columns = 12; columns < 60; columns++) {
    const widths = renderMarkdown(text, { columns, style: colours }).map(paintedWidth)
    assert.ok(
      widths.every((width) => width <= columns),
      `${columns}: ${widths}`,
    )
    assert.ok(Math.max(...widths) > Math.min(columns, 38) - 8, `${columns}: ${widths}`)
  }
})

test('hostile markdown is rendered in bounded time', () => {
  const size = 300_000
  const texts = {
    stars: '*a '.repeat(size / 3),
    underscores: '_a'.repeat(size / 2),
    ticks: '` `` '.repeat(size / 5),
    brackets: '['.repeat(size),
    quotes: '>'.repeat(size),
    nested: '**a *b '.repeat(size / 14) + '* **'.repeat(size / 8),
    spaces: `|${' '.repeat(size / 2)}\n${' '.repeat(size / 2)}-x`,
    fence: `\`\`\`${'a'.repeat(size)}\``,
    hashes: `# ${'#'.repeat(size)}x`,
    table: `${'|a'.repeat(size / 6)}\n${'|-'.repeat(size / 6)}\n${'|b'.repeat(size / 6)}`,
    items: '- a\n'.repeat(size / 4),
    escapes: '\u001b['.repeat(size / 2),
    titles: '\u001b]'.repeat(size / 2),
  }
  // Each takes well under a second; what grows with the square of the size would take minutes, and is ended.
  const timeout = patience(60_000)
  for (const [name, text] of Object.entries(texts)) {
    const render = () => renderMarkdown(text, { columns: 80, style: colours }).length
    const lines = runInNewContext('render()', { render }, { timeout })
    assert.equal(lines > 0, !text.startsWith('\u001b'), name)
  }
})
