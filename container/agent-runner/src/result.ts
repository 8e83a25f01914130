import type { SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import type { ResultFrame, RunnerFailure } from '@nanoclaw/protocol'

/**
 * What a result of the SDK means. Facts of 0.3.329: API errors arrive as `subtype: "success"` with `is_error: true`;
 * a turn that ends in a tool call has no text in its result, but in the last assistant message (`lastText`).
 */
export function resultFrame(
  message: SDKResultMessage,
  { lastText, consumed, interrupted }: { lastText: string; consumed: string[]; interrupted: boolean },
): ResultFrame {
  const usage = {
    inputTokens: message.usage.input_tokens + message.usage.cache_creation_input_tokens + message.usage.cache_read_input_tokens,
    outputTokens: message.usage.output_tokens,
    costUsd: message.total_cost_usd,
  }
  const common = { type: 'result' as const, newSessionId: message.session_id, consumed, usage }
  if (interrupted) {
    return { ...common, status: 'error', result: lastText || null, error: 'The turn was interrupted.', errorClass: 'interrupted' }
  }
  if (!message.is_error && message.subtype === 'success')
    return { ...common, status: 'success', result: message.result || lastText || null }
  const text = withoutAdvice(message.subtype === 'success' ? message.result : message.errors.join('; '))
  return {
    ...common,
    status: 'error',
    result: null,
    error: text || `The agent ended with ${message.subtype}.`,
    errorClass: failureOf(message, text),
  }
}

/** Claude Code advises to look at its gateway; that is ours, and the person in the chat has none. */
export function withoutAdvice(text: string): string {
  const sentences = text.split(/(?<=\.)(?=\s)/)
  return sentences.filter((sentence) => !/\binference gateway \(|\bANTHROPIC_BASE_URL\b/.test(sentence)).join('')
}

function failureOf(message: SDKResultMessage, text: string): RunnerFailure {
  const status = message.subtype === 'success' ? message.api_error_status : undefined
  return classifyFailure({ status: status ?? undefined, text })
}

/** The class of a failure from its HTTP status where there is one, else from the words Claude Code uses. */
export function classifyFailure({ status, text }: { status: number | undefined; text: string }): RunnerFailure {
  if (/no conversation found/i.test(text)) return 'session-lost'
  if (status === 402 || /credit balance is too low/i.test(text)) return 'billing'
  if (status === 401 || status === 403 || /invalid api key|\/login|oauth token (has )?(expired|been revoked)/i.test(text))
    return 'login'
  if (status === 413 || /prompt is too long|request too large/i.test(text)) return 'too-large'
  if (/nanoclaw budget/i.test(text)) return 'budget'
  if (status === 429 || /usage limit|rate limit/i.test(text)) return 'rate-limit'
  if (status !== undefined && status >= 500) return 'overload'
  if (status === 400 || status === 404) return 'invalid-request'
  if (/connection|overloaded|timed? ?out|socket|network|fetch failed|api error/i.test(text)) return 'overload'
  return 'crash'
}
