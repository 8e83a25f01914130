import assert from 'node:assert/strict'
import { test } from 'node:test'
import { estimateTokens, messageBody, messageStream, newId, type StreamStep } from './answer-format.ts'
import type { Answer } from './reply.ts'

const CONTEXT = { model: 'm', inputTokens: 7 }
const SAID: Answer = { type: 'answer', blocks: [{ type: 'text', text: 'hello' }] }

const steps = (answer: Answer) => [...messageStream(answer, CONTEXT)]
const events = (all: readonly StreamStep[]) => all.flatMap((step) => (step.type === 'event' ? [step.event] : []))

test('four bytes make a token', () => {
  assert.deepEqual([0, 1, 4, 5, 8].map(estimateTokens), [0, 1, 1, 2, 2])
})

test('an answer in one piece has its text, its end and what it cost', () => {
  const { id, ...message } = messageBody(SAID, CONTEXT)
  const usage = { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 8 }
  assert.match(String(id), /^msg_[0-9a-f]{24}$/)
  assert.deepEqual(message, {
    ...{ type: 'message', role: 'assistant', model: 'm', content: SAID.blocks, usage },
    ...{ stop_reason: 'end_turn', stop_sequence: null },
  })
})

test('an answer that calls a tool stops for it, whatever else is in it', () => {
  const blocks = [
    { type: 'text' as const, text: 'x' },
    { type: 'tool_use' as const, name: 'Bash', input: { a: 1 } },
  ]
  const message = messageBody({ type: 'answer', blocks }, CONTEXT) as { content: { id?: string }[]; stop_reason: string }
  assert.equal(message.stop_reason, 'tool_use')
  assert.match(message.content[1]?.id ?? '', /^toolu_[0-9a-f]{24}$/)
  const thinking = messageBody({ type: 'answer', blocks: [{ type: 'thinking', thinking: 'hm' }] }, CONTEXT)
  assert.deepEqual(thinking.content, [{ type: 'thinking', thinking: 'hm', signature: 'c2NyaXB0ZWQ=' }])
})

test('a stream begins with the input and ends with the output that it cost', () => {
  const all = events(steps(SAID))
  const { message } = all[0] as unknown as { message: { usage: object; content: unknown[]; stop_reason: null } }
  assert.deepEqual([message.content, message.stop_reason], [[], null])
  assert.deepEqual(message.usage, {
    input_tokens: 7,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: 1,
  })
  assert.deepEqual(all.at(-2), {
    ...{ type: 'message_delta', usage: { output_tokens: 8 } },
    delta: { stop_reason: 'end_turn', stop_sequence: null },
  })
  assert.deepEqual(all.at(-1), { type: 'message_stop' })
})

test('a text comes in as many pieces as were asked for, with a wait after each', () => {
  const paced = (text: string, pieces: number) => {
    const all = steps({ type: 'answer', blocks: [{ type: 'text', text }], pace: { pieces, gapMs: 5 } })
    return all.flatMap((step): (string | number)[] => {
      if (step.type === 'wait') return [step.ms]
      const { delta } = (step.type === 'event' ? step.event : {}) as { delta?: { text?: string } }
      return delta?.text === undefined ? [] : [delta.text]
    })
  }
  assert.deepEqual(paced('abcdef', 3), ['ab', 5, 'cd', 5, 'ef', 5])
  assert.deepEqual(paced('abcde', 2), ['abc', 5, 'de', 5])
  assert.deepEqual(paced('ab', 5), ['a', 5, 'b', 5])
  assert.deepEqual(paced('', 3), ['', 5])
})

test('a stream breaks after its first text, and blocks before it are whole', () => {
  const blocks: Answer['blocks'] = [
    { type: 'thinking', thinking: 'hm' },
    { type: 'text', text: 'x' },
    { type: 'text', text: 'never' },
  ]
  const cut = steps({ type: 'answer', blocks, breaks: 'cut' })
  assert.deepEqual(cut.at(-1), { type: 'cut' })
  assert.equal(events(cut).filter(({ type }) => type === 'content_block_stop').length, 1)
  assert.ok(!JSON.stringify(cut).includes('never'))
  const failed = events(steps({ type: 'answer', blocks, breaks: 'error-event' })).at(-1)
  assert.deepEqual(failed, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
})

test('ids are unique', () => {
  assert.equal(new Set(Array.from({ length: 100 }, () => newId('req'))).size, 100)
})
