import { z } from 'zod'
import {
  type Channel,
  type ChannelState,
  NotSent,
  type Outbound,
  type SendOptions,
  type Sink,
} from '../../src/channels/contract.ts'
import { type Clock, pause } from '../../src/domain/clock.ts'
import { backOff } from '../../src/domain/delivery.ts'
import { AppError, errorText } from '../../src/domain/errors.ts'

const said = z.object({ n: z.int(), jid: z.string(), id: z.string(), sender: z.string() })
const update = z.discriminatedUnion('type', [
  said.extend({ type: z.literal('message'), senderName: z.string(), text: z.string(), sentAt: z.int() }),
  said.extend({ type: z.literal('edited'), text: z.string() }),
  said.extend({ type: z.literal('deleted') }),
])

/** The chats of a server that is asked for what was said, and told what to say. */
export class ExampleChannel implements Channel {
  readonly name = 'example'
  readonly capabilities: Channel['capabilities'] = { delivery: 'keyed', maxText: 4_000 }
  state: ChannelState = { state: 'connecting' }
  readonly #parts: ExampleParts
  #life = Promise.resolve()

  constructor(parts: ExampleParts) {
    this.#parts = parts
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

  async #listen(sink: Sink, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts
    for (let [stored, failures] = [0, 0]; !signal.aborted; ) {
      try {
        // To ask for what follows `stored` tells the server that it need not deliver that again.
        const answer = await this.call(`/updates?confirm=${stored}&wait=${this.state.state === 'online'}`, { signal })
        for (const news of z.array(update).parse(await answer.json())) {
          await tell(sink, news)
          stored = news.n
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
    const changed = state.state !== this.state.state
    this.state = state
    if (changed) sink.stateChanged()
  }

  async send(jid: string, { text }: Outbound, { idempotencyKey: key, signal }: SendOptions): Promise<{ platformId: string }> {
    if (this.state.state !== 'online') throw new NotSent({ code: 'example.offline', message: 'The server cannot be reached.' })
    const answer = await this.call('/send', { method: 'POST', body: JSON.stringify({ jid, text, key }), signal })
    return z.object({ platformId: z.string() }).parse(await answer.json())
  }

  protected async call(path: string, request: RequestInit): Promise<Response> {
    const answer = await fetch(this.#parts.url + path, request)
    if (answer.ok) return answer
    const message = `The server said: ${await answer.text()}`
    const retryAt = this.#parts.clock.now() + Number(answer.headers.get('retry-after')) * 1_000
    if (answer.status === 429) throw new NotSent({ code: 'example.busy', message, retryAt })
    throw new AppError({ code: 'example.failed', fault: answer.status === 403 ? 'user' : 'platform', message })
  }
}

export type ExampleParts = { url: string; clock: Clock; random(): number }

function tell(sink: Sink, news: z.infer<typeof update>): Promise<void> {
  if (news.type === 'message') return sink.message({ ...news, fromMe: false })
  return news.type === 'edited' ? sink.edited(news) : sink.deleted(news)
}
