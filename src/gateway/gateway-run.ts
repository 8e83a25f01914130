import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import http from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AppError, errorText } from '../domain/errors.ts'
import { apiErrorBody } from './api-error.ts'
import { Egress, type EgressPorts, type EgressRecord, type EgressRules } from './egress.ts'
import { Judging } from './judging.ts'
import type { GatewayLog } from './log.ts'
import { exchangeWithModel, type ModelPorts, type Outcome, refuse } from './model-exchange.ts'
import { routeOf } from './route.ts'

/** One request of a container, after its end. */
export type RequestRecord = { method: string; url: string; outcome: Outcome; durationMs: number }

type RunParts = {
  runId: string
  model: Omit<ModelPorts, 'judging' | 'rules'>
  egress: EgressRules
  world: Omit<EgressPorts, 'onEnd'>
  log: GatewayLog
  onEgress: (record: EgressRecord) => void
  onRequest: (record: RequestRecord) => void
  onClose: () => void
}

/** An agent is free to open connections; the host is free to stop counting. */
const MAX_CONNECTIONS = 256
/** What happens after these in one run is in its own log, and in ours at the level `debug`. */
const MAX_WARNINGS = 20
/** Longer than Claude Code is usually silent between two requests: a connection closed by us could meet a request on its way. */
const KEEP_ALIVE_MS = 120_000

/** The socket of one run. Who connects to it is that run, whatever its requests say. */
export class GatewayRun {
  readonly #runId: string
  readonly #model: ModelPorts
  readonly #egress: Egress
  readonly #log: GatewayLog
  readonly #onRequest: (record: RequestRecord) => void
  readonly #onClose: () => void
  readonly #server: http.Server
  readonly #clients = new Set<Socket>()
  /** Those that asked something and have no whole answer yet. */
  readonly #waiting = new WeakSet<Socket>()
  readonly #connections = new Set<Promise<void>>()
  readonly #warned = new Set<string>()

  constructor({ runId, model, egress, world, log, onEgress, onRequest, onClose }: RunParts) {
    this.#runId = runId
    this.#model = { ...model, judging: new Judging(), rules: { webSearch: egress.policy === 'open' } }
    this.#egress = new Egress(egress, { ...world, onEnd: (record) => this.#reportEgress(record, onEgress) })
    this.#log = log
    this.#onRequest = onRequest
    this.#onClose = onClose
    // Node looks for slow senders by a timer; the default would wake an idle host every 30 s for each run.
    this.#server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS, connectionsCheckingInterval: 300_000 })
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** Listens on a socket that every user may connect to; who gets that far is decided by its directory. */
  async listen(socketPath: string): Promise<void> {
    this.#server.on('connection', (client) => {
      this.#clients.add(client)
      client.once('close', () => this.#clients.delete(client))
    })
    this.#server.on('request', (request, response) => {
      if (this.#waiting.has(request.socket)) return this.#cutOff(request.socket)
      this.#waiting.add(request.socket)
      response.once('close', () => this.#waiting.delete(request.socket))
      this.#serve(request, response).catch((error) => {
        this.#warn({ error: errorText(error) }, 'gateway: a request failed by a mistake of ours')
        response.destroy()
      })
    })
    this.#server.on('connect', (request, client, head) => {
      if (this.#waiting.has(request.socket)) return this.#cutOff(request.socket)
      void this.#followed(this.#egress.tunnel({ request, client, head }))
    })
    this.#server.on('upgrade', refuseUpgrade)
    try {
      await once(this.#server.listen(socketPath), 'listening')
      await chmod(socketPath, 0o666)
    } catch (error) {
      await this.close()
      const message = `The gateway socket ${socketPath} cannot be made: ${errorText(error)}`
      throw new AppError({ code: 'gateway.listen', fault: 'platform', message, cause: error })
    }
    this.#server.on('error', (error) =>
      this.#log.warn({ runId: this.#runId, error: errorText(error) }, 'gateway: the socket fails'),
    )
  }

  /**
   * Ends the run's connections; requests under way are aborted, upstream too. Resolves when each connection to the world was
   * told of, also when called again.
   */
  async close(): Promise<void> {
    this.#onClose()
    if (!this.#server.listening) return
    this.#server.close()
    // Not `closeAllConnections`: the server has forgotten those that became tunnels.
    for (const client of this.#clients) client.destroy()
    await Promise.all([once(this.#server, 'close'), ...this.#connections])
  }

  /**
   * Node begins at once with all requests that come over one connection, which would make the limit of connections none. What
   * agents use waits for an answer before it asks again.
   */
  #cutOff(client: Socket): void {
    this.#warn({}, 'gateway: a connection was cut off: it asked again before it had its answer')
    client.destroy()
  }

  /** Never rejects. To write down how a connection ended may fail, e.g. on a full disk, and that must not end the host. */
  #followed(connection: Promise<void>): Promise<void> {
    const over: Promise<void> = connection
      .catch((error) => this.#warn({ error: errorText(error) }, 'gateway: the end of a connection could not be written down'))
      .finally(() => this.#connections.delete(over))
    this.#connections.add(over)
    return over
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    if (/^http:/i.test(url)) return this.#followed(this.#egress.forward(request, response))
    const startedAt = performance.now()
    const route = routeOf({ method, url })
    const outcome =
      route.type === 'model'
        ? await exchangeWithModel({ request, response, target: route.target, ports: this.#model })
        : refuse(response, route.error)
    this.#report({ method, url, outcome, durationMs: performance.now() - startedAt })
  }

  #report(record: RequestRecord): void {
    const { method, url, outcome, durationMs } = record
    const fields = { method, url: url.slice(0, 200), durationMs: Math.round(durationMs) }
    switch (outcome.type) {
      case 'answered':
        this.#log.debug({ ...fields, runId: this.#runId, status: outcome.status }, 'gateway: answered')
        break
      case 'client-left':
        this.#log.debug({ ...fields, runId: this.#runId }, 'gateway: the client left')
        break
      case 'over-budget':
        this.#warn(fields, `gateway: refused: ${outcome.why}`)
        break
      case 'refused':
        this.#warn(fields, `gateway: refused with ${outcome.status}: ${outcome.why}`)
        break
      case 'unreachable':
      case 'broken':
        this.#warn(fields, `gateway: the model API is ${outcome.type}: ${errorText(outcome.error)}`)
    }
    this.#onRequest(record)
  }

  #reportEgress(record: EgressRecord, onEgress: (record: EgressRecord) => void): void {
    const { host, port, why } = record
    if (why !== null) this.#warn({}, `gateway: ${host}:${port} was not reached: ${why}`)
    onEgress(record)
  }

  /** An agent can cause these at will, so each is said aloud once in a run, and not too many of them. */
  #warn(fields: Record<string, unknown>, message: string): void {
    const isNews = !this.#warned.has(message) && this.#warned.size < MAX_WARNINGS
    if (isNews) this.#warned.add(message)
    this.#log[isNews ? 'warn' : 'debug']({ ...fields, runId: this.#runId }, message)
  }
}

/** Nothing here is upgraded. */
function refuseUpgrade(_request: http.IncomingMessage, socket: Duplex): void {
  const body = apiErrorBody({
    status: 405,
    type: 'invalid_request_error',
    message: "NanoClaw's gateway upgrades no connections.",
  })
  const head = `HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`
  socket.on('error', () => socket.destroy())
  socket.end(head + body, () => socket.destroy())
}
