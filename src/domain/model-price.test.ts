import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costOf, countedTokens, NANO_USD, NO_TOKENS, type TokenCount } from './model-price.ts'

const MILLION = 1_000_000
const cost = (model: string, tokens: Partial<TokenCount>, list = {}) =>
  costOf({ ...NO_TOKENS, ...tokens }, { model, list }) / NANO_USD

for (const [model, tokens, usd] of [
  ['claude-sonnet-4-5-20250929', { input: MILLION }, 3],
  ['claude-sonnet-4-5-20250929', { output: MILLION }, 15],
  ['claude-sonnet-4-5-20250929', { cacheWrite: MILLION }, 3.75],
  ['claude-sonnet-4-5-20250929', { cacheWriteHour: MILLION }, 6],
  ['claude-sonnet-4-5-20250929', { cacheRead: MILLION }, 0.3],
  ['claude-opus-5', { input: MILLION, output: MILLION }, 30],
  ['claude-opus-5-5', { input: MILLION, cacheRead: MILLION }, 4.2],
  ['claude-opus-4-1-20250805', { output: MILLION }, 75],
  ['claude-haiku-5-5', { input: 100_000 }, 0.01],
  ['claude-haiku-5-5', { input: 1, cacheRead: 100_000, output: 1_000 }, 0.0075005],
  ['claude-opus-5', { searches: 3 }, 0.03],
  ['gpt-unheard-of', { input: MILLION, output: MILLION }, 90],
] as const) {
  test(`${JSON.stringify(tokens)} of ${model} cost $${usd}`, () => assert.equal(cost(model, tokens), usd))
}

test('a price that a person set goes before the list, by the longest name that fits', () => {
  const list = { 'claude-': { input: 1, output: 2, cacheRead: 0 }, 'claude-opus': { input: 7, output: 8, cacheRead: 0 } }
  assert.equal(cost('claude-opus-5', { input: MILLION }, list), 7)
  assert.equal(cost('claude-sonnet-5', { output: MILLION }, list), 2)
})

test('no token is free of charge, and only cached reads are not counted', () => {
  assert.ok(cost('claude-haiku-5-5', { cacheRead: 1 }) > 0)
  assert.equal(
    countedTokens({ input: 1, cacheWrite: 10, cacheWriteHour: 100, cacheRead: 1_000, output: 10_000, searches: 5 }),
    10_111,
  )
})
