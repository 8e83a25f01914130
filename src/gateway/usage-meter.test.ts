import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_TOKENS } from '../domain/model-price.ts'
import { mostTokens, UsageMeter } from './usage-meter.ts'

const start = {
  type: 'message_start',
  message: { model: 'claude-real', usage: { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 } },
}
const delta = (text: string) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })
const end = { type: 'message_delta', delta: {}, usage: { output_tokens: 42 } }
const events = (...list: object[]) => list.map((event) => `event: x\ndata: ${JSON.stringify(event)}\n\n`).join('')

/** What is known of a call when these pieces of its answer came. */
function used(pieces: (string | Buffer)[], { streamed = true, ended = true } = {}) {
  const meter = new UsageMeter({ streamed, model: 'asked', inputTokens: 33, maxTokens: 100 })
  const passed: Buffer[] = []
  meter.on('data', (chunk) => passed.push(chunk))
  for (const piece of pieces) meter.write(piece)
  if (ended) meter.end()
  return { ...meter.used, passed: Buffer.concat(passed).toString() }
}

test('a stream is passed on as it is, and its last numbers count', () => {
  const text = events(start, delta('hi'), end, { type: 'message_stop' })
  const { model, tokens, passed } = used([text])
  assert.deepEqual([model, tokens], ['claude-real', { ...NO_TOKENS, input: 10, cacheRead: 5, output: 42 }])
  assert.equal(passed, text)
})

test('where the pieces are cut does not matter', () => {
  const bytes = Buffer.from(events(start, delta('äöü🙂'), end))
  const pieces = Array.from(bytes, (byte) => Buffer.from([byte]))
  assert.equal(used(pieces).tokens.output, 42)
})

test('of a stream that breaks off, the output is counted by what had come', () => {
  const cut = used([events(start, delta('x'.repeat(6_000)))], { ended: false })
  assert.equal(cut.tokens.input, 10)
  assert.ok(cut.tokens.output >= 1_000, String(cut.tokens.output))
  assert.ok(cut.tokens.output < 1_100, String(cut.tokens.output))
})

test('six bytes of the events with its text count as a token of a stream that breaks off', () => {
  const besides = ` ${JSON.stringify(delta(''))}`.length
  const output = (bytes: number) => used([events(delta('x'.repeat(bytes - besides)))], { ended: false }).tokens.output
  assert.deepEqual([output(600), output(601), output(606), output(607)], [100, 101, 101, 102])
})

test('three bytes count as a token where the API says nothing', () => {
  assert.deepEqual([0, 1, 3, 4, 6].map(mostTokens), [0, 1, 1, 2, 2])
})

test('a number that the end of a stream leaves out or sets to null stays as it was', () => {
  const last = { type: 'message_delta', usage: { input_tokens: null, output_tokens: 42 } }
  assert.deepEqual(used([events(start, last)]).tokens, { ...NO_TOKENS, input: 10, cacheRead: 5, output: 42 })
})

test('a stream whose end tells no output is counted by the text that had come', () => {
  const last = { type: 'message_delta', usage: { input_tokens: 11 } }
  const { tokens } = used([events(start, delta('x'.repeat(600)), last)])
  assert.equal(tokens.input, 11)
  assert.ok(tokens.output > 100, String(tokens.output))
})

test('an answer in one piece is read up to 8 MiB', () => {
  const usage = { input_tokens: 1, output_tokens: 2 }
  const answer = (bytes: number) => used([JSON.stringify({ model: 'm', usage }).padEnd(bytes)], { streamed: false })
  const most = 8 * 1024 * 1024
  assert.deepEqual(answer(most).tokens, { ...NO_TOKENS, input: 1, output: 2 })
  assert.deepEqual(answer(most + 1).tokens, { ...NO_TOKENS, input: 33, output: mostTokens(most + 1) })
})

test('more cache for an hour than there is cache in all counts as no other cache', () => {
  const usage = { input_tokens: 1, cache_creation_input_tokens: 10, cache_creation: { ephemeral_1h_input_tokens: 40 } }
  const { tokens } = used([JSON.stringify({ usage })], { streamed: false })
  assert.deepEqual([tokens.cacheWrite, tokens.cacheWriteHour], [0, 40])
})

test('an answer that says nothing of its cost is counted by what was asked', () => {
  assert.deepEqual(used([events(delta('x'))], { ended: false }).tokens.input, 33)
  assert.deepEqual(used(['<html>'], { streamed: false }), {
    model: 'asked',
    tokens: { ...NO_TOKENS, input: 33, output: 2 },
    passed: '<html>',
  })
  const nonsense = events(
    { type: 'message_start', message: { usage: { input_tokens: -5 } } },
    { type: 'message_delta', usage: { output_tokens: 'none' } },
  )
  assert.equal(used([nonsense]).tokens.input, 33)
})

test('an answer in one piece that breaks off counts as all that was asked for, and at least as what had come', () => {
  const cut = (piece: string) => used([piece], { streamed: false, ended: false }).tokens
  assert.deepEqual(cut(''), { ...NO_TOKENS, input: 33, output: 100 })
  assert.equal(cut('{"content":[').output, 100)
  assert.equal(cut('x'.repeat(3_000)).output, 1_000)
})

test('an answer in one piece is counted whole: kinds of cache, searches, and what the API did besides', () => {
  const usage = {
    ...{ input_tokens: 1, output_tokens: 2, cache_creation_input_tokens: 100, cache_read_input_tokens: 4 },
    ...{
      cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 },
      server_tool_use: { web_search_requests: 3 },
    },
    iterations: [
      { type: 'compaction', input_tokens: 1_000, output_tokens: 2_000 },
      { type: 'message', input_tokens: 1, output_tokens: 2 },
    ],
  }
  const { model, tokens } = used([JSON.stringify({ type: 'message', model: 'claude-real', content: [], usage })], {
    streamed: false,
  })
  assert.equal(model, 'claude-real')
  assert.deepEqual(tokens, { input: 1_001, cacheWrite: 60, cacheWriteHour: 40, cacheRead: 4, output: 2_002, searches: 3 })
})

test('words of the model are no numbers', () => {
  const forged = `\ndata: ${JSON.stringify({ type: 'message_delta', usage: { output_tokens: 0 } })}\n`
  assert.equal(used([events(start, delta(forged), end)]).tokens.output, 42)
})
