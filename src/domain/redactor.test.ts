import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redactor } from './redactor.ts'

test('secret values go wherever they stand, the longer one first', () => {
  const redact = redactor(['secret-value', 'secret-value-and-more', 'secret-value'])
  assert.equal(redact('a=secret-value-and-more b=secret-value,secret-value'), 'a=[redacted] b=[redacted],[redacted]')
})

test('what looks like a token goes without being known', () => {
  const redact = redactor([])
  assert.equal(redact('key sk-ant-api03-AbC_d-1234567 is bad'), 'key [redacted] is bad')
  assert.equal(redact('authorization: Bearer abcdefghij.klmnopqrst'), 'authorization: Bearer [redacted]')
})

test('ordinary words and empty secrets stay', () => {
  const redact = redactor(['', 'the'])
  const text = 'the bearer authentication failed; sk-ant-... is missing'
  assert.equal(redact(text), text)
})

test('tokens of other services go too, and passwords in addresses and keys in their blocks', () => {
  const redact = redactor([])
  const hidden = [
    `ghp_${'a1'.repeat(18)}`,
    `xoxb-${'1'.repeat(12)}-abc`,
    `123456789:AA${'b'.repeat(33)}`,
    `AKIA${'ABCD'.repeat(4)}`,
    `AIza${'c'.repeat(35)}`,
  ]
  for (const token of hidden) assert.equal(redact(`x ${token} y`), 'x [redacted] y')
  assert.equal(redact('redis://user:hunter22@db/0'), 'redis://user:[redacted]@db/0')
  for (const kind of ['', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED ']) {
    const key = `-----BEGIN ${kind}PRIVATE KEY-----\nMIIE+/\r\nabc=\n-----END ${kind}PRIVATE KEY-----`
    const hidden = `-----BEGIN ${kind}PRIVATE KEY-----[redacted]-----END ${kind}PRIVATE KEY-----`
    assert.deepEqual([redact(key), redact(JSON.stringify(key))], [hidden, `"${hidden}"`])
  }
})

test('a secret goes also as it is written in addresses and in JSON', () => {
  const redact = redactor(['p@ss/w"rd!'])
  assert.equal(
    redact(`?k=${encodeURIComponent('p@ss/w"rd!')} ${JSON.stringify({ k: 'p@ss/w"rd!' })}`),
    '?k=[redacted] {"k":"[redacted]"}',
  )
})

const MiB = 2 ** 20

test('a text made to be slow is not: each pattern takes one pass', () => {
  const redact = redactor(['a-known-secret'])
  const hostile = [
    `Bearer${' '.repeat(MiB)}`,
    ' '.repeat(MiB),
    '-----BEGIN PRIVATE KEY-----'.repeat(MiB / 27),
    'a://b:'.repeat(MiB / 6),
  ]
  for (const text of hostile) assert.equal(redact(text).length, text.length)
})

/** How each pattern begins, and how far it may go on until it turns out to be something else. */
const BEGINNINGS = [
  ...[
    'sk-ant-',
    'ghp_',
    'github_pat_',
    'xoxb-',
    'xapp-',
    '12345678:AA',
    '1',
    'AKIA',
    'ASIA',
    'AIza',
    'Bearer ',
    'Bearer\t\t\t\t',
  ],
  ...['a://b:', 'abcdefghij://', `a://${'b'.repeat(64)}:`, `a://b:${'c'.repeat(128)}`, '-----', '-----BEGIN '],
  ...[`-----BEGIN ${'A '.repeat(15)}PRIVATE KEY-----`, `-----BEGIN PRIVATE KEY-----${'a'.repeat(4_000)}`],
]

test('a text of nothing but beginnings of secrets is read in one pass too', () => {
  const redact = redactor([])
  const startedAt = performance.now()
  for (const beginning of BEGINNINGS) redact(beginning.repeat(MiB / beginning.length))
  redact('-----BEGIN PRIVATE KEY-----'.repeat((32 * MiB) / 27))
  // One pass takes a second for all of them; a few thousand steps at each beginning take most of a minute.
  assert.ok(performance.now() - startedAt < 10_000)
})
