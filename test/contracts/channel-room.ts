import { Feed } from '../../src/app/feed.ts'
import { Inbox } from '../../src/app/inbox.ts'
import { Courier } from '../../src/app/outbox.ts'
import type { Channel, Sink } from '../../src/channels/contract.ts'
import { AppError } from '../../src/domain/errors.ts'
import type { IncomingMessage } from '../../src/domain/message.ts'
import type { Store } from '../../src/store/store.ts'
import { ManualClock } from '../fakes/clock.ts'
import { patience, until } from '../fakes/patience.ts'
import { registerChat, storeWith, type TestContext } from '../fakes/rooms.ts'
import { everybody } from '../fakes/senders.ts'

/** Where a channel under test takes its time and its chance from. */
export type Ports = { clock: ManualClock; random(): number }
/** `create` makes the channel, not started; after it was stopped, another one that goes on where it was. */
export type Setting = { create(): Channel; jid: string }

/** A channel with the real inbox, outbox and store around it, which a test may use or leave. */
export class Room<S extends Setting> {
  readonly setting: S
  readonly store: Store
  readonly clock: ManualClock
  readonly notebook = new Notebook()
  channel: Channel
  readonly #courier: Courier
  readonly #inbox: Inbox
  #life = new AbortController()

  private constructor({ setting, store, clock, random }: { setting: S; store: Store } & Ports) {
    this.setting = setting
    this.store = store
    this.clock = clock
    this.channel = setting.create()
    const channelOf = (jid: string) => (this.channel.owns(jid) ? this.channel : undefined)
    const log = { warn() {}, error() {} }
    this.#courier = new Courier({ store, clock, random, channelOf, log, forget() {} })
    const deliver = () => this.#courier.deliver()
    this.#inbox = new Inbox({
      store,
      feed: new Feed(console),
      wake() {},
      deliver,
      takeCommand: () => undefined,
      judge: everybody,
      onDropped() {},
    })
  }

  static async open<S extends Setting>(t: TestContext, { open, random }: Opening<S>): Promise<Room<S>> {
    const clock = new ManualClock()
    const setting = await open(t, { clock, random })
    const { store } = storeWith(t, ['main'])
    if (!store.groups.chat(setting.jid)) registerChat(store, { jid: setting.jid, folder: 'main' })
    const room = new Room({ setting, store, clock, random })
    t.after(() => room.#close())
    return room
  }

  get jid(): string {
    return this.setting.jid
  }

  get signal(): AbortSignal {
    return this.#life.signal
  }

  /** Starts the channel; with `real`, what it tells goes into the real inbox, too. */
  async online({ real = false }: { real?: boolean } = {}): Promise<void> {
    if (real) this.notebook.next = this.#inbox
    await this.channel.start(this.notebook, this.signal)
    await this.pass(() => this.channel.state.state === 'online', 'it is online')
  }

  async restart(): Promise<void> {
    await this.stop()
    this.#life = new AbortController()
    this.channel = this.setting.create()
    await this.online()
  }

  async stop(): Promise<void> {
    this.#life.abort()
    await this.channel.stop?.()
  }

  async #close(): Promise<void> {
    await this.#courier.stop()
    await this.stop()
  }

  /** Sends past the outbox. */
  send(text: string, key = text) {
    return this.channel.send(this.jid, { text }, { idempotencyKey: key, signal: AbortSignal.timeout(patience(60_000)) })
  }

  post(text: string): void {
    this.store.outbox.add({ jid: this.jid, text, key: text.slice(0, 40), turnId: null, at: this.clock.now() })
    this.#courier.deliver()
  }

  async delivered(): Promise<void> {
    await this.pass(() => this.store.outbox.counts().pending === 0, 'everything is delivered')
  }

  /** The texts of the newest messages in the store. */
  stored(): string[] {
    return this.store.messages.latest(this.jid, 9).map(({ text }) => text)
  }

  /** Lets time pass until something is so. */
  async pass(condition: () => boolean, what: string): Promise<void> {
    await until(() => {
      this.clock.advance(1_000)
      return condition()
    }, what)
  }
}

type Opening<S> = { open(t: TestContext, ports: Ports): Promise<S> | S; random(): number }

/** A sink that notes what it is given, and can be full or slow. */
class Notebook implements Sink {
  readonly texts: string[] = []
  /** Messages handed over, stored or not. */
  offered = 0
  changes = 0
  full = false
  #held: Promise<void> = Promise.resolve()
  readonly #known = new Set<string>()
  /** Where what is told goes on to. */
  next: Sink | undefined

  /** Stores nothing until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held = promise
    return resolve
  }

  async message(message: IncomingMessage): Promise<void> {
    this.offered++
    await this.#held
    if (this.full) throw new AppError({ code: 'store.disk', fault: 'platform', message: 'the disk is full' })
    if (!this.#known.has(message.id)) this.texts.push(message.text)
    this.#known.add(message.id)
    await this.next?.message(message)
  }

  async edited(change: Parameters<Sink['edited']>[0]): Promise<void> {
    await this.next?.edited(change)
  }

  async deleted(message: Parameters<Sink['deleted']>[0]): Promise<void> {
    await this.next?.deleted(message)
  }

  async chat(chat: Parameters<Sink['chat']>[0]): Promise<void> {
    await this.next?.chat(chat)
  }

  stateChanged(): void {
    this.changes++
    this.next?.stateChanged()
  }
}
