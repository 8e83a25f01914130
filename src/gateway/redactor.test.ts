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
