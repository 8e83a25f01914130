import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Bandwidth, Bucket, Meter } from './bucket.ts'
import { type EgressPolicy, policyProblem, type Target, targetOf } from './egress-target.ts'

/** One connection of a container to the world, after its end. `why` is there when it was refused, by our rules, or broke. */
export type EgressRecord = {
  host: string
  port: number
  address: string | null
  up: number
  down: number
  refused: boolean
  why: string | null
}

export type EgressPorts = {
  /** All addresses of a name; none, or a rejection, when it has none, or on `signal`. */
  resolve(host: string, signal: AbortSignal): Promise<string[]>
  /** May a container be connected to every one of these addresses? */
  arePublic(addresses: readonly string[]): boolean
  connect(to: { address: string; port: number }): net.Socket
  onEnd(record: EgressRecord): void
}

export type EgressRules = EgressPolicy & { bandwidth: Bandwidth }

const DNS = { timeout: 3_000, tries: 2 }

/**
 * The addresses of a name as DNS has them. Not the system's own way: that knows names of this machine and of its networks, and
 * takes one of a few threads that all file access of the host needs, for as long as somebody's server likes.
 * `servers` are those of this machine unless given.
 */
export async function resolveHost(host: string, signal: AbortSignal, servers?: readonly string[]): Promise<string[]> {
  // A new one each time: the machine may be in another network by now.
  const resolver = new Resolver(DNS)
  if (servers) resolver.setServers(servers)
  signal.addEventListener('abort', () => resolver.cancel())
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
}

export function connectTo({ address, port }: { address: string; port: number }): net.Socket {
  return net.connect({ host: address, port, noDelay: true })
}

const CONNECT_MS = 15_000
/** A connection over which nothing goes for so long is forgotten. */
const IDLE_MS = 600_000
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
]

class Refusal extends Error {
  readonly status: 403 | 502 | 504

  constructor(status: 403 | 502 | 504, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * The way of one run to the public web: an HTTP proxy. A name is resolved once, here, and connected to only at the address
 * that was judged: what the name means a moment later, or to the container, is of no account.
 */
export class Egress {
  readonly #rules: EgressRules
  readonly #ports: EgressPorts
  readonly #bucket: Bucket

  constructor(rules: EgressRules, ports: EgressPorts) {
    this.#rules = rules
    this.#ports = ports
    this.#bucket = new Bucket(rules.bandwidth)
  }

  /** `CONNECT host:port`: a tunnel. Never rejects. */
  async tunnel({ request, client, head }: { request: IncomingMessage; client: Duplex; head: Buffer }): Promise<void> {
    const trace = this.#trace(request.url ?? '')
    client.on('error', () => client.destroy())
    try {
      const server = await this.#connect({ authority: request.url ?? '', trace, client })
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.length > 0) server.write(head)
      const [up, down] = [new Meter(this.#bucket), new Meter(this.#bucket)]
      await Promise.allSettled([pipeline(client, up, server), pipeline(server, down, client)])
      Object.assign(trace, { up: up.bytes + head.length, down: down.bytes })
    } catch (error) {
      Object.assign(trace, failureOf(error))
      client.end(refusalHead(error))
    } finally {
      this.#ports.onEnd(trace)
    }
  }

  /** `GET http://host/...`: a request that is passed on. Never rejects. */
  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, authority = '', path = ''] = /^http:\/\/([^/?#]*)([/?][^#]*)?/i.exec(request.url ?? '') ?? []
    const trace = this.#trace(authority)
    try {
      const socket = await this.#connect({ authority, trace, client: response, defaultPort: 80 })
      const answer = await this.#exchange({ request, socket, path: path.startsWith('/') ? path : `/${path}`, authority, trace })
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
      const down = new Meter(this.#bucket)
      await pipeline(answer, down, response).finally(() => (trace.down = down.bytes))
    } catch (error) {
      Object.assign(trace, failureOf(error))
      refuseRequest(response, error)
    } finally {
      this.#ports.onEnd(trace)
    }
  }

  async #exchange({ request, socket, path, authority, trace }: Exchange): Promise<IncomingMessage> {
    const { method = 'GET', headers } = request
    const outgoing = http.request({
      ...{ method, path, createConnection: () => socket, setHost: false },
      headers: { ...endToEnd(headers), host: authority, connection: 'close' },
    })
    const up = new Meter(this.#bucket)
    const sent = pipeline(request, up, outgoing).finally(() => (trace.up = up.bytes))
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
    await Promise.race([answered, sent.then(() => answered)])
    return (await answered)[0]
  }

  #trace(authority: string): EgressRecord {
    return { host: authority.slice(0, 260), port: 0, address: null, up: 0, down: 0, refused: false, why: null }
  }

  /** A connection ends with its client, at whatever point it is by then: else who leaves at once could have any number. */
  async #connect({ authority, trace, client, defaultPort }: Wish): Promise<net.Socket> {
    const left = new AbortController()
    client.once('close', () => left.abort(new Refusal(502, 'nobody waited for it any more')))
    const target = targetOf(authority, defaultPort)
    if (target.type === 'refused') throw new Refusal(403, target.why)
    Object.assign(trace, { host: target.host, port: target.port })
    const problem = policyProblem(target, this.#rules)
    if (problem !== undefined) throw new Refusal(403, problem)
    const address = await this.#address(target, left.signal)
    trace.address = address
    const socket = this.#ports.connect({ address, port: target.port })
    left.signal.addEventListener('abort', () => socket.destroy())
    await connected(socket, target, left.signal)
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    return socket
  }

  /** One address decides: if any is not public, the name is not for us, or somebody plays with it. */
  async #address({ host }: Target, signal: AbortSignal): Promise<string> {
    const addresses = await this.#ports.resolve(host, signal).catch((): string[] => [])
    signal.throwIfAborted()
    const [first] = addresses
    if (first === undefined) throw new Refusal(502, `the name ${host} could not be resolved`)
    if (!this.#ports.arePublic(addresses))
      throw new Refusal(403, `${host} is not on the public internet, and nothing else is served`)
    return addresses.find((address) => net.isIPv4(address)) ?? first
  }
}

type Wish = { authority: string; trace: EgressRecord; client: Duplex | ServerResponse; defaultPort?: number }
type Exchange = { request: IncomingMessage; socket: net.Socket; path: string; authority: string; trace: EgressRecord }

/** Node's own messages name addresses, so the container gets words chosen here. */
async function connected(socket: net.Socket, { host }: Target, signal: AbortSignal): Promise<void> {
  const late = new Promise<never>((_, reject) => {
    socket.setTimeout(CONNECT_MS, () => reject(new Refusal(504, `${host} did not answer in time`)))
  })
  try {
    await Promise.race([once(socket, 'connect', { signal }), late])
    socket.removeAllListeners('timeout')
    socket.on('error', () => socket.destroy())
  } catch (error) {
    socket.destroy()
    signal.throwIfAborted()
    throw error instanceof Refusal ? error : new Refusal(502, `${host} could not be reached`)
  }
}

/** What concerns one connection only stays on it. */
function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name) && !named.includes(name)))
}

function failureOf(error: unknown): Pick<EgressRecord, 'refused' | 'why'> {
  return {
    refused: error instanceof Refusal && error.status === 403,
    why: error instanceof Error ? error.message : String(error),
  }
}

const REASONS = { 403: 'Forbidden', 502: 'Bad Gateway', 504: 'Gateway Timeout' }

function refusalText(error: unknown): { status: 403 | 502 | 504; text: string } {
  const status = error instanceof Refusal ? error.status : 502
  const why = error instanceof Refusal ? error.message : 'the connection broke'
  return { status, text: `NanoClaw's gateway: ${why}.\n` }
}

function refusalHead(error: unknown): string {
  const { status, text } = refusalText(error)
  const head = [`HTTP/1.1 ${status} ${REASONS[status]}`, 'content-type: text/plain', `content-length: ${Buffer.byteLength(text)}`]
  return [...head, 'connection: close', '', text].join('\r\n')
}

function refuseRequest(response: ServerResponse, error: unknown): void {
  const { status, text } = refusalText(error)
  if (response.headersSent) response.destroy()
  else response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(text)
}
