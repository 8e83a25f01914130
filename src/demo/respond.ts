import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { estimateTokens, messageBody, messageStream, newId } from './answer-format.ts'
import type { MessagesRequest } from './conversation.ts'
import type { Answer, Failure, Reply } from './reply.ts'

const ERROR_TYPES: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
}

type Call = { request: MessagesRequest; bytes: number; response: ServerResponse }

/** Does what a script decided. Rejects when the client leaves before a slow answer is complete. */
export async function perform({ reply, request, bytes, response }: Call & { reply: Reply }): Promise<void> {
  switch (reply.type) {
    case 'drop':
      return cut(response)
    case 'error':
      return sendError(response, reply)
    case 'answer':
      return request.stream ? stream({ reply, request, bytes, response }) : sendWhole({ reply, request, bytes, response })
  }
}

async function stream({ reply, request, bytes, response }: Call & { reply: Answer }): Promise<void> {
  const left = new AbortController()
  response.once('close', () => left.abort())
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'request-id': newId('req') })
  for (const step of messageStream(reply, { model: request.model, inputTokens: reply.inputTokens ?? estimateTokens(bytes) })) {
    if (step.type === 'event') response.write(`event: ${step.event.type}\ndata: ${JSON.stringify(step.event)}\n\n`)
    if (step.type === 'wait') await wait(step.ms, undefined, { signal: left.signal, ref: false })
    if (step.type === 'cut') return cut(response)
  }
  response.end()
}

/** What was written still goes out; only the end is missing. */
function cut({ socket }: ServerResponse): void {
  socket?.destroySoon()
}

function sendWhole({ reply, request, bytes, response }: Call & { reply: Answer }): void {
  if (reply.breaks === 'cut') return cut(response)
  if (reply.breaks === 'error-event') return sendError(response, { status: 529 })
  const context = { model: request.model, inputTokens: reply.inputTokens ?? estimateTokens(bytes) }
  sendJson(response, { body: messageBody(reply, context) })
}

export function sendError(
  response: ServerResponse,
  { status, errorType, message, headers }: Omit<Failure, 'type' | 'times'>,
): void {
  const error = { type: errorType ?? ERROR_TYPES[status] ?? 'api_error', message: message ?? `scripted ${status}` }
  const retryAfter = status === 429 ? { 'retry-after': '1' } : {}
  sendJson(response, { status, headers: { ...retryAfter, ...headers }, body: { type: 'error', error, request_id: newId('req') } })
}

export function sendJson(
  response: ServerResponse,
  { status = 200, headers = {}, body }: { status?: number; headers?: Record<string, string>; body: object },
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': newId('req'), ...headers })
  response.end(JSON.stringify(body))
}
