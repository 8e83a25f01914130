import assert from 'node:assert/strict'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setVariable, withVariable } from './env-file.ts'

const set = (text: string) => withVariable({ text, name: 'KEY', value: 'v' })

test('a variable is added at the end, or replaced where it stands', () => {
  assert.equal(set(''), 'KEY=v\n')
  assert.equal(set('A=1'), 'A=1\nKEY=v\n')
  assert.equal(set('A=1\n\n'), 'A=1\n\nKEY=v\n')
  assert.equal(set('export KEY=old\nKEYS=2\n'), 'KEY=v\nKEYS=2\n')
})

test('of several assignments one remains, as the last would win otherwise; a comment is not one', () => {
  assert.equal(set('KEY=a\n# KEY=b\nKEY = c\n'), 'KEY=v\n# KEY=b\n')
})

test('an .env that is a link stays one, and no draft is left', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-env-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [file, link] = [path.join(folder, 'real'), path.join(folder, '.env')]
  writeFileSync(file, 'A=1\n')
  symlinkSync(file, link)
  setVariable({ file: link, name: 'KEY', value: 'v' })
  assert.ok(lstatSync(link).isSymbolicLink())
  assert.equal(readFileSync(file, 'utf8'), 'A=1\nKEY=v\n')
  assert.deepEqual(readdirSync(folder).sort(), ['.env', 'real'])
})
