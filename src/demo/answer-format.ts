import { randomUUID } from 'node:crypto'
import type { Answer, ReplyBlock } from './reply.ts'

/** What one answer needs beyond its words. */
export type AnswerContext = { model: string; inputTokens: number }

/** One step of a streamed answer. The server writes events, waits, or lets the stream break. */
export type StreamStep =
  | { type: 'event'; event: { type: string } & Record<string, unknown> }
  | { type: 'wait'; ms: number }
  | { type: 'cut' }

/** The body of an answer that is not streamed. */
export function messageBody(answer: Answer, context: AnswerContext): Record<string, unknown> {
  return {
    ...messageHead(context),
    content: answer.blocks.map(contentBlock),
    stop_reason: stopReason(answer),
    usage: usage({ inputTokens: context.inputTokens, outputTokens: outputTokens(answer) }),
  }
}

/** A streamed answer, event by event in the API's order. */
export function* messageStream(answer: Answer, context: AnswerContext): Generator<StreamStep> {
  const message = { ...messageHead(context), content: [], stop_reason: null, usage: usage({ ...context, outputTokens: 1 }) }
  yield event('message_start', { message })
  for (const [index, block] of answer.blocks.entries()) {
    yield* blockStream({ index, block, pace: answer.pace })
    if (block.type === 'text' && answer.breaks) {
      yield breakage(answer.breaks)
      return
    }
    yield event('content_block_stop', { index })
  }
  yield event('message_delta', {
    delta: { stop_reason: stopReason(answer), stop_sequence: null },
    usage: { output_tokens: outputTokens(answer) },
  })
  yield event('message_stop', {})
}

function breakage(how: 'error-event' | 'cut'): StreamStep {
  if (how === 'cut') return { type: 'cut' }
  return event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } })
}

function* blockStream({ index, block, pace }: { index: number; block: ReplyBlock; pace: Answer['pace'] }): Generator<StreamStep> {
  const start = (content_block: object) => event('content_block_start', { index, content_block })
  const delta = (delta: object) => event('content_block_delta', { index, delta })
  switch (block.type) {
    case 'text':
      yield start({ type: 'text', text: '' })
      for (const text of pieces(block.text, pace?.pieces ?? 1)) {
        yield delta({ type: 'text_delta', text })
        if (pace) yield { type: 'wait', ms: pace.gapMs }
      }
      return
    case 'thinking':
      yield start({ type: 'thinking', thinking: '', signature: '' })
      yield delta({ type: 'thinking_delta', thinking: block.thinking })
      yield delta({ type: 'signature_delta', signature: SIGNATURE })
      return
    case 'tool_use':
      yield start({ type: 'tool_use', id: newId('toolu'), name: block.name, input: {} })
      yield delta({ type: 'input_json_delta', partial_json: JSON.stringify(block.input) })
  }
}

/** Base64, as the API's are; nobody checks it here. */
const SIGNATURE = 'c2NyaXB0ZWQ='

function contentBlock(block: ReplyBlock): object {
  switch (block.type) {
    case 'text':
      return block
    case 'thinking':
      return { ...block, signature: SIGNATURE }
    case 'tool_use':
      return { ...block, id: newId('toolu') }
  }
}

function messageHead({ model }: AnswerContext): Record<string, unknown> {
  return { id: newId('msg'), type: 'message', role: 'assistant', model, stop_sequence: null }
}

function usage({ inputTokens, outputTokens }: { inputTokens: number; outputTokens: number }): object {
  return { input_tokens: inputTokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: outputTokens }
}

function outputTokens({ blocks }: Answer): number {
  return estimateTokens(JSON.stringify(blocks).length)
}

/** About four bytes of text make a token. */
export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / 4)
}

function stopReason({ blocks }: Answer): 'tool_use' | 'end_turn' {
  return blocks.some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn'
}

function pieces(text: string, count: number): string[] {
  const length = Math.max(Math.ceil(text.length / count), 1)
  return Array.from({ length: Math.max(Math.ceil(text.length / length), 1) }, (_, n) => text.slice(n * length, (n + 1) * length))
}

function event(type: string, fields: Record<string, unknown>): StreamStep {
  return { type: 'event', event: { type, ...fields } }
}

export function newId(prefix: 'msg' | 'toolu' | 'req'): string {
  return `${prefix}_${randomUUID().replaceAll('-', '').slice(0, 24)}`
}
