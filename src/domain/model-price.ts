/** What one call of the model used, as the API counts it. `cacheWriteHour` is kept for an hour instead of five minutes. */
export type TokenCount = {
  input: number
  cacheWrite: number
  cacheWriteHour: number
  cacheRead: number
  output: number
  searches: number
}

/** US dollars for a million tokens. */
export type ModelPrice = { input: number; output: number; cacheRead: number; longPrompt?: { over: number; factor: number } }

/** Prices that a person set, by the beginning of a model's name; they go before ours. */
export type PriceList = Readonly<Record<string, ModelPrice>>

/** Money is counted in whole nano-dollars: no sum of them is ever rounded. */
export const NANO_USD = 1_000_000_000

/**
 * Anthropic's list prices (https://platform.claude.com/docs/en/about-claude/pricing, read in November 2026), by the beginning
 * of a model's name; the longest one that fits counts.
 */
const PRICES: PriceList = {
  'claude-fable-5-1': { input: 10, output: 50, cacheRead: 0.25 },
  'claude-fable-5': { input: 10, output: 50, cacheRead: 1 },
  'claude-mythos-5-1': { input: 10, output: 50, cacheRead: 0.25 },
  'claude-mythos-5': { input: 10, output: 50, cacheRead: 1 },
  'claude-opus-5-5': { input: 4, output: 20, cacheRead: 0.2 },
  'claude-opus-5': { input: 5, output: 25, cacheRead: 0.5 },
  'claude-opus-4-5': { input: 5, output: 25, cacheRead: 0.5 },
  'claude-opus-4-6': { input: 5, output: 25, cacheRead: 0.5 },
  'claude-opus-4-7': { input: 5, output: 25, cacheRead: 0.5 },
  'claude-opus-4-8': { input: 5, output: 25, cacheRead: 0.5 },
  'claude-opus-4': { input: 15, output: 75, cacheRead: 1.5 },
  'claude-sonnet-5-5': { input: 2, output: 10, cacheRead: 0.1 },
  'claude-sonnet-5': { input: 2, output: 10, cacheRead: 0.2 },
  'claude-sonnet-4': { input: 3, output: 15, cacheRead: 0.3 },
  'claude-3-7-sonnet': { input: 3, output: 15, cacheRead: 0.3 },
  'claude-haiku-5-5': { input: 0.1, output: 0.5, cacheRead: 0.01, longPrompt: { over: 100_000, factor: 5 } },
  'claude-haiku-4-5': { input: 1, output: 5, cacheRead: 0.1 },
  'claude-3-5-haiku': { input: 0.8, output: 4, cacheRead: 0.08 },
}
/** What a model costs that we know nothing of: as much as the dearest, so that no name is a way round a budget. */
const UNKNOWN: ModelPrice = { input: 15, output: 75, cacheRead: 1.5 }
const USD_PER_SEARCH = 0.01
/** Beside the price of input: what it costs to write it to the cache, for five minutes and for an hour. */
const [WRITE_FACTOR, WRITE_HOUR_FACTOR] = [1.25, 2]

export const NO_TOKENS: TokenCount = { input: 0, cacheWrite: 0, cacheWriteHour: 0, cacheRead: 0, output: 0, searches: 0 }

/** What a call costs by list price, in nano-dollars. With a subscription nothing is paid per token; then it is a measure. */
export function costOf(count: TokenCount, { model, list = {} }: { model: string; list?: PriceList }): number {
  const { input, output, cacheRead, longPrompt } = priceOf(model, list)
  const { cacheWrite, cacheWriteHour } = count
  const prompt = count.input + cacheWrite + cacheWriteHour + count.cacheRead
  const factor = longPrompt && prompt > longPrompt.over ? longPrompt.factor : 1
  const read =
    input * (count.input + cacheWrite * WRITE_FACTOR + cacheWriteHour * WRITE_HOUR_FACTOR) + cacheRead * count.cacheRead
  const usd = (factor * (read + output * count.output)) / 1_000_000 + USD_PER_SEARCH * count.searches
  return Math.ceil(usd * NANO_USD)
}

function priceOf(model: string, list: PriceList): ModelPrice {
  return longestMatch(model, list) ?? longestMatch(model, PRICES) ?? UNKNOWN
}

function longestMatch(model: string, list: PriceList): ModelPrice | undefined {
  const names = Object.keys(list).filter((name) => model.startsWith(name))
  const longest = names.sort((a, b) => b.length - a.length)[0]
  return longest === undefined ? undefined : list[longest]
}

/** The tokens that count for a budget: as for Anthropic's rate limits, what is only read again from the cache does not. */
export function countedTokens({ input, cacheWrite, cacheWriteHour, output }: TokenCount): number {
  return input + cacheWrite + cacheWriteHour + output
}
