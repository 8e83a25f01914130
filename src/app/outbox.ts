import type { Channel } from '../channels/contract.ts'
import { NotSent } from '../channels/contract.ts'
import { attempt } from '../domain/attempt.ts'
import { type Clock, type Instant, pause } from '../domain/clock.ts'
import { type AttemptEnd, afterAttempt, backOff, lossText, type NextStep } from '../domain/delivery.ts'
import { AppError, errorText } from '../domain/errors.ts'
import { isBlank, splitText } from '../domain/split-text.ts'
import type { Delivery, DeliveryFile } from '../store/outbox.ts'
import type { Store } from '../store/store.ts'
import { postNotice } from './notices.ts'

export type CourierPorts = {
  store: Store
  clock: Clock
  channelOf(jid: string): Channel | undefined
  random(): number
  /** A copy of a file that was sent, or never will be, is needed no more. */
  forget(file: DeliveryFile): void
  log: { warn(text: string): void; error(text: string): void }
}

type Lost = Extract<NextStep, { type: 'failed' | 'uncertain' }>

/** A channel whose attempts fail: one row at a time is tried, and none before `notBefore`. */
type Trouble = { failures: number; notBefore: Instant }

/** Between two tries to write down what became of a send, when the disk is full. */
const RECORD_RETRY_MS = 5_000

/** Delivers what is committed: each chat in its own order, chats side by side, each row with its next step. */
export class Courier {
  readonly #ports: CourierPorts
  /** By row. */
  readonly #underWay = new Map<number, { channel: string; done: Promise<void> }>()
  /** By channel. */
  readonly #troubles = new Map<string, Trouble>()
  readonly #abort = new AbortController()
  #cancelTimer: () => void = () => {}
  /** How often in a row the store could not be read. */
  #unread = 0

  constructor(ports: CourierPorts) {
    this.#ports = ports
  }

  /** At start: what was under way when the host went away may have arrived. Returns how many there were. */
  recover(): number {
    const { store, channelOf, clock, log } = this.#ports
    const why = 'the host was stopped while it was sent'
    return store.tx(() => {
      const cut = store.outbox.underWay()
      for (const delivery of cut) {
        const { seq, jid, unsure } = delivery
        const guarantee = channelOf(jid)?.capabilities.delivery ?? 'uncertain'
        const step = afterAttempt({ type: 'unknown', why }, { guarantee, unsure })
        if (step.type === 'again') store.outbox.postpone({ seq, until: clock.now(), unsure: step.unsure, why })
        else if (step.type !== 'sent') this.#close(delivery, step)
        log.warn(`Delivery ${seq} to ${jid} ${step.type === 'again' ? 'is looked after again' : 'may have arrived'}: ${why}`)
      }
      return cut.length
    })
  }

  /** Sends everything that can be sent now, and sees to it that the rest is sent when it can be. Never throws. */
  deliver(): void {
    const { clock, random, log } = this.#ports
    if (this.#abort.signal.aborted) return
    try {
      this.#wakeAt(this.#deliverDue(clock.now()))
      this.#unread = 0
    } catch (error) {
      const at = clock.now() + backOff(this.#unread++, random)
      log.error(`The outbox could not be read, it is tried again: ${errorText(error)}`)
      this.#wakeAt(at)
    }
  }

  /** Returns when there will be more to do. */
  #deliverDue(now: Instant): Instant {
    const { outbox } = this.#ports.store
    const waiting = outbox.due(now).filter(({ seq }) => !this.#underWay.has(seq))
    const failed = waiting.filter((delivery) => !this.#begun(delivery))
    const retryAt = failed.length > 0 ? now + backOff(0, this.#ports.random) : Number.POSITIVE_INFINITY
    const held = [...this.#troubles.values()].map(({ notBefore }) => notBefore).filter((at) => at > now)
    return Math.min(outbox.nextDueAfter(now) ?? Number.POSITIVE_INFINITY, retryAt, ...held)
  }

  #wakeAt(at: Instant): void {
    this.#cancelTimer()
    this.#cancelTimer = Number.isFinite(at) ? this.#ports.clock.wakeAt(at, () => this.deliver()) : () => {}
  }

  /** Stops sending; what is under way is aborted and stays due. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.#cancelTimer()
    await Promise.all([...this.#underWay.values()].map(({ done }) => done))
  }

  /** False where the channel could not even be asked: that holds its own rows and nobody else's. */
  #begun(delivery: Delivery): boolean {
    const { seq, jid } = delivery
    return attempt({ what: `Delivery ${seq} to ${jid}`, log: this.#ports.log }, () => this.#begin(delivery))
  }

  #begin(delivery: Delivery): void {
    const channel = this.#ports.channelOf(delivery.jid)
    if (channel && !this.#isOpen(channel)) return
    const done = this.#send(delivery, channel)
      .catch((error) => {
        this.#ports.log.error(`Delivery ${delivery.seq}: ${errorText(error)}`)
        if (channel) this.#noteTrouble(channel, { type: 'unknown', why: errorText(error) })
      })
      .finally(() => {
        this.#underWay.delete(delivery.seq)
        queueMicrotask(() => this.deliver())
      })
    this.#underWay.set(delivery.seq, { channel: channel?.name ?? '', done })
  }

  /** A channel that is down, or in trouble, holds its own rows and nobody else's. */
  #isOpen({ name, state }: Channel): boolean {
    if (state.state !== 'online') return false
    const trouble = this.#troubles.get(name)
    if (!trouble) return true
    const probing = [...this.#underWay.values()].some(({ channel }) => channel === name)
    return !probing && trouble.notBefore <= this.#ports.clock.now()
  }

  /** Rejects only when the host stops while the store fails. Else the row has a next step, or an end. */
  async #send(delivery: Delivery, channel: Channel | undefined): Promise<void> {
    const { store } = this.#ports
    const { seq, jid, text, file } = delivery
    if (!channel) return this.#record(delivery, { type: 'failed', why: `no channel serves ${jid}` })
    // There is nothing in it that somebody could read, and platforms refuse such a message.
    if (!file && isBlank(text)) return this.#record(delivery, { type: 'sent', platformId: null })
    const parts = delivery.attempts === 0 ? splitText(text, channel.capabilities.maxText) : [text]
    // One piece may be another text, too: blanks at a cut are gone. Every try must send the same, so it is written down first.
    if (parts.length > 1 || text !== (parts[0] ?? ''))
      return this.#persist(() => store.tx(() => store.outbox.split(delivery, parts)))
    await this.#persist(() => store.outbox.markSending(seq))
    const end = await this.#attempt(delivery, channel)
    this.#noteTrouble(channel, end)
    const { delivery: guarantee } = channel.capabilities
    const step = afterAttempt(end, { guarantee, unsure: delivery.unsure })
    await this.#record(delivery, step)
    if (file && step.type !== 'again') store.afterCommit('Removing the copy of a sent file', () => this.#ports.forget(file))
  }

  /** Never rejects: whatever is thrown tells how the attempt ended. */
  async #attempt({ jid, text, file, key, unsure }: Delivery, channel: Channel): Promise<AttemptEnd> {
    const { signal } = this.#abort
    if (signal.aborted) return { type: 'not-sent', why: 'the host stopped before it was sent' }
    try {
      const lookBack = unsure && channel.capabilities.delivery === 'readback'
      const found = lookBack ? await channel.findSent?.(jid, { idempotencyKey: key, text }, signal) : undefined
      const receipt = found ?? (await channel.send(jid, { text, file }, { idempotencyKey: key, signal }))
      return { type: 'sent', platformId: receipt.platformId }
    } catch (error) {
      const why = errorText(error)
      const retryAt = error instanceof AppError ? error.retryAt : undefined
      if (error instanceof NotSent) return { type: 'not-sent', why, retryAt }
      return error instanceof AppError && error.fault === 'user' ? { type: 'refused', why } : { type: 'unknown', why, retryAt }
    }
  }

  #noteTrouble({ name }: Channel, end: AttemptEnd): void {
    const { clock, random } = this.#ports
    if (end.type === 'sent' || end.type === 'refused') return void this.#troubles.delete(name)
    const known = this.#troubles.get(name)
    // Many that were under way together failed of one cause.
    if (known && known.notBefore > clock.now()) return
    const failures = (known?.failures ?? 0) + 1
    this.#troubles.set(name, { failures, notBefore: clock.now() + backOff(failures - 1, random) })
  }

  async #record(delivery: Delivery, step: NextStep): Promise<void> {
    const { store, clock, random, log } = this.#ports
    const { seq, jid, attempts } = delivery
    const at = clock.now()
    switch (step.type) {
      case 'sent':
        return this.#persist(() => store.outbox.markSent({ seq, platformId: step.platformId, at }))
      case 'uncertain':
        log.warn(`Delivery ${seq} to ${jid} may have arrived twice, or not: ${step.why}`)
        return this.#persist(() => this.#close(delivery, step))
      case 'failed':
        log.error(`Delivery ${seq} to ${jid} failed for good: ${step.why}`)
        return this.#persist(() => this.#close(delivery, step))
      case 'again': {
        const until = Math.max(step.retryAt ?? 0, at + backOff(attempts, random))
        log.warn(`Delivery ${seq} to ${jid} is tried again in ${Math.round((until - at) / 1_000)} s: ${step.why}`)
        return this.#persist(() => store.outbox.postpone({ seq, until, unsure: step.unsure, why: step.why }))
      }
    }
  }

  /** It is over, and people are told: of a message in parts once, of what the host itself says not at all. */
  #close({ seq, first, jid, file, byHost }: Delivery, step: Lost): void {
    const { store, clock } = this.#ports
    const at = clock.now()
    const platformId = step.type === 'uncertain' ? step.platformId : null
    const reader = byHost ? undefined : this.#readerOf(jid)
    const text = lossText(step, { file: file?.name, place: reader === jid ? 'here' : `in ${jid}` })
    store.tx(() => {
      store.outbox.close({ seq, state: step.type, at, platformId, why: step.why })
      if (reader && text) postNotice(store, { jid: reader, text, key: `lost-${first}`, turnId: null, at })
    })
  }

  /** Where somebody may read what is to be said in a chat: there, or in one of main. */
  #readerOf(jid: string): string | undefined {
    const { store, channelOf } = this.#ports
    const main = store.groups.all().find(({ isMain }) => isMain)
    const places = [jid, ...(main ? store.groups.chatsOf(main.folder).map((chat) => chat.jid) : [])]
    return places.find((place) => channelOf(place))
  }

  /** What became of a send is kept until it can be written down: a full disk delays the chat, and sends nothing twice. */
  async #persist(write: () => void): Promise<void> {
    const { clock, log } = this.#ports
    for (;;) {
      try {
        return write()
      } catch (error) {
        if (this.#abort.signal.aborted) throw error
        log.error(`The outbox could not be written, it is tried again: ${errorText(error)}`)
        await pause({ clock, until: clock.now() + RECORD_RETRY_MS, signal: this.#abort.signal })
      }
    }
  }
}
