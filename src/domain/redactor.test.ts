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
  const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----'
  assert.doesNotMatch(redact(key), /MIIE/)
  assert.doesNotMatch(redact(JSON.stringify(key)), /MIIE/)
})

test('a secret goes also as it is written in addresses and in JSON', () => {
  const redact = redactor(['p@ss/w"rd!'])
  assert.equal(
    redact(`?k=${encodeURIComponent('p@ss/w"rd!')} ${JSON.stringify({ k: 'p@ss/w"rd!' })}`),
    '?k=[redacted] {"k":"[redacted]"}',
  )
})

test('a text made to be slow is not: each pattern takes one pass', () => {
  const redact = redactor(['a-known-secret'])
  const MiB = 2 ** 20
  const hostile = [
    `Bearer${' '.repeat(MiB)}`,
    ' '.repeat(MiB),
    '-----BEGIN PRIVATE KEY-----'.repeat(MiB / 27),
    'a://b:'.repeat(MiB / 6),
  ]
  for (const text of hostile) assert.equal(redact(text).length, text.length)
})
