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

/** Written out, and not taken from the code: dollars for a million tokens of input, output and cached reads. */
const LIST = `
  claude-fable-5-1 10 50 0.25 | claude-fable-5 10 50 1 | claude-mythos-5-1 10 50 0.25 | claude-mythos-5 10 50 1
  claude-opus-5-5 4 20 0.2 | claude-opus-5 5 25 0.5 | claude-opus-4-5 5 25 0.5 | claude-opus-4-6 5 25 0.5
  claude-opus-4-7 5 25 0.5 | claude-opus-4-8 5 25 0.5 | claude-opus-4 15 75 1.5 | claude-opus-4-20250514 15 75 1.5
  claude-sonnet-5-5 2 10 0.1 | claude-sonnet-5 2 10 0.2 | claude-sonnet-4 3 15 0.3 | claude-3-7-sonnet-latest 3 15 0.3
  claude-haiku-4-5 1 5 0.1 | claude-3-5-haiku-latest 0.8 4 0.08 | unheard-of 15 75 1.5`

test('every model has its list price, and one that nobody knows the dearest', () => {
  const rows = LIST.split(/[|\n]/).flatMap((row) => (row.trim() ? [row.trim().split(' ')] : []))
  assert.equal(rows.length, 19)
  for (const [model = '', ...prices] of rows) {
    const each = (['input', 'output', 'cacheRead'] as const).map((kind) => cost(model, { [kind]: MILLION }))
    assert.deepEqual(each, prices.map(Number), model)
  }
})

test('a prompt of more than 100,000 tokens costs more where a model has it so, whatever it is made of', () => {
  const ask = (tokens: Partial<TokenCount>) => cost('claude-haiku-5-5', { output: MILLION, ...tokens })
  assert.equal(ask({ input: 100_000 }), 0.51)
  assert.equal(ask({ input: 100_001 }), 2.5500005)
  for (const tokens of [{ cacheWrite: 1 }, { cacheWriteHour: 1 }, { cacheRead: 1 }])
    assert.ok(ask({ input: 100_000, ...tokens }) > 2.55)
})

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
