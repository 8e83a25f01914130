import { z } from 'zod'
import { type Channel, type ChannelState, NotSent, type Outbound, type Receipt, type Sink } from '../../src/channels/contract.ts'
import { type Clock, pause, systemClock } from '../../src/domain/clock.ts'
import { backOff, type DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { AppError, errorText } from '../../src/domain/errors.ts'

const said = z.object({ jid: z.string(), id: z.string(), sender: z.string() })
const update = z.discriminatedUnion('type', [
  said.extend({ n: z.int(), type: z.literal('message'), senderName: z.string(), text: z.string(), sentAt: z.int() }),
  said.extend({ n: z.int(), type: z.literal('edited'), text: z.string() }),
  said.extend({ n: z.int(), type: z.literal('deleted') }),
])
const updates = z.array(update)
type News = z.infer<typeof update>
const receipt = z.object({ platformId: z.string() })

type Parts = { url: string; delivery: DeliveryGuarantee; maxText?: number; clock?: Clock; random?: () => number }

/** The chats of a server that is asked for what was said, and told what to say. `docs/channels.md` explains it. */
export class PeerChannel implements Channel {
  readonly name = 'peer'
  readonly capabilities: Channel['capabilities']
  readonly #parts: Required<Parts>
  #state: ChannelState = { state: 'connecting' }
  #life = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = { maxText: 4_000, clock: systemClock, random: Math.random, ...parts }
    this.capabilities = { delivery: parts.delivery, maxText: this.#parts.maxText }
  }

  get state(): ChannelState {
    return this.#state
  }

  owns(jid: string): boolean {
    return jid.startsWith('peer:')
  }

  async start(sink: Sink, signal: AbortSignal): Promise<void> {
    this.#life = this.#listen(sink, signal)
  }

  async stop(): Promise<void> {
    await this.#life
  }

  /** Asking for what follows `confirm` tells the server that everything up to there is stored. */
  async #listen(sink: Sink, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts
    for (let [confirm, failures] = [0, 0]; !signal.aborted; ) {
      try {
        const wait = this.#state.state === 'online'
        const answer = await this.#call(`/updates?confirm=${confirm}&wait=${wait}`, { signal })
        for (const news of updates.parse(await answer.json())) {
          await tell(sink, news)
          confirm = news.n
        }
        failures = 0
        this.#become({ state: 'online' }, sink)
      } catch (error) {
        if (signal.aborted) return
        const at = clock.now() + backOff(failures++, random)
        this.#become({ state: 'retrying', at, why: errorText(error) }, sink)
        await pause({ clock, until: at, signal })
      }
    }
  }

  #become(state: ChannelState, sink: Sink): void {
    const changed = state.state !== this.#state.state
    this.#state = state
    if (changed) sink.stateChanged()
  }

  async send(jid: string, { text }: Outbound, options: { idempotencyKey: string; signal: AbortSignal }): Promise<Receipt> {
    if (this.#state.state !== 'online') throw new NotSent({ code: 'peer.offline', message: 'The server cannot be reached.' })
    const body = JSON.stringify({ jid, text, key: options.idempotencyKey })
    const answer = await this.#call('/send', { method: 'POST', body, signal: options.signal })
    return receipt.parse(await answer.json())
  }

  async findSent(jid: string, { idempotencyKey: key }: { idempotencyKey: string }, signal: AbortSignal) {
    const answer = await this.#call(`/sent?${new URLSearchParams({ jid, key })}`, { signal })
    return receipt.optional().parse((await answer.json()) ?? undefined)
  }

  async #call(path: string, request: RequestInit): Promise<Response> {
    const answer = await fetch(this.#parts.url + path, request)
    if (answer.ok) return answer
    const message = `The server said: ${await answer.text()}`
    if (answer.status === 403) throw new AppError({ code: 'peer.refused', fault: 'user', message })
    const seconds = Number(answer.headers.get('retry-after'))
    const retryAt = seconds > 0 ? this.#parts.clock.now() + seconds * 1_000 : undefined
    if (answer.status === 429) throw new NotSent({ code: 'peer.busy', message, retryAt })
    throw new AppError({ code: 'peer.failed', fault: 'platform', message, retryAt })
  }
}

function tell(sink: Sink, news: News): Promise<void> {
  switch (news.type) {
    case 'message':
      return sink.message({ ...news, fromMe: false })
    case 'edited':
      return sink.edited(news)
    case 'deleted':
      return sink.deleted(news)
  }
}
