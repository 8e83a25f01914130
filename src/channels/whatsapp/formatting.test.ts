import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whatsappText } from './formatting.ts'

test('markdown is written as WhatsApp shows it', () => {
  const cases: [string, string][] = [
    ['**bold** and *italic* and _italic_', '*bold* and _italic_ and _italic_'],
    ['***both***', '*_both_*'],
    ['__bold__ ~~gone~~', '*bold* ~gone~'],
    ['# Title\n\n## **Part** two', '*Title*\n\n*Part two*'],
    ['* one\n* two\n  - three', '- one\n- two\n  - three'],
    ['- [ ] open\n- [x] done', '☐ open\n☑ done'],
    ['[docs](https://x.org/a_b) https://x.org', 'docs (https://x.org/a_b) https://x.org'],
    ['![](https://x.org/p.png)', 'https://x.org/p.png'],
    ['---', '———'],
    ['1. first\n2. second', '1. first\n2. second'],
  ]
  for (const [markdown, expected] of cases) assert.equal(whatsappText(markdown), expected)
})

test('code is left alone, but for the name of its language', () => {
  assert.equal(whatsappText('`**a**` and ```ts\nlet **x** = 1\n```'), '`**a**` and ```\nlet **x** = 1\n```')
  assert.equal(whatsappText('```\nopen **end'), '```\nopen **end')
})

test('what is not markdown stays as it is', () => {
  for (const text of ['2 * 3 * 4 = 24', 'snake_case_name', 'a * b', '5*4*3', 'a ** b', '~/folder', 'x < y & z'])
    assert.equal(whatsappText(text), text)
})
