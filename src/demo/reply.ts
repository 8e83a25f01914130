import type { Conversation } from './conversation.ts'

export type ReplyBlock =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string }
  | { type: 'tool_use'; name: string; input: Record<string, unknown> }

/** What the scripted model does with one request. */
export type Reply =
  | {
      type: 'answer'
      blocks: ReplyBlock[]
      /** Reported instead of an estimate from the request's size. */
      inputTokens?: number
      /** The text comes in this many pieces with this much time after each. */
      pace?: { pieces: number; gapMs: number }
      /** What happens after the first text: an `error` event as the API sends it, or the connection is cut. */
      breaks?: 'error-event' | 'cut'
    }
  | {
      type: 'error'
      status: number
      errorType?: string
      message?: string
      headers?: Record<string, string>
      /** Fail this often, then answer `recovered`; without it, always fail. */
      times?: number
    }
  /** The connection is destroyed before a byte of the answer. */
  | { type: 'drop' }

export type Answer = Extract<Reply, { type: 'answer' }>
export type Failure = Extract<Reply, { type: 'error' }>

/** The whole behaviour of a scripted model: a pure function of the conversation. */
export type Script = (conversation: Conversation) => Reply

export function say(text: string): Answer {
  return { type: 'answer', blocks: [{ type: 'text', text }] }
}

export function callTool(name: string, input: Record<string, unknown>): Answer {
  return { type: 'answer', blocks: [{ type: 'tool_use', name, input }] }
}
