import assert from 'node:assert/strict'
import type { Random } from '../../src/cli/bench/random.ts'
import { UsageMeter } from '../../src/gateway/usage-meter.ts'

/** An answer goes through as it is, and what it cost is a number that does not depend on where its pieces are cut. */
export function answers(random: Random): void {
  const streamed = random.chance(0.8)
  const bytes = Buffer.from(streamed ? Array.from({ length: random.below(8) }, () => line(random)).join('') : data(random))
  const whole = metered([bytes], streamed)
  const cut = metered(pieces(random, bytes), streamed)
  assert.deepEqual(cut, whole)
  assert.equal(whole.passed, bytes.toString('latin1'))
  for (const count of Object.values(whole.tokens)) assert.ok(Number.isSafeInteger(count) && count >= 0, String(count))
}

function metered(chunks: Buffer[], streamed: boolean) {
  const meter = new UsageMeter({ streamed, model: 'asked', inputTokens: 9, maxTokens: 99 })
  const passed: Buffer[] = []
  meter.on('data', (chunk) => passed.push(chunk))
  for (const chunk of chunks) meter.write(chunk)
  meter.end()
  return { ...meter.used, passed: Buffer.concat(passed).toString('latin1') }
}

function pieces(random: Random, bytes: Buffer): Buffer[] {
  const cut: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(30)
    cut.push(bytes.subarray(at, at + length))
    at += length
  }
  return cut
}

function line(random: Random): string {
  return random.pick(['data: ', 'data:', 'event: ', ': ', '']) + data(random) + random.pick(['\n', '\n\n', '\r\n', ''])
}

function data(random: Random): string {
  const count = () => random.pick([0, 1, 42, -1, 1.5, 'x', null, 1e308, { a: 1 }])
  const usage = {
    input_tokens: count(),
    output_tokens: count(),
    cache_creation_input_tokens: count(),
    iterations: random.pick([null, [], [{ type: 'compaction', input_tokens: count() }]]),
  }
  const value = random.pick([
    { type: 'message_start', message: { model: 'real', usage } },
    { type: 'message_delta', usage },
    { type: 'content_block_delta', delta: { text: 'ä🙂\n' } },
    { model: 'real', usage },
    { type: 7 },
    null,
  ])
  const text = JSON.stringify(value)
  return random.chance(0.1) ? text.slice(0, random.below(text.length)) : text
}
