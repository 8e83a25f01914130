import type { Channel } from '../channels/contract.ts'
import type { Clock } from '../domain/clock.ts'
import { AppError, errorText } from '../domain/errors.ts'
import type { Delivery } from '../store/outbox.ts'
import type { Store } from '../store/store.ts'

export type CourierPorts = {
  store: Store
  clock: Clock
  channelOf(jid: string): Channel | undefined
  random(): number
  log: { warn(text: string): void; error(text: string): void }
}

const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 300_000

/** Delivers what is committed: each chat in its own order, chats side by side, each row with its next step. */
export class Courier {
  readonly #ports: CourierPorts
  readonly #underWay = new Map<number, Promise<void>>()
  readonly #abort = new AbortController()
  #cancelTimer: () => void = () => {}

  constructor(ports: CourierPorts) {
    this.#ports = ports
  }

  /** Sends everything that is due now, and sees to it that the rest is sent when it falls due. */
  deliver(): void {
    const { store, clock } = this.#ports
    if (this.#abort.signal.aborted) return
    for (const delivery of store.outbox.due(clock.now())) {
      const done = this.#send(delivery)
        .catch((error) => this.#ports.log.error(`Delivery ${delivery.seq}: ${errorText(error)}`))
        .finally(() => this.#underWay.delete(delivery.seq))
      this.#underWay.set(delivery.seq, done)
    }
    this.#cancelTimer()
    const next = store.outbox.nextDue()
    if (next !== undefined) this.#cancelTimer = clock.wakeAt(next, () => this.deliver())
  }

  /** Stops sending; what is under way is aborted and stays due. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.#cancelTimer()
    await Promise.all(this.#underWay.values())
  }

  /** Rejects only when the store fails. Else the row has a next step, or an end. */
  async #send(delivery: Delivery): Promise<void> {
    const { store, clock, channelOf, log } = this.#ports
    const { seq, jid, text, key } = delivery
    const channel = channelOf(jid)
    if (!channel) return store.outbox.close({ seq, state: 'failed', why: `no channel serves ${jid}` })
    try {
      store.outbox.markSending(seq)
      const { platformId } = await channel.send(jid, { text }, { idempotencyKey: key, signal: this.#abort.signal })
      store.outbox.markSent({ seq, platformId, at: clock.now() })
    } catch (error) {
      this.#failed(delivery, error)
    }
    if (!this.#abort.signal.aborted) queueMicrotask(() => this.deliver())
    else log.warn(`Delivery ${seq} to ${jid} was interrupted by the stop; it is sent at the next start.`)
  }

  #failed({ seq, jid, attempts }: Delivery, error: unknown): void {
    const { store, clock, random, log } = this.#ports
    const why = errorText(error)
    if (error instanceof AppError && error.fault === 'user') {
      log.error(`Delivery ${seq} to ${jid} failed for good: ${why}`)
      return store.outbox.close({ seq, state: 'failed', why })
    }
    const delay = Math.min(FIRST_DELAY_MS * 2 ** attempts, LONGEST_DELAY_MS) * (0.5 + random() / 2)
    log.warn(`Delivery ${seq} to ${jid} failed, tried again in ${Math.round(delay / 1000)} s: ${why}`)
    store.outbox.postpone({ seq, until: clock.now() + Math.round(delay), why })
  }
}
