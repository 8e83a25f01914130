import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryTime } from './retry-time.ts'

const now = 1_800_000_000_000

test('retry-after counts from now, or is a date', () => {
  assert.equal(retryTime({ status: 429, headers: { 'retry-after': '30' }, now }), now + 30_000)
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

test('there is no time without one, with a broken one, or for other failures', () => {
  assert.equal(retryTime({ status: 429, headers: {}, now }), undefined)
  assert.equal(retryTime({ status: 429, headers: { 'retry-after': 'soon' }, now }), undefined)
  assert.equal(retryTime({ status: 429, headers: { 'anthropic-ratelimit-unified-reset': '1800003600' }, now }), undefined)
  assert.equal(retryTime({ status: 400, headers: { 'retry-after': '30' }, now }), undefined)
})
