import { type Channel, type ChannelState, NotSent, type Outbound, type Receipt } from '../../src/channels/contract.ts'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { AppError } from '../../src/domain/errors.ts'

/** What people see in a chat. */
export type Shown = { jid: string; key: string; text: string }
type Call = { jid: string; key: string; text: string; end: (receipt: Receipt) => void; fail: (error: Error) => void }

/** A platform with its chats: it takes messages as its kind can, and survives every crash of the host. */
export class SimPlatform implements Channel {
  readonly name: string
  readonly capabilities: Channel['capabilities']
  readonly shown: Shown[] = []
  state: ChannelState = { state: 'online' }
  /** Sends under way, of the host that lives. */
  calls: Call[] = []

  constructor(delivery: DeliveryGuarantee) {
    this.name = delivery
    this.capabilities = { delivery, maxText: 40 }
  }

  async start(): Promise<void> {}

  owns(jid: string): boolean {
    return jid.startsWith(`${this.name}:`)
  }

  send(
    jid: string,
    { text }: Outbound,
    { idempotencyKey: key, signal }: { idempotencyKey: string; signal: AbortSignal },
  ): Promise<Receipt> {
    return new Promise((end, fail) => {
      this.calls.push({ jid, key, text, end, fail })
      signal.addEventListener('abort', () => fail(new Error('aborted')), { once: true })
    })
  }

  async findSent(_jid: string, { idempotencyKey }: { idempotencyKey: string }): Promise<Receipt | undefined> {
    return this.shown.some(({ key }) => key === idempotencyKey) ? { platformId: idempotencyKey } : undefined
  }

  /** The oldest send of a chat comes to its end. */
  finish(call: Call, how: 'sent' | 'lost' | 'broken' | 'not-sent' | 'refused'): void {
    this.calls = this.calls.filter((other) => other !== call)
    if (how === 'sent' || how === 'lost') this.#show(call)
    if (how === 'sent') call.end({ platformId: call.key })
    else if (how === 'not-sent') call.fail(new NotSent({ code: 'sim.offline', message: 'nothing left' }))
    else if (how === 'refused') call.fail(new AppError({ code: 'sim.refused', fault: 'user', message: 'never' }))
    else call.fail(new Error('the answer was lost'))
  }

  /** A key that the platform honours makes the same message of two. */
  #show({ jid, key, text }: Call): void {
    if (this.name === 'keyed' && this.shown.some((one) => one.key === key)) return
    this.shown.push({ jid, key, text })
  }
}
