import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { json } from 'node:stream/consumers'
import { AppError } from '../../src/domain/errors.ts'
import type { ContainerExit, ContainerSpec, RunningContainer } from '../../src/runtimes/contract.ts'
import { type FakeEngine, KILLED } from './engine.ts'

type TestContext = { after(fn: () => unknown): void }
type Reply = { status: number; body?: unknown }

/** A request without its version: `POST /containers/{id}/kill`. */
export type Asked = { line: string; query: Record<string, string>; body: unknown }

export type EngineSocketOptions = {
  engine: FakeEngine
  name?: 'docker' | 'podman'
  /** Replaces fields of the answer to `/info`. */
  info?: object
  version?: string
}

/** The body of a create request, as far as this fake looks at it. */
type Body = {
  Image: string
  User: string
  Labels: Record<string, string>
  Env: string[]
  Entrypoint?: string[]
  HostConfig: { AutoRemove: boolean; Mounts: { Source: string; Target: string; ReadOnly: boolean }[]; Runtime?: string }
}

type Made = {
  id: string
  name: string
  body: Body
  attached?: Duplex
  running?: RunningContainer
  /** An engine tells of a kill only when the container has ended, and that needs its output to be taken. */
  ended: PromiseWithResolvers<ContainerExit>
  removed: PromiseWithResolvers<void>
  listeners: ServerResponse[]
  waits: ServerResponse[]
  isBeingRemoved: boolean
}

/**
 * The Docker Engine API on a unix socket, as Docker and Podman speak it, in front of a fake engine: what the real client
 * needs to be tested without containers. `test/contracts/runtime.test.ts` holds it to the same contract as a real engine.
 */
export class EngineSocket {
  readonly socketPath: string
  /** Everything that was asked, in order. */
  readonly asked: Asked[] = []
  /** Replaces an answer where it returns one. What it does first, e.g. waiting, delays the answer. */
  answer: (asked: Asked) => Promise<Reply | undefined> | Reply | undefined = () => undefined
  readonly #options: EngineSocketOptions
  readonly #server: http.Server
  readonly #made = new Map<string, Made>()
  readonly #connections = new Set<Duplex>()
  #created = 0

  private constructor(options: EngineSocketOptions, socketPath: string) {
    this.#options = options
    this.socketPath = socketPath
    this.#server = http.createServer((request, response) => void this.#respond(request, response))
    this.#server.on('upgrade', (request, socket) => void this.#attach(request, socket))
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket)
      socket.on('close', () => this.#connections.delete(socket))
    })
  }

  static async listen(t: TestContext, options: EngineSocketOptions): Promise<EngineSocket> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-engine-'))
    const socket = new EngineSocket(options, path.join(folder, 'engine.sock'))
    socket.#server.listen(socket.socketPath)
    await once(socket.#server, 'listening')
    t.after(() => {
      socket.cut()
      rmSync(folder, { recursive: true, force: true })
    })
    return socket
  }

  /** What was asked so far, of one container where its id is given. */
  lines(id = ''): string[] {
    return this.asked.map(({ line }) => line).filter((line) => line.includes(id))
  }

  /** The ids of all containers that there are, started or not. */
  get ids(): string[] {
    return [...this.#made.keys()]
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size
  }

  /** Breaks the connections that wait for the end of a container, which lives on. */
  forgetWaits(id: string): void {
    for (const response of this.#made.get(id)?.waits ?? []) response.destroy()
  }

  /** Breaks the connection to the streams of a container, which lives on. */
  cutStreams(id: string): void {
    this.#made.get(id)?.attached?.destroy()
  }

  /** Sends what is no frame in place of the output of a container. */
  garble(id: string): void {
    this.#made.get(id)?.attached?.write('HTTP/1.1 400 Bad Request')
  }

  /** Ends the stream of events about a container, as an engine does that tells no more. */
  endEvents(id: string): void {
    const made = this.#made.get(id)
    for (const response of made?.listeners.splice(0) ?? []) response.end()
  }

  /** Tells no more of the events of a container, and leaves the stream open. */
  muteEvents(id: string): void {
    this.#made.get(id)?.listeners.splice(0)
  }

  /** Breaks every connection, and answers no more. */
  cut(): void {
    this.#server.close()
    for (const connection of this.#connections) connection.destroy()
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = await askedIn(request)
    this.asked.push(asked)
    const { status, body } = (await this.answer(asked)) ?? (await this.#carryOut(asked, response)) ?? {}
    if (status !== undefined) response.writeHead(status).end(body === undefined ? undefined : JSON.stringify(body))
  }

  /** Undefined where the answer is being written already. */
  async #carryOut(asked: Asked, response: ServerResponse): Promise<Reply | undefined> {
    const [method, target = ''] = asked.line.split(' ')
    if (target === '/version') return { status: 200, body: this.#version() }
    if (target === '/info') return { status: 200, body: { ...(await this.#info()), ...this.#options.info } }
    if (target.startsWith('/images/')) return this.#image(decodeURIComponent(target.slice('/images/'.length, -'/json'.length)))
    if (target === '/containers/create') return this.#create(asked)
    if (target === '/containers/json') return { status: 200, body: this.#list(asked) }
    if (target === '/events') return this.#events(asked, response)
    const [, , id = '', action] = target.split('/')
    const made = this.#made.get(id)
    if (!made) return { status: 404, body: { message: `No such container: ${id}` } }
    if (method === 'DELETE') return this.#remove(made)
    if (action === 'start') return this.#start(made)
    if (action === 'kill') return this.#kill(made)
    if (action === 'wait') return this.#wait({ made, removed: asked.query.condition === 'removed', response })
    return { status: 400, body: { message: `nobody answers ${asked.line}` } }
  }

  #version() {
    const { name = 'docker', version = name === 'podman' ? '5.0.0' : '28.0.1' } = this.#options
    const component = name === 'podman' ? 'Podman Engine' : 'Engine'
    return { Version: version, ApiVersion: '1.44', MinAPIVersion: '1.24', Components: [{ Name: component }] }
  }

  async #info() {
    const { runtimes } = await this.#options.engine.info()
    return { ServerVersion: this.#version().Version, Runtimes: Object.fromEntries(runtimes.map((name) => [name, {}])) }
  }

  async #image(name: string): Promise<Reply> {
    const { engine } = this.#options
    const id = await engine.imageId(name)
    if (id === undefined) return { status: 404, body: { message: `No such image: ${name}` } }
    return { status: 200, body: { Id: id, Config: { Labels: await engine.imageLabels(name) } } }
  }

  async #create({ query, body }: Asked): Promise<Reply> {
    const wanted = body as Body
    const { name = '' } = query
    if ((await this.#options.engine.imageId(wanted.Image)) === undefined)
      return { status: 404, body: { message: `No such image: ${wanted.Image}` } }
    if ([...this.#made.values()].some((made) => made.name === name))
      return { status: 409, body: { message: `Conflict. The container name "/${name}" is already in use by container "x".` } }
    this.#created++
    const id = String(this.#created).padStart(64, 'f')
    const made: Made = {
      ...{ id, name, body: wanted, listeners: [], waits: [], isBeingRemoved: false },
      ...{ ended: Promise.withResolvers<ContainerExit>(), removed: Promise.withResolvers<void>() },
    }
    this.#made.set(id, made)
    return { status: 201, body: { Id: id, Warnings: [] } }
  }

  #list({ query }: Asked) {
    const { label: [label] = [], name: [name] = [] } = JSON.parse(query.filters ?? '{}') as Record<string, string[]>
    const hasLabel = (labels: Record<string, string>) =>
      !label || Object.entries(labels).some(([key, value]) => label === key || label === `${key}=${value}`)
    return [...this.#made.values()]
      .filter((made) => hasLabel(made.body.Labels) && new RegExp(name ?? '').test(made.name))
      .filter((made) => made.running || query.all === '1')
      .map(({ id, name, body, running }) => ({
        Id: id,
        Names: [`/${name}`],
        Labels: body.Labels,
        State: running ? 'running' : 'created',
        Mounts: [{ Type: 'tmpfs' }, ...body.HostConfig.Mounts.map(({ Source }) => ({ Type: 'bind', Source }))],
      }))
  }

  #events({ query }: Asked, response: ServerResponse): undefined {
    const { container = [] } = JSON.parse(query.filters ?? '{}') as Record<string, string[]>
    for (const id of container) this.#made.get(id)?.listeners.push(response)
    response.writeHead(200).flushHeaders()
  }

  async #attach(request: IncomingMessage, socket: Duplex): Promise<void> {
    const asked = { line: lineOf(request), query: queryOf(request), body: undefined }
    this.asked.push(asked)
    socket.on('error', () => {})
    const refusal = await this.answer(asked)
    const made = this.#made.get(asked.line.split('/')[2] ?? '')
    if (refusal || !made) {
      const { status, body } = refusal ?? { status: 404, body: { message: 'No such container' } }
      const text = JSON.stringify(body)
      socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
      return
    }
    made.attached = socket
    socket.on('end', () => made.running ?? socket.end())
    socket.write('HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n')
  }

  /** The answer begins at once, and ends with the container. */
  #wait({ made, removed, response }: { made: Made; removed: boolean; response: ServerResponse }): undefined {
    response.writeHead(200).flushHeaders()
    made.waits.push(response)
    const { name } = this.#options
    const over = Promise.all([made.ended.promise, removed && made.removed.promise])
    // Podman 4 forgets the exit code with the container.
    void over.then(([{ code }]) => response.end(JSON.stringify({ StatusCode: removed && name === 'podman' ? 0 : code })))
  }

  async #start(made: Made): Promise<Reply> {
    try {
      made.running = await this.#options.engine.run(specOf(made))
    } catch (error) {
      return { status: 500, body: { message: error instanceof AppError ? error.message : String(error) } }
    }
    void this.#live(made, made.running)
    return { status: 204 }
  }

  async #live(made: Made, running: RunningContainer): Promise<void> {
    const { attached } = made
    attached?.pipe(running.stdin)
    attached?.on('close', () => running.stdin.end())
    const print = async (stream: number, output: AsyncIterable<Buffer>) => {
      for await (const chunk of output) await written(attached, frameOf(stream, chunk))
    }
    await Promise.all([print(1, running.stdout), print(2, running.stderr)])
    const exit = await running.exited.catch(() => KILLED)
    attached?.end()
    this.#end(made, exit)
  }

  #end(made: Made, exit: ContainerExit): void {
    this.#tell(made, exit.oomKilled ? ['oom', 'die'] : ['die'])
    made.isBeingRemoved = true
    made.ended.resolve(exit)
    setImmediate(() => this.#gone(made))
  }

  #gone(made: Made): void {
    this.#made.delete(made.id)
    this.#tell(made, ['destroy'])
    made.removed.resolve()
  }

  #tell({ listeners }: Made, actions: string[]): void {
    for (const response of listeners) for (const Action of actions) response.write(`${JSON.stringify({ Action })}\n`)
  }

  async #kill({ running, id, isBeingRemoved }: Made): Promise<Reply> {
    const message = `container ${id} is not running`
    if (!running || isBeingRemoved) return { status: 409, body: { message } }
    await running.kill()
    return { status: 204 }
  }

  async #remove(made: Made): Promise<Reply> {
    const { running, ended, removed, id, isBeingRemoved } = made
    if (isBeingRemoved) return { status: 409, body: { message: `removal of container ${id} is already in progress` } }
    if (running) {
      await running.kill()
      await Promise.all([ended.promise, removed.promise])
    } else {
      this.#end(made, KILLED)
      await removed.promise
    }
    return { status: 204 }
  }
}

/** Splits `/v1.44/containers/x?y=z`. */
function lineOf({ method, url = '' }: IncomingMessage): string {
  return `${method} ${new URL(url, 'http://engine').pathname.replace(/^\/v1\.\d+/, '')}`
}

function queryOf({ url = '' }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(new URL(url, 'http://engine').searchParams)
}

async function askedIn(request: IncomingMessage): Promise<Asked> {
  const body = request.headers['content-type'] === 'application/json' ? await json(request) : undefined
  return { line: lineOf(request), query: queryOf(request), body }
}

function specOf({ name, body }: Made): ContainerSpec {
  const { Image, User, Labels, Env, Entrypoint, HostConfig } = body
  return {
    ...{ name, image: Image, user: User, labels: Labels, network: 'none', tmpfs: [] },
    env: Object.fromEntries(Env.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])),
    mounts: HostConfig.Mounts.map(({ Source, Target, ReadOnly }) => ({ source: Source, target: Target, readonly: ReadOnly })),
    limits: { memoryBytes: 0, swapBytes: 0, cpus: 0, pids: 0 },
    ...(Entrypoint && { command: Entrypoint }),
    ...(HostConfig.Runtime && { isolation: HostConfig.Runtime }),
  }
}

function frameOf(stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

/** Resolves when there is room for more. A client that left misses what comes. */
async function written(socket: Duplex | undefined, bytes: Buffer): Promise<void> {
  if (!socket || socket.destroyed || socket.write(bytes)) return
  await new Promise<void>((resolve) => {
    const go = () => {
      socket.off('drain', go).off('close', go)
      resolve()
    }
    socket.on('drain', go).on('close', go)
  })
}
