import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kind, Site } from './mutant.ts'
import { sample } from './sample.ts'

const LINES = 200
const text = 'x = 12\n'.repeat(LINES)
/** Two places on each line, a rare kind on every tenth. */
const sites: Site[] = Array.from({ length: LINES }, (_, n) => n * 7).flatMap((start): Site[] => [
  { kind: 'negate', start, end: start + 1, replacements: () => ['y', 'z'] },
  { kind: start % 70 === 0 ? 'finally' : 'constant', start: start + 4, end: start + 6, replacements: () => ['13'] },
])
const large = { file: 'src/large.ts', text, sites }
const small = { file: 'src/small.ts', text: text.slice(0, 7 * 20), sites: sites.filter(({ end }) => end < 7 * 20) }

test('the same seed gives the same sample, another one another, and a longer one begins with the shorter', () => {
  const drawn = (seed: number, count = 30) => sample({ files: [large, small], count, seed })
  assert.deepEqual(drawn(1), drawn(1))
  assert.notDeepEqual(drawn(1), drawn(2))
  assert.deepEqual(drawn(1, 10), drawn(1).slice(0, 10))
})

test('files are chosen by their lines, kinds by their weight, and no line twice', () => {
  const drawn = sample({ files: [large, small], count: 100, seed: 3 })
  const places = drawn.map(({ file, line }) => `${file}:${line}`)
  assert.equal(new Set(places).size, 100)
  const count = (isSo: (mutant: { file: string; kind: Kind }) => boolean) => drawn.filter(isSo).length
  assert.ok(count(({ file }) => file === small.file) < 15)
  assert.ok(count(({ file }) => file === small.file) > 0)
  assert.ok(count(({ kind }) => kind === 'negate') > count(({ kind }) => kind === 'constant'))
  assert.ok(count(({ kind }) => kind === 'constant') > count(({ kind }) => kind === 'finally'))
})

test('a sample ends where no line is left, and leaves out what can be replaced by nothing', () => {
  const stuck = { file: 'src/stuck.ts', text, sites: sites.map((site) => ({ ...site, replacements: () => [] })) }
  const drawn = sample({ files: [small, stuck], count: 1_000, seed: 1 })
  assert.equal(drawn.length, 20)
  assert.ok(drawn.every(({ file, from, to }) => file === small.file && from !== to))
})
