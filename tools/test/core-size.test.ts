import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { codeLines, coreLines, dependencyCounts } from './core-size.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')

test('blank lines and comments do not count, code beside a comment does', () => {
  const text = `// one
/** two
 * three
 */
import x from 'x' // counted

  /* four */
const a = 1 /* counted */
`
  assert.equal(codeLines(text), 2)
  assert.equal(codeLines(''), 0)
})

test('the core of this project and its dependencies are found', () => {
  assert.ok(coreLines(PROJECT) > 1_000)
  const { host, runner } = dependencyCounts(PROJECT)
  assert.ok(host > 0 && runner > 0)
})
