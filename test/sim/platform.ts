import { type Channel, type ChannelState, NotSent, type Outbound, type Receipt } from '../../src/channels/contract.ts'
import type { Random } from '../../src/cli/bench/random.ts'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { AppError } from '../../src/domain/errors.ts'

/** What people see in a chat. */
export type Shown = { jid: string; key: string; text: string }
type Call = { jid: string; key: string; text: string; end: (receipt: Receipt) => void; fail: (error: Error) => void }
type Send = { idempotencyKey: string; signal: AbortSignal }

/** A platform with its chats: it takes messages as its kind can, and survives every crash of the host. */
export class SimPlatform {
  readonly name: string
  readonly capabilities: Channel['capabilities']
  readonly shown: Shown[] = []
  state: ChannelState = { state: 'online' }
  /** Sends under way, of the host that lives. */
  calls: Call[] = []

  readonly #random: Random

  constructor(delivery: DeliveryGuarantee, random: Random) {
    this.#random = random
    this.name = delivery
    this.capabilities = { delivery, maxText: 40 }
  }

  /** The channel to it that one host has; what a dead host still does, comes to nothing. */
  seenBy(life: { dead: boolean }, mayFail: (what: string) => void): Channel {
    const never = new Promise<never>(() => {})
    const platform = this
    return {
      name: this.name,
      capabilities: this.capabilities,
      get state() {
        mayFail('the state of a channel')
        return platform.state
      },
      start: async () => {},
      owns: (jid) => jid.startsWith(`${this.name}:`),
      send: (jid, message, how) => {
        mayFail('a send')
        return life.dead ? never : this.#send(jid, message, how)
      },
      findSent: async (_jid, { idempotencyKey }) => {
        mayFail('a look back')
        return life.dead ? never : this.#find(idempotencyKey)
      },
    }
  }

  #send(jid: string, { text }: Outbound, { idempotencyKey: key, signal }: Send): Promise<Receipt> {
    return new Promise((end, fail) => {
      const call = { jid, key, text, end, fail }
      this.calls.push(call)
      // What is given up may have left, or not.
      const giveUp = () => this.finish(call, this.#random.chance(0.5) ? 'lost' : 'broken')
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #find(sought: string): Receipt | undefined {
    return this.shown.some(({ key }) => key === sought) ? { platformId: sought } : undefined
  }

  /** The oldest send of a chat comes to its end. */
  finish(call: Call, how: 'sent' | 'lost' | 'broken' | 'not-sent' | 'refused'): void {
    if (!this.calls.includes(call)) return
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
