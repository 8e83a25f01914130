import { once } from 'node:events'
import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { ChatEvent, ChatMessage, HostStatus, OutcomeEvent } from '@nanoclaw/protocol'
import { type Context, Hono } from 'hono'
import { stream } from 'hono/streaming'

type Listener = { jid: string; write(event: unknown): void; end(): void }
type GroupState = HostStatus['groups'][number]['state']

/**
 * The host's local API with a person behind it instead of agents: a test says what happens in a chat. It keeps its
 * messages when it stops, as the real one does.
 */
export class FakeControlHost {
  readonly jid: string
  readonly messages: ChatMessage[] = []
  readonly posted: string[] = []
  stops = 0
  /** What stop answers: is there a turn to interrupt? */
  stoppable = false
  state: GroupState = 'idle'
  /** Called for each message that is posted, once it is stored. */
  onPosted: (message: ChatMessage) => void = () => {}
  /** An error that the next post is answered with, or `drop` to store it and break the connection before the answer. */
  nextPost: { code: string; message: string } | 'drop' | undefined
  readonly #outcomes = new Map<number, OutcomeEvent[]>()
  readonly #socketPath: string
  readonly #watching = new Set<Listener>()
  readonly #waiting = new Map<Listener, number>()
  #server: Server | undefined

  constructor({ socketPath, jid = 'local:main' }: { socketPath: string; jid?: string }) {
    this.#socketPath = socketPath
    this.jid = jid
  }

  async start(): Promise<void> {
    this.#server = createAdaptorServer({ fetch: this.#app().fetch }) as Server
    this.#server.listen(this.#socketPath)
    await once(this.#server, 'listening')
  }

  /** Every connection breaks, and nobody listens any more. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#watching.clear()
    this.#waiting.clear()
    if (!server?.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  get watchers(): number {
    return this.#watching.size
  }

  /** Something happens in the chat. */
  emit(event: ChatEvent): void {
    for (const listener of this.#watching) listener.write(event)
    if (event.type === 'activity') for (const listener of this.#waiting.keys()) listener.write(event)
  }

  /** A message is stored, and those who watch see it. */
  add({ text, sender = 'You', at = Date.now() }: { text: string; sender?: string; at?: number }): ChatMessage {
    const message = { seq: this.messages.length + 1, sender, fromAssistant: sender === 'Andy', text, at }
    this.messages.push(message)
    this.emit({ type: 'message', message })
    return message
  }

  /** A whole turn for the newest message: taken up, answered (null: with nothing), done. */
  answer(text: string | null): void {
    const seq = this.messages.length
    this.emit({ type: 'turn', state: 'running' })
    if (text !== null) this.add({ text, sender: 'Andy' })
    this.emit({ type: 'turn', state: 'done' })
    this.settle(seq, { type: 'answer', text })
  }

  /** The turn of a message ended; those who wait for it are told, now and later. */
  settle(seq: number, ...events: OutcomeEvent[]): void {
    this.#outcomes.set(seq, events)
    for (const [listener, waitsFor] of this.#waiting) {
      if (waitsFor > seq) continue
      this.#waiting.delete(listener)
      for (const event of events) listener.write(event)
      listener.end()
    }
  }

  #app(): Hono {
    const known = (c: Context) => c.req.param('jid') === this.jid
    const unknown = (c: Context) => c.json({ error: { code: 'chat.unknown', message: 'There is no such chat.' } }, 404)
    return new Hono()
      .get('/api/status', (c) => c.json(this.#status()))
      .get('/api/chats/:jid/messages', (c) => {
        const limit = Number(c.req.query('limit'))
        return known(c) ? c.json({ messages: this.messages.slice(-limit) }) : unknown(c)
      })
      .post('/api/chats/:jid/messages', async (c) => (known(c) ? this.#post(c) : unknown(c)))
      .post('/api/chats/:jid/stop', (c) => {
        this.stops++
        return c.json({ stopped: this.stoppable })
      })
      .get('/api/chats/:jid/events', (c) => (known(c) ? this.#watch(c) : unknown(c)))
      .get('/api/chats/:jid/outcome', (c) => (known(c) ? this.#outcome(c, Number(c.req.query('seq'))) : unknown(c)))
  }

  async #post(c: Context): Promise<Response> {
    const { text } = (await c.req.json()) as { text: string }
    const next = this.nextPost
    this.nextPost = undefined
    if (next && next !== 'drop') return c.json({ error: next }, 400)
    this.posted.push(text)
    const message = this.add({ text })
    if (next === 'drop') await this.stop()
    this.onPosted(message)
    return c.json({ seq: message.seq })
  }

  #watch(c: Context): Response {
    return this.#lines(c, (listener) => {
      this.#watching.add(listener)
      return () => this.#watching.delete(listener)
    })
  }

  #outcome(c: Context, seq: number): Response {
    return this.#lines(c, (listener) => {
      const events = this.#outcomes.get(seq)
      if (!events) this.#waiting.set(listener, seq)
      for (const event of events ?? []) listener.write(event)
      if (events) listener.end()
      return () => this.#waiting.delete(listener)
    })
  }

  #lines(c: Context, open: (listener: Listener) => () => void): Response {
    return stream(c, (out) => {
      const done = Promise.withResolvers<void>()
      const write = (event: unknown) => void out.write(`${JSON.stringify(event)}\n`)
      const close = open({ jid: this.jid, write, end: done.resolve })
      out.onAbort(() => {
        close()
        done.resolve()
      })
      return done.promise
    })
  }

  #status(): HostStatus {
    const group = { folder: 'main', name: 'Main', isMain: true, chats: [this.jid], state: this.state, sessionId: null }
    const none = { pending: 0, failed: 0 }
    return {
      version: '0.1.0',
      ready: true,
      pid: process.pid,
      root: '/',
      web: { url: null },
      groups: [group],
      turns: { ...none, running: 0 },
      outbox: { ...none, uncertain: 0 },
      containers: [],
      channels: [],
      troubles: [],
    }
  }
}
