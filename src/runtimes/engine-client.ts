import http, { type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import type { AppError } from '../domain/errors.ts'
import { aborted, bodyOf, connectionError, engineError, refused } from './engine-error.ts'

/** `path` without the API's version. */
export type EngineRequest = {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  query?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
}

/** A request whose connection stays open until `signal` aborts. `what` it is for: "attach to a container". */
export type LongRequest = Required<Omit<EngineRequest, 'body' | 'signal'>> & { signal: AbortSignal; what: string }

/** What the engine said, with whatever status: JSON where it is JSON, else its text. */
export type Answer = { status: number; body: unknown }

export type Engine = { name: 'docker' | 'podman'; version: string; apiVersion: string }

/** The API this was written for; an older engine is spoken to in its own, and what we use is the same in both. */
const WRITTEN_FOR = '1.44'
/** Docker 19.03. Before it, a bind mount always brought along what is mounted below it. */
const OLDEST_USABLE = '1.40'
/** What an engine may take to begin an answer, and then to end it. */
const PATIENCE_MS = 60_000

/**
 * Speaks the Docker Engine API, which Podman speaks too, over a unix socket. Every request has a connection of its own:
 * keeping them would save 0.1 ms each and break at the engine's next restart. So there is nothing to close.
 */
export class EngineClient {
  readonly socketPath: string
  readonly engine: Engine
  readonly #patienceMs: number

  constructor({ socketPath, engine, patienceMs = PATIENCE_MS }: { socketPath: string; engine: Engine; patienceMs?: number }) {
    this.socketPath = socketPath
    this.engine = engine
    this.#patienceMs = patienceMs
  }

  /** Asks what listens on a socket. Rejects with an `AppError` when that cannot be used. */
  static async connect({ socketPath, signal }: { socketPath: string; signal?: AbortSignal }): Promise<EngineClient> {
    const answer = await answerTo({ socketPath, method: 'GET', target: '/version', signal, patienceMs: PATIENCE_MS })
    return new EngineClient({ socketPath, engine: engineOf(answer) })
  }

  /** Rejects only when there is no answer in time; a refusal is one. */
  async send({ method, path, query, body, signal }: EngineRequest): Promise<Answer> {
    return answerTo({ ...this.#connection, method, target: this.#target(path, query), body, signal })
  }

  /** For answers that take their time: resolves when one begins, which is when the engine has understood the request. */
  async open(request: LongRequest): Promise<IncomingMessage> {
    return this.#open({ ...request, status: 200 })
  }

  /** Turns the connection of a request into a plain one, in both directions. */
  async upgrade(request: LongRequest): Promise<Socket> {
    const headers = { connection: 'Upgrade', upgrade: 'tcp' }
    const { socket } = await this.#open({ ...request, headers, status: 101 })
    request.signal.addEventListener('abort', () => socket.destroy(), { once: true }) // Node lets go of it at the upgrade
    return socket
  }

  async #open({ path, query, status, what, ...request }: LongRequest & Expected): Promise<IncomingMessage> {
    const asked = { ...this.#connection, target: this.#target(path, query), ...request }
    const response = await exchange(asked)
    if (response.statusCode !== status) throw refused({ answer: await answerOf(response, asked), what })
    return response
  }

  get #connection(): Pick<Exchange, 'socketPath' | 'patienceMs'> {
    return { socketPath: this.socketPath, patienceMs: this.#patienceMs }
  }

  #target(path: string, query: Record<string, string> = {}): string {
    return `/v${this.engine.apiVersion}${path}?${new URLSearchParams(query)}`
  }
}

type Expected = { status: number; headers?: Record<string, string> }

type Exchange = Pick<EngineRequest, 'method' | 'body' | 'signal'> & {
  socketPath: string
  target: string
  headers?: Record<string, string>
  patienceMs: number
}

async function answerTo(request: Exchange): Promise<Answer> {
  return answerOf(await exchange(request), request)
}

/** One request. Resolves with the head of the answer, also with that of an upgrade. */
function exchange({ socketPath, method, target, body, signal, headers, patienceMs }: Exchange): Promise<IncomingMessage> {
  const content = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const request = http.request({
      socketPath,
      agent: false,
      method,
      path: target,
      headers: { ...headers, ...(content && { 'content-type': 'application/json' }) },
      ...(signal && { signal }),
    })
    // Not by the silence of its socket: one that is not connected yet, or gets a byte now and then, has none.
    const late = setTimeout(() => request.destroy(tooLate()), patienceMs)
    request.on('error', (error) => {
      clearTimeout(late)
      reject(troubleOf(error, { signal, socketPath }))
    })
    request.on('response', (response) => {
      clearTimeout(late)
      resolve(response)
    })
    request.on('upgrade', (response, socket, head) => {
      clearTimeout(late)
      socket.unshift(head)
      resolve(response)
    })
    request.end(content)
  })
}

/** The rest of an answer that has begun. */
async function answerOf(response: IncomingMessage, { patienceMs, ...asked }: Exchange): Promise<Answer> {
  const late = setTimeout(() => response.destroy(tooLate()), patienceMs)
  try {
    return { status: response.statusCode ?? 0, body: parsed(await text(response)) }
  } catch (error) {
    throw troubleOf(error, asked)
  } finally {
    clearTimeout(late)
  }
}

function tooLate(): DOMException {
  return new DOMException('The engine does not answer.', 'TimeoutError')
}

function troubleOf(error: unknown, { signal, socketPath }: Pick<Exchange, 'signal' | 'socketPath'>): AppError {
  return signal?.aborted ? aborted({ signal, socketPath }) : connectionError({ error, socketPath })
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    return content
  }
}

const versionAnswer = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().optional(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
})

function engineOf(answer: Answer): Engine {
  const { Version, ApiVersion, MinAPIVersion, Components } = bodyOf({ answer, schema: versionAnswer, what: 'tell its version' })
  const podman = Components?.some(({ Name }) => Name === 'Podman Engine')
  const name = podman ? 'podman' : 'docker'
  return { name, version: Version, apiVersion: apiToSpeak({ newest: ApiVersion, oldest: MinAPIVersion ?? ApiVersion }) }
}

/** Ours where the engine speaks it, else what it has that is closest. Throws when it is too old for us. */
export function apiToSpeak({ newest, oldest }: { newest: string; oldest: string }): string {
  if (compareApi(newest, OLDEST_USABLE) < 0) {
    const message = `This container engine is too old (API ${newest}): NanoClaw needs Docker 20.10 or Podman 4, or newer.`
    throw engineError({ code: 'too-old', message })
  }
  if (compareApi(newest, WRITTEN_FOR) < 0) return newest
  return compareApi(oldest, WRITTEN_FOR) > 0 ? oldest : WRITTEN_FOR
}

/** Negative when `a` is older than `b`: 1.9 is older than 1.10. */
function compareApi(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
