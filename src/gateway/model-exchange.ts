import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { NO_TOKENS } from '../domain/model-price.ts'
import { redactor } from '../domain/redactor.ts'
import { type ApiError, sendApiError } from './api-error.ts'
import { MemoryShare, type RunMemory, readBody } from './body.ts'
import type { Credential, CredentialSource } from './credentials.ts'
import { requestHeaders, responseHeaders } from './headers.ts'
import type { Judging } from './judging.ts'
import { type BodyRules, judgeBody } from './model-request.ts'
import { BOTTOMLESS, type CallUse, type Grant, type PlannedCall, type Purse } from './purse.ts'
import { retryTime } from './retry-time.ts'
import { problemText, type Upstream, UpstreamProblem, type UpstreamRequest } from './upstream.ts'
import { mostTokens, UsageMeter } from './usage-meter.ts'

/** How one request ended. Unlike anything a container reports, this is what really happened. */
export type Outcome =
  /** The upstream's answer went through whole, whatever its status; `retryAt` (ms since the epoch) where it said when to try again. */
  | { type: 'answered'; status: number; retryAt: number | undefined }
  /** We said no, before anything went upstream. */
  | { type: 'refused'; status: number; why: string }
  /** No answer from the upstream; the client got a 502. */
  | { type: 'unreachable'; status: number; error: unknown }
  /** The answer broke off, and the client's connection with it. */
  | { type: 'broken'; status: number; error: unknown }
  /** The run's budget is used up; nothing went upstream. */
  | { type: 'over-budget'; status: number; why: string; retryAt: number }
  | { type: 'client-left' }

export type ModelPorts = {
  upstream: Upstream
  credentials: CredentialSource
  memory: RunMemory
  judging: Judging
  rules: BodyRules
  purse: Purse
}

type Exchange = { request: IncomingMessage; response: ServerResponse; target: string; ports: ModelPorts }

/** Counting tokens costs nothing. */
const COUNTING = '/v1/messages/count_tokens'
const MAX_ERROR_BYTES = 1024 * 1024

/** Carries one request of a container to the model API and its answer back. Never rejects. */
export async function exchangeWithModel({ request, response, target, ports }: Exchange): Promise<Outcome> {
  const memory = new MemoryShare(ports.memory)
  const upstreamCall = new AbortController()
  // Done or left: what is not read of the answer by now never will be. `errored`: it was the upstream that broke off.
  response.once('close', () => response.errored || upstreamCall.abort())
  try {
    const body = await readBody(request, memory)
    if (body.type === 'refused') return refuse(response, body.error)
    const judgement = await ports.judging.next(() => judgeBody(body.bytes, ports.rules))
    if (judgement.type === 'refused') return refuse(response, notPassedOn(judgement.why))
    const credential = await ports.credentials.current()
    if (credential.kind === 'none') return refuse(response, noLogin(credential.why))
    const plan = { ...judgement, inputTokens: mostTokens(body.bytes.length) }
    const purse = target.startsWith(COUNTING) ? BOTTOMLESS : ports.purse
    const grant = await purse.begin(plan, upstreamCall.signal)
    if (grant.type === 'over') return refuseOver(response, grant)
    const headers = requestHeaders({ client: request.headers, credential, bodyBytes: body.bytes.length })
    const call = { target, headers, body: body.bytes, signal: upstreamCall.signal }
    return await paidCall({ call, plan, settle: grant.settle, response, credential, upstream: ports.upstream })
  } catch (error) {
    if (upstreamCall.signal.aborted || !request.complete) return { type: 'client-left' }
    return failed(response, error)
  } finally {
    memory.release()
  }
}

type PaidCall = {
  call: UpstreamRequest
  plan: PlannedCall & { streamed: boolean }
  settle(use: CallUse): void
  response: ServerResponse
  credential: Credential
  upstream: Upstream
}

/** Whatever becomes of the call, what it used is settled: what the API refused is free, and leaving early is not. */
async function paidCall({ call, plan, settle, response, credential, upstream }: PaidCall): Promise<Outcome> {
  let use = () => new UsageMeter(plan).used
  const free = () => ({ model: plan.model, tokens: NO_TOKENS })
  try {
    const answer = await upstream.send(call).catch((error) => {
      if (!call.signal.aborted) use = free
      throw error
    })
    const meter = new UsageMeter({ ...plan, streamed: isStream(answer) })
    use = isRefusal(answer) ? free : () => meter.used
    const status = usableStatus(answer)
    response.statusCode = status
    await relay({ answer, response, credential, meter })
    return { type: 'answered', status, retryAt: retryTime({ status, headers: answer.headers, now: Date.now() }) }
  } finally {
    settle(use())
  }
}

/** With such a status nothing was asked of a model. */
function isRefusal({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 300
}

function isStream({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.startsWith('text/event-stream') ?? false
}

/** Answers with one of our own errors. */
export function refuse(response: ServerResponse, error: ApiError): Outcome {
  sendApiError(response, error)
  return { type: 'refused', status: error.status, why: error.message }
}

/** The words tell the runner what it is, beside what the host knows from here. */
function refuseOver(response: ServerResponse, { why, retryAt }: Extract<Grant, { type: 'over' }>): Outcome {
  sendApiError(response, { status: 429, type: 'rate_limit_error', message: `NanoClaw budget: ${why}`, shouldRetry: false })
  return { type: 'over-budget', status: 429, why, retryAt }
}

function notPassedOn(why: string): ApiError {
  const message = `NanoClaw's gateway refuses this request: ${why}.`
  return { status: 400, type: 'invalid_request_error', message }
}

function noLogin(why: string): ApiError {
  return { status: 401, type: 'authentication_error', message: `Invalid API key · ${why}`, shouldRetry: false }
}

/** Redirects would take the credential elsewhere, and an encoded answer could not be searched for it. */
function usableStatus({ statusCode = 0, headers }: IncomingMessage): number {
  if (statusCode >= 300 && statusCode < 400)
    throw new UpstreamProblem(`it redirects elsewhere (${statusCode}); ANTHROPIC_BASE_URL must be its final address`)
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new UpstreamProblem('it answers with a content-encoding that was not asked for')
  return statusCode
}

type Relay = { answer: IncomingMessage; response: ServerResponse; credential: Credential; meter: UsageMeter }

async function relay({ answer, response, credential, meter }: Relay): Promise<void> {
  if (response.statusCode >= 400) {
    const body = await errorBody(answer, redactor([credential.value]))
    response.writeHead(response.statusCode, { ...responseHeaders(answer.headers), 'content-length': body.length }).end(body)
    return
  }
  response.writeHead(response.statusCode, responseHeaders(answer.headers))
  // The client's patience for a first byte must not depend on the model's first word.
  response.flushHeaders()
  await pipeline(answer, meter, response)
}

/** Errors are short and may repeat what was sent: they are read whole, and the credential is taken out. */
async function errorBody(answer: IncomingMessage, redact: (text: string) => string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_ERROR_BYTES) throw new UpstreamProblem('its error message is too long to be one')
    chunks.push(chunk)
  }
  return Buffer.from(redact(Buffer.concat(chunks).toString('utf8')))
}

/** An answer that began cannot be mended (`pipeline` has cut the client off); one that did not begin is given by us. */
function failed(response: ServerResponse, error: unknown): Outcome {
  if (response.headersSent) return { type: 'broken', status: response.statusCode, error }
  const message = `NanoClaw could not reach the model API: ${problemText(error)}.`
  sendApiError(response, { status: 502, type: 'api_error', message })
  return { type: 'unreachable', status: 502, error }
}
