import http from 'node:http'
import https from 'node:https'
import { urlToHttpOptions } from 'node:url'

/** How long the upstream may take, in ms. `silence` is the longest time without a byte: a model may think for minutes. */
export type UpstreamTimeouts = { connect: number; silence: number }

export type UpstreamRequest = { target: string; headers: http.OutgoingHttpHeaders; body: Buffer; signal: AbortSignal }

const IDLE_CONNECTION_MS = 60_000
const NO_ANSWER = 'it did not answer in time'

/** The one place requests go to, over kept connections. No part of a request can name another. */
export class Upstream {
  readonly #base: URL
  readonly #timeouts: UpstreamTimeouts
  readonly #client: typeof http | typeof https
  readonly #agent: http.Agent

  constructor({ base, timeouts }: { base: URL; timeouts: UpstreamTimeouts }) {
    this.#base = base
    this.#timeouts = timeouts
    this.#client = base.protocol === 'https:' ? https : http
    // `timeout` here closes idle connections before somebody between us and the API forgets them silently.
    this.#agent = new this.#client.Agent({ keepAlive: true, timeout: IDLE_CONNECTION_MS })
  }

  /** Resolves with the head of the answer; its body is still to come. Rejects when there is none, or on `signal`. */
  send({ target, headers, body, signal }: UpstreamRequest): Promise<http.IncomingMessage> {
    const { protocol, hostname, port } = urlToHttpOptions(this.#base)
    const path = this.#base.pathname.replace(/\/+$/, '') + target
    return new Promise((resolve, reject) => {
      const request = this.#client.request({
        ...{ protocol, hostname, port, path, method: 'POST', headers, signal, agent: this.#agent },
        timeout: this.#timeouts.connect,
      })
      request.on('error', reject)
      request.once('response', resolve)
      request.once('timeout', () => request.destroy(new UpstreamProblem(NO_ANSWER)))
      request.once('socket', (socket) => {
        const ready = () => request.setTimeout(this.#timeouts.silence)
        if (socket.connecting) socket.once(this.#base.protocol === 'https:' ? 'secureConnect' : 'connect', ready)
        else ready()
      })
      request.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** What is wrong with the upstream, in words that may go into the container. */
export class UpstreamProblem extends Error {}

const NETWORK_PROBLEMS: Record<string, string> = {
  EAI_AGAIN: 'its name could not be resolved',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was closed before the answer was complete',
  EHOSTUNREACH: 'there is no way to it from here',
  ENETUNREACH: 'there is no way to it from here',
  ENOTFOUND: 'its name could not be resolved',
  ETIMEDOUT: NO_ANSWER,
}

/** Node's own messages name addresses of the host's network, so the container gets words chosen here. */
export function problemText(error: unknown): string {
  if (error instanceof UpstreamProblem) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
  return NETWORK_PROBLEMS[code] ?? `the connection failed (${code})`
}
