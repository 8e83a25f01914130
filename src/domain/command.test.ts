import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentCommandOf, commandOf } from './command.ts'

const name = (text: string) => commandOf(text, '@Andy')?.name

test('a command stands alone, in any case, also behind the trigger', () => {
  assert.deepEqual(['/stop', ' /STOP ', '@Andy /stop', '@andy  /Stop', '/new  hard'].map(name), [
    'stop',
    'stop',
    'stop',
    'stop',
    'new hard',
  ])
  assert.deepEqual(
    ['/stopp', '/stop now', 'please /stop', 'stop', '/', '', '@Andy', '/unknown'].map(name),
    Array(8).fill(undefined),
  )
})

test('/compact is for the agent, as it is', () => {
  assert.equal(agentCommandOf('@Andy /compact', '@Andy'), '/compact')
  assert.equal(agentCommandOf('/compact please', '@Andy'), undefined)
  assert.equal(commandOf('/compact', '@Andy'), undefined)
})

test('words that mean something to JavaScript are no commands', () => {
  for (const text of ['constructor', '__proto__', 'toString']) assert.equal(commandOf(text, '@Andy'), undefined)
})

test('a request that ends in the word of a command is none', () => {
  const asked = ['what happens if I type /new hard', 'please explain /new', 'do not /stop', 'see https://example.org/new']
  assert.deepEqual(
    asked.map((text) => name(`@Andy ${text}`)),
    Array(4).fill(undefined),
  )
  assert.equal(agentCommandOf('@Andy see the docs on /compact', '@Andy'), undefined)
  assert.equal(name(`@Andy /new${' '.repeat(5_000)}is what I would like to understand`), undefined)
})

test('a text is looked at as a command up to 4,000 characters', () => {
  const spread = (blanks: number) => `/new${' '.repeat(blanks)}hard`
  assert.deepEqual([name(spread(3_992)), name(spread(3_993))], ['new hard', undefined])
})

test('a command stands behind a marker, or set off from the trigger, too', () => {
  assert.deepEqual(['[Photo] @Andy /stop', '@Andy, /stop', '@Andy: /new hard', '@Andy – /status'].map(name), [
    'stop',
    'stop',
    'new hard',
    'status',
  ])
  const signs = ['? ', ' — ', '、', '، ', '\u200b ', '… ', ' 👋 ']
  for (const sign of signs) assert.equal(name(`@Andy${sign}/stop`), 'stop', sign)
})

test('a command is read as a trigger is: characters that nobody sees, wide letters and markers do not matter', () => {
  const said = [
    '\u2068/stop\u2069',
    '/st\u200bop',
    '／ｓｔｏｐ',
    '\ufeff/stop',
    '[Photo] /stop',
    '[In reply to Andy: "Working"] /stop',
  ]
  for (const text of said) assert.equal(name(text), 'stop', JSON.stringify(text))
  assert.equal(name('@\u2068Andy\u2069 \u2068/stop\u2069'), 'stop')
  assert.equal(agentCommandOf('\u2068/compact\u2069', '@Andy'), '/compact')
  assert.equal(name('[Photo] see /stop'), undefined)
})
