import { once } from 'node:events'
import http from 'node:http'
import {
  type AllowedRootRequest,
  type Change,
  type ChatEvent,
  type ChatMessage,
  change,
  chatEvent,
  chatMessage,
  type GroupSettingsRequest,
  type HostStatus,
  hostStatus,
  type LoginEvent,
  lines,
  loginEvent,
  type OutcomeEvent,
  outcomeEvent,
  type RegistrationRequest,
  type TaskDeed,
} from '@nanoclaw/protocol'
import { z } from 'zod'
import { AppError } from '../domain/errors.ts'

/** A host that takes longer for a plain question hangs. */
const ANSWER_WITHIN_MS = 30_000
/** A message has at most a million characters; JSON may write each of them with six. */
const LONGEST_LINE_BYTES = 8 * 2 ** 20
const LARGEST_BODY_BYTES = 64 * 2 ** 20

const sent = z.object({ seq: z.int() })
const opened = z.object({ jid: z.string() })
const stopped = z.object({ stopped: z.boolean() })
const messageList = z.object({ messages: z.array(chatMessage) })
const refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

type Call = { method?: 'GET' | 'POST'; path: string; body?: unknown; signal: AbortSignal }

/**
 * The host's local API (protocol/control.ts) as functions. Every rejection is an AppError: `host.not-running` when nobody
 * listens, `host.lost` when the connection broke, `host.protocol` for an answer that is not in the contract, or what the
 * host itself gave as code and message. An open stream just ends when its `signal` aborts.
 */
export class ControlClient {
  readonly #socketPath: string

  constructor({ socketPath }: { socketPath: string }) {
    this.#socketPath = socketPath
  }

  status(): Promise<HostStatus> {
    return this.#ask({ path: '/api/status', schema: hostStatus })
  }

  /** The newest `limit` messages, oldest first. */
  async history(jid: string, limit: number): Promise<ChatMessage[]> {
    return (await this.#ask({ path: `${chatPath(jid)}/messages?limit=${limit}`, schema: messageList })).messages
  }

  /** The message is stored when this resolves. */
  send(jid: string, text: string): Promise<{ seq: number }> {
    return this.#ask({ method: 'POST', path: `${chatPath(jid)}/messages`, body: { text }, schema: sent })
  }

  /** Interrupts the running turn; false when there was none. */
  async stop(jid: string): Promise<boolean> {
    return (await this.#ask({ method: 'POST', path: `${chatPath(jid)}/stop`, schema: stopped })).stopped
  }

  /** Resolves when the host has begun to watch: whatever happens in the chat from then on is among the events. */
  async watch(jid: string, signal: AbortSignal): Promise<AsyncGenerator<ChatEvent>> {
    const response = await this.#open({ path: `${chatPath(jid)}/events`, signal })
    return jsonLines({ response, schema: chatEvent, signal })
  }

  async *events(jid: string, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    yield* await this.watch(jid, signal)
  }

  /** What becomes of one message: activity, then `answer` or `failed` as the last event. */
  async *outcome(jid: string, seq: number, signal: AbortSignal): AsyncGenerator<OutcomeEvent> {
    const response = await this.#open({ path: `${chatPath(jid)}/outcome?seq=${seq}`, signal })
    yield* jsonLines({ response, schema: outcomeEvent, signal })
  }

  registerChat(request: RegistrationRequest): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/groups/register', body: request, schema: change })
  }

  setGroup(settings: GroupSettingsRequest): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/groups/set', body: settings, schema: change })
  }

  removeGroup(target: string): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/groups/remove', body: { target }, schema: change })
  }

  clearSession(folder: string): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/sessions/clear', body: { folder }, schema: change })
  }

  allowMount(root: AllowedRootRequest): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/mounts/allow', body: root, schema: change })
  }

  removeMount(target: string): Promise<Change> {
    return this.#ask({ method: 'POST', path: '/api/mounts/remove', body: { target }, schema: change })
  }

  /** Links a channel to an account: what to do, as it comes; `online` or `failed` is the last. */
  async *loginChannel({
    name,
    phone,
    signal,
  }: {
    name: string
    phone?: string | undefined
    signal: AbortSignal
  }): AsyncGenerator<LoginEvent> {
    const path = `/api/channels/${encodeURIComponent(name)}/login`
    const response = await this.#open({ method: 'POST', path, body: { phone }, signal })
    yield* jsonLines({ response, schema: loginEvent, signal })
  }

  logoutChannel(name: string): Promise<Change> {
    return this.#ask({ method: 'POST', path: `/api/channels/${encodeURIComponent(name)}/logout`, schema: change })
  }

  changeTask(id: string, deed: TaskDeed): Promise<Change> {
    return this.#ask({ method: 'POST', path: `/api/tasks/${encodeURIComponent(id)}/${deed}`, schema: change })
  }

  /** The JID of a group's chat in the terminal, which is opened if it is not yet. */
  async openTerminal(folder: string): Promise<string> {
    return (await this.#ask({ method: 'POST', path: '/api/groups/terminal', body: { folder }, schema: opened })).jid
  }

  async #ask<T>({ schema, ...call }: Omit<Call, 'signal'> & { schema: z.ZodType<T> }): Promise<T> {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS)
    const response = await this.#open({ ...call, signal })
    return parsed(await bodyOf(response, signal), schema)
  }

  async #open({ method = 'GET', path, body, signal }: Call): Promise<http.IncomingMessage> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const request = http.request({ socketPath: this.#socketPath, method, path, headers, agent: false, signal })
    // What breaks after the response has begun reaches whoever reads the response.
    request.on('error', () => {})
    request.end(body === undefined ? undefined : JSON.stringify(body))
    try {
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      if (response.statusCode !== 200) throw refused(response.statusCode, await bodyOf(response, signal))
      return response
    } catch (error) {
      throw connectionError(error, signal)
    }
  }
}

function chatPath(jid: string): string {
  return `/api/chats/${encodeURIComponent(jid)}`
}

async function* jsonLines<T>({
  response,
  schema,
  signal,
}: {
  response: http.IncomingMessage
  schema: z.ZodType<T>
  signal: AbortSignal
}): AsyncGenerator<T> {
  try {
    for await (const line of lines(response, LONGEST_LINE_BYTES)) {
      if (line.type === 'too-long') throw misunderstood(`a line of ${line.bytes} bytes`)
      if (line.text.trim() !== '') yield parsed(line.text, schema)
    }
  } catch (error) {
    if (!signal.aborted) throw connectionError(error, signal)
  } finally {
    response.destroy()
  }
}

async function bodyOf(response: http.IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > LARGEST_BODY_BYTES) throw misunderstood(`more than ${LARGEST_BODY_BYTES} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw connectionError(error, signal)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed<T>(text: string, schema: z.ZodType<T>): T {
  const value = schema.safeParse(json(text))
  if (value.success) return value.data
  const issue = value.error.issues[0]
  throw misunderstood(`${issue?.path.join('.') || 'the answer'}: ${issue?.message}`)
}

/** Undefined for what is not JSON; no schema of ours takes that. */
function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refused(status: number | undefined, body: string): AppError {
  const said = refusal.safeParse(json(body))
  if (!said.success) return misunderstood(`status ${status}`)
  const { code, message } = said.data.error
  return new AppError({ code, message, fault: (status ?? 500) < 500 ? 'user' : 'bug' })
}

function misunderstood(what: string): AppError {
  const message = `NanoClaw answered something unexpected (${what}). It may be of another version; restart it with ./nanoclaw start.`
  return new AppError({ code: 'host.protocol', fault: 'bug', message })
}

const NOBODY_LISTENS = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR'])
const NOT_ALLOWED = new Set(['EACCES', 'EPERM'])

function connectionError(cause: unknown, signal: AbortSignal): AppError {
  if (cause instanceof AppError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (NOBODY_LISTENS.has(code)) {
    const message = 'NanoClaw is not running; start it with ./nanoclaw start'
    return new AppError({ code: 'host.not-running', fault: 'user', message, cause })
  }
  if (NOT_ALLOWED.has(code)) {
    const message = 'NanoClaw runs as another user, who alone can talk to it here.'
    return new AppError({ code: 'host.forbidden', fault: 'user', message, cause })
  }
  const message = signal.aborted ? 'NanoClaw does not answer.' : 'The connection to NanoClaw was lost.'
  return new AppError({ code: 'host.lost', fault: 'platform', message, cause })
}

/** Is this the kind of failure that a restarted host ends? */
export function isUnreachable(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'host.lost' || error.code === 'host.not-running')
}
