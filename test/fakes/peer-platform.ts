import { randomUUID } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text as bodyOf } from 'node:stream/consumers'
import { z } from 'zod'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'

/**
 * What befalls the next send. `refused`: for good; `busy`: later; `failed`: not accepted, and nobody says so;
 * `answer-lost`: accepted, and nobody says so; `slow`: accepted and answered when `release` is called.
 */
export type Mishap = 'refused' | 'busy' | 'failed' | 'answer-lost' | 'slow'

/** A message as the platform shows it. */
export type Shown = { id: string; jid: string; text: string; key: string }

type News = { jid: string; id: string; sender: string } & (
  | { type: 'message'; senderName: string; text: string; sentAt: number }
  | { type: 'edited'; text: string }
  | { type: 'deleted' }
)

const sending = z.object({ jid: z.string(), text: z.string(), key: z.string() })
const LONG_POLL_MS = 25_000

/** A small chat server over real HTTP, and the people who use it. It counts what arrives, and fails on purpose. */
export class PeerPlatform {
  readonly delivery: DeliveryGuarantee
  /** Everything that was accepted, in its order; what people see twice stands here twice. */
  readonly accepted: Shown[] = []
  /** How often somebody connected, also while it was down. */
  attempts = 0
  readonly #server: http.Server
  readonly #sockets = new Set<Socket>()
  readonly #mishaps: Mishap[] = []
  readonly #news: News[] = []
  readonly #polls = new Set<() => void>()
  readonly #slow: (() => void)[] = []
  #confirmed = 0
  #up = true

  private constructor(delivery: DeliveryGuarantee) {
    this.delivery = delivery
    this.#server = http.createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    this.#server.on('connection', (socket) => this.#connected(socket))
  }

  static async start({ delivery = 'keyed' }: { delivery?: DeliveryGuarantee } = {}): Promise<PeerPlatform> {
    const platform = new PeerPlatform(delivery)
    await new Promise<void>((resolve) => platform.#server.listen(0, '127.0.0.1', resolve))
    return platform
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Open connections. */
  get connections(): number {
    return this.#sockets.size
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.down()
    await closed
  }

  /** Drops every connection, and every new one. */
  down(): void {
    this.#up = false
    for (const socket of this.#sockets) socket.destroy()
  }

  up(): void {
    this.#up = true
  }

  /** Each of these befalls one of the next sends. */
  befall(...mishaps: Mishap[]): void {
    this.#mishaps.push(...mishaps)
  }

  /** Lets the slow sends end. */
  release(): void {
    for (const end of this.#slow.splice(0)) end()
  }

  texts(jid: string): string[] {
    return this.accepted.filter((shown) => shown.jid === jid).map(({ text }) => text)
  }

  /** Somebody writes; returns the message's id. */
  says(jid: string, text: string, { id = randomUUID(), sender = 'ann' }: { id?: string; sender?: string } = {}): string {
    this.#tell({ type: 'message', jid, id, sender, senderName: sender, text, sentAt: Date.now() })
    return id
  }

  edits({ jid, id, text, sender = 'ann' }: { jid: string; id: string; text: string; sender?: string }): void {
    this.#tell({ type: 'edited', jid, id, sender, text })
  }

  deletes({ jid, id, sender = 'ann' }: { jid: string; id: string; sender?: string }): void {
    this.#tell({ type: 'deleted', jid, id, sender })
  }

  /** The same message once more, as platforms do when they are not sure. */
  redelivers(id: string): void {
    const known = this.#news.find((one) => one.type === 'message' && one.id === id)
    if (known) this.#tell(known)
  }

  /** Nothing about this message would be delivered again. */
  isConfirmed(id: string): boolean {
    return this.#news.findLastIndex((one) => one.id === id) < this.#confirmed
  }

  #tell(news: News): void {
    this.#news.push(news)
    for (const end of this.#polls) end()
  }

  #connected(socket: Socket): void {
    this.attempts++
    if (!this.#up) return void socket.destroy()
    this.#sockets.add(socket)
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    // No connection outlives its answer, so what is still open is still in use.
    response.setHeader('connection', 'close')
    const { pathname, searchParams } = new URL(request.url ?? '', this.url)
    if (pathname === '/updates') return await this.#updates(searchParams, response)
    if (pathname === '/send') return await this.#send(sending.parse(JSON.parse(await bodyOf(request))), response)
    if (pathname === '/sent') return void response.end(JSON.stringify(this.#sent(searchParams.get('key'))))
    response.writeHead(404).end()
  }

  async #updates(query: URLSearchParams, response: http.ServerResponse): Promise<void> {
    this.#confirmed = Math.max(this.#confirmed, Number(query.get('confirm')))
    if (query.get('wait') === 'true' && this.#confirmed === this.#news.length) await this.#somethingNew(response)
    const unconfirmed = this.#news.slice(this.#confirmed).map((news, index) => ({ n: this.#confirmed + index + 1, ...news }))
    response.end(JSON.stringify(unconfirmed))
  }

  #somethingNew(response: http.ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#polls.delete(end)
        resolve()
      }
      const timer = setTimeout(end, LONG_POLL_MS)
      this.#polls.add(end)
      response.on('close', end)
    })
  }

  async #send(message: z.infer<typeof sending>, response: http.ServerResponse): Promise<void> {
    const mishap = this.#mishaps.shift()
    if (mishap === 'refused') return void response.writeHead(403).end('no such chat')
    if (mishap === 'busy') return void response.writeHead(429, { 'retry-after': '30' }).end('too many messages')
    if (mishap === 'failed') return void response.destroy()
    const platformId = this.#accept(message)
    if (mishap === 'answer-lost') return void response.destroy()
    if (mishap === 'slow') await new Promise<void>((resolve) => this.#slow.push(resolve))
    response.end(JSON.stringify({ platformId }))
  }

  #accept(message: z.infer<typeof sending>): string {
    const known = this.delivery === 'keyed' ? this.accepted.find(({ key }) => key === message.key) : undefined
    if (known) return known.id
    const id = `p${this.accepted.length + 1}`
    this.accepted.push({ id, ...message })
    return id
  }

  #sent(key: string | null): { platformId: string } | null {
    const found = this.delivery === 'readback' ? this.accepted.find((shown) => shown.key === key) : undefined
    return found ? { platformId: found.id } : null
  }
}
