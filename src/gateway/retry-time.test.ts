import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryTime } from './retry-time.ts'

const now = 1_800_000_000_000

test('retry-after counts from now, or is a date', () => {
  assert.equal(retryTime({ status: 429, headers: { 'retry-after': '30' }, now }), now + 30_000)
  assert.equal(retryTime({ status: 503, headers: { 'retry-after': '0' }, now }), now)
  assert.equal(retryTime({ status: 529, headers: { 'retry-after': new Date(now).toUTCString() }, now }), now)
})

test('a used-up subscription is tried again when its window ends', () => {
  const headers = {
    'anthropic-ratelimit-unified-status': 'rejected',
    'anthropic-ratelimit-unified-reset': '1800003600',
    'retry-after': '1',
  }
  assert.equal(retryTime({ status: 429, headers, now }), now + 3_600_000)
})

test('a used-up subscription whose window has no end is tried again after retry-after', () => {
  for (const reset of ['0', 'soon']) {
    const headers = { 'anthropic-ratelimit-unified-status': 'rejected', 'anthropic-ratelimit-unified-reset': reset }
    assert.equal(retryTime({ status: 429, headers: { ...headers, 'retry-after': '5' }, now }), now + 5_000)
    assert.equal(retryTime({ status: 429, headers, now }), undefined)
  }
})

test('there is no time without one, with a broken one, or for other failures', () => {
  assert.equal(retryTime({ status: 429, headers: {}, now }), undefined)
  assert.equal(retryTime({ status: 429, headers: { 'retry-after': 'soon' }, now }), undefined)
  assert.equal(retryTime({ status: 429, headers: { 'anthropic-ratelimit-unified-reset': '1800003600' }, now }), undefined)
  for (const status of [200, 400, 428, 430, 500, 502, 504, 528, 530])
    assert.equal(retryTime({ status, headers: { 'retry-after': '30' }, now }), undefined, String(status))
})
