import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAside } from '../../test/fakes/hostile-texts.ts'
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

test('a secret of six characters is taken out, and a shorter value is an ordinary word', () => {
  const redact = redactor(['abcdef', 'ghijk'])
  assert.equal(redact('abcdef ghijk'), '[redacted] ghijk')
})

test('a token is known by its whole length only', () => {
  const redact = redactor([])
  const tokens: [least: string, tooShort: string][] = [
    ['sk-ant-12345678', 'sk-ant-1234567'],
    [`ghp_${'a'.repeat(30)}`, `ghp_${'a'.repeat(29)}`],
    [`github_pat_${'a'.repeat(30)}`, `github_pat_${'a'.repeat(29)}`],
    [`xoxb-${'1'.repeat(10)}`, `xoxb-${'1'.repeat(9)}`],
    [`xapp-${'1'.repeat(20)}`, `xapp-${'1'.repeat(19)}`],
    [`12345678:AA${'b'.repeat(32)}`, `1234567:AA${'b'.repeat(32)}`],
    [`ASIA${'A'.repeat(16)}`, `ASIA${'A'.repeat(15)}`],
    [`AIza${'c'.repeat(35)}`, `AIza${'c'.repeat(34)}`],
  ]
  for (const [least, tooShort] of tokens) {
    assert.equal(redact(`x ${least} y`), 'x [redacted] y')
    assert.equal(redact(`x ${tooShort} y`), `x ${tooShort} y`)
  }
  assert.equal(redact(`bearer ${'a'.repeat(16)}`), 'bearer [redacted]')
  assert.equal(redact(`bearer ${'a'.repeat(15)}`), `bearer ${'a'.repeat(15)}`)
  assert.equal(redact('ab://u:123456@h ab://u:12345@h'), 'ab://u:[redacted]@h ab://u:12345@h')
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

test('a text made to be slow, or of nothing but beginnings of secrets, is read in one pass', async () => {
  const harmless = [
    { front: 'Bearer', piece: ' ', bytes: MiB },
    { piece: ' ', bytes: MiB },
    { piece: 'a://b:', bytes: MiB },
    // A few thousand steps at each beginning take many minutes.
    { piece: '-----BEGIN PRIVATE KEY-----', bytes: 128 * MiB },
  ]
  const lengths = await readAside('redacted', [...harmless, ...BEGINNINGS.map((piece) => ({ piece, bytes: MiB }))])
  const whole = harmless.map(({ front = '', piece, bytes }) => front.length + piece.length * Math.floor(bytes / piece.length))
  assert.deepEqual(lengths.slice(0, harmless.length), whole)
  assert.equal(lengths.length, harmless.length + BEGINNINGS.length)
})
