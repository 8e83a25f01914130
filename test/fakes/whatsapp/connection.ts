import { type BinaryNode, decodeBinaryNode, encodeBinaryNode, NOISE_WA_HEADER, type proto } from 'baileys'
import type { WebSocket } from 'ws'
import { NoiseResponder, type ServerIdentity } from './noise.ts'

export type ConnectionHandlers = {
  onClient(client: { identity: Buffer; payload: proto.ClientPayload }): void
  onNode(node: BinaryNode): Promise<void>
  onClose(): void
}

/** One client's connection: frames, handshake, encryption; above that, stanzas. */
export class Connection {
  readonly #ws: WebSocket
  readonly #noise = new NoiseResponder()
  readonly #handlers: ConnectionHandlers
  readonly #server: ServerIdentity
  #buffer: Buffer = Buffer.alloc(0)
  #stage: 'intro' | 'hello' | 'finish' | 'stream' = 'intro'
  #work: Promise<void> = Promise.resolve()

  constructor({ ws, server, handlers }: { ws: WebSocket; server: ServerIdentity; handlers: ConnectionHandlers }) {
    this.#ws = ws
    this.#server = server
    this.#handlers = handlers
    ws.on('close', () => handlers.onClose())
    ws.on('message', (data: Buffer) => {
      this.#work = this.#work.then(() => this.#read(data)).catch(() => ws.terminate())
    })
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN
  }

  send(node: BinaryNode): void {
    if (this.isOpen) this.#sendFrame(this.#noise.seal(encodeBinaryNode(node)))
  }

  close(): void {
    this.#ws.close()
  }

  /** As when the network goes away. */
  drop(): void {
    this.#ws.terminate()
  }

  #sendFrame(data: Uint8Array): void {
    const length = Buffer.alloc(3)
    length.writeUIntBE(data.length, 0, 3)
    this.#ws.send(Buffer.concat([length, data]))
  }

  async #read(data: Buffer): Promise<void> {
    this.#buffer = Buffer.concat([this.#buffer, data])
    if (this.#stage === 'intro') this.#intro()
    for (let frame = this.#frame(); frame; frame = this.#frame()) await this.#take(frame)
  }

  #intro(): void {
    if (this.#buffer.subarray(0, 2).toString() === 'ED') this.#buffer = this.#buffer.subarray(7 + this.#buffer.readUIntBE(4, 3))
    if (!this.#buffer.subarray(0, 4).equals(NOISE_WA_HEADER)) throw new Error('this client does not speak the protocol')
    this.#buffer = this.#buffer.subarray(4)
    this.#stage = 'hello'
  }

  #frame(): Buffer | undefined {
    if (this.#buffer.length < 3) return undefined
    const end = 3 + this.#buffer.readUIntBE(0, 3)
    if (this.#buffer.length < end) return undefined
    const frame = this.#buffer.subarray(3, end)
    this.#buffer = this.#buffer.subarray(end)
    return frame
  }

  async #take(frame: Buffer): Promise<void> {
    if (this.#stage === 'hello') {
      this.#sendFrame(this.#noise.hello(frame, this.#server))
      this.#stage = 'finish'
    } else if (this.#stage === 'finish') {
      const client = this.#noise.finish(frame)
      this.#stage = 'stream'
      this.#handlers.onClient(client)
    } else {
      await this.#handlers.onNode(await decodeBinaryNode(Buffer.from(this.#noise.open(frame))))
    }
  }
}
