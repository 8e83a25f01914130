import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStrictly } from './json-shape.ts'

/** The value of a text, or the reason why it is refused. */
function read(text: string): unknown {
  const parsed = parseStrictly(Buffer.from(text))
  return parsed.type === 'json' ? parsed.value : parsed.why
}

test('JSON of 100 levels and 100,000 parts is read, and no more of either', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
  assert.equal(JSON.stringify(read(deep(100))), deep(100))
  assert.equal(read(deep(101)), 'it is more than 100 levels deep')
  const objects = (levels: number) => '{"a":'.repeat(levels) + '1'.padEnd(levels + 1, '}')
  assert.equal(JSON.stringify(read(objects(100))), objects(100))
  assert.equal(read(objects(101)), 'it is more than 100 levels deep')
  const long = (commas: number) => `[${'0,'.repeat(commas)}0]`
  assert.equal((read(long(99_999)) as unknown[]).length, 100_000)
  assert.equal(read(long(100_000)), 'it has more than 100000 parts')
  const lists = (count: number) => `[${Array(count).fill('[]').join()}]`
  assert.equal((read(lists(50_000)) as unknown[]).length, 50_000)
  assert.equal(read(lists(50_001)), 'it has more than 100000 parts')
})

test('a closed level no longer counts', () => {
  assert.deepEqual(read(`[${Array(200).fill('[{"a":[]}]').join()}]`), Array(200).fill([{ a: [] }]))
})

test('a name is recognized with every kind of blank before its colon', () => {
  for (const blank of ['', ' ', '\t', '\n', '\r', ' \t\r\n '])
    assert.equal(read(`{"a"${blank}:1,"a":2}`), 'it says "a" twice in one object', JSON.stringify(blank))
})

test('a name that occurs again in another object, or after it, is not a repetition', () => {
  assert.deepEqual(read('{"a":{"a":1},"b":[{"a":1},{"a":2}]}'), { a: { a: 1 }, b: [{ a: 1 }, { a: 2 }] })
  assert.equal(read('{"a":{"b":1},"a":2}'), 'it says "a" twice in one object')
  assert.equal(read('{"a":[],"a":2}'), 'it says "a" twice in one object')
})

test('a string ends at its first quote that no odd number of backslashes escapes', () => {
  assert.deepEqual(read(String.raw`{"a":"\\","b":"\\\"","c":"\\\\","d":"\""}`), { a: '\\', b: '\\"', c: '\\\\', d: '"' })
  assert.equal(read(String.raw`{"\\":1,"\\":2}`), String.raw`it says "\" twice in one object`)
  assert.equal(read(String.raw`{"a\"":1,"a\"":2}`), 'it says "a"" twice in one object')
})

test('a repeated name is told with its first 100 characters', () => {
  for (const length of [100, 101]) {
    const name = 'n'.repeat(length)
    assert.equal(read(`{"${name}":1,"${name}":2}`), `it says "${'n'.repeat(100)}" twice in one object`)
  }
})

test('text that is not JSON is refused, wherever it breaks off', () => {
  const whole = '{"a":["b\\"",1,null]}'
  for (let end = 0; end < whole.length; end++) assert.equal(read(whole.slice(0, end)), 'it is not JSON', whole.slice(0, end))
  assert.equal(read(String.raw`{"\x":1}`), 'it is not JSON')
})
