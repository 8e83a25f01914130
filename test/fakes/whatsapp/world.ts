import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { LoginEvent } from '@nanoclaw/protocol'
import SQLite from 'better-sqlite3'
import type { ChannelState, Sink } from '../../../src/channels/contract.ts'
import { WhatsAppChannel } from '../../../src/channels/whatsapp/channel.ts'
import { databaseFile } from '../../../src/channels/whatsapp/database.ts'
import type { WhatsAppPorts, WhatsAppSettings } from '../../../src/channels/whatsapp/ports.ts'
import { type Clock, systemClock } from '../../../src/domain/clock.ts'
import type { IncomingMessage } from '../../../src/domain/message.ts'
import { until } from '../patience.ts'
import { type TestContext, temporaryFolder } from '../rooms.ts'
import type { People } from './people.ts'
import type { Phone } from './phone.ts'
import { FakeWhatsApp, type ServerOptions } from './server.ts'

export const FAMILY = '120363000000000001@g.us'

/** What the host was told, as it would store it: a message once. */
export class Notebook implements Sink {
  readonly messages: IncomingMessage[] = []
  readonly edits: { jid: string; id: string; sender: string; text: string }[] = []
  readonly deletions: Parameters<Sink['deleted']>[0][] = []
  readonly names = new Map<string, string | undefined>()
  /** How often a message was told, repetitions counted. */
  told = 0
  /** While it is set, nothing can be stored. */
  full: Error | undefined
  /** What is stored waits for this. */
  held: Promise<void> | undefined

  async message(message: IncomingMessage): Promise<void> {
    this.told++
    await this.held
    if (this.full) throw this.full
    if (!this.messages.some(({ jid, id }) => jid === message.jid && id === message.id)) this.messages.push(message)
  }

  async edited(change: { jid: string; id: string; sender: string; text: string }): Promise<void> {
    this.edits.push(change)
  }

  async deleted(message: Parameters<Sink['deleted']>[0]): Promise<void> {
    this.deletions.push(message)
  }

  async chat({ jid, name }: { jid: string; name?: string }): Promise<void> {
    this.names.set(jid, name ?? this.names.get(jid))
  }

  stateChanged(): void {}

  get texts(): string[] {
    return this.messages.map(({ text }) => text)
  }
}

export type WorldOptions = ServerOptions & {
  settings?: Partial<WhatsAppSettings>
  clock?: Clock
  random?: () => number
  registered?: Record<string, { folder: string; trigger: string }>
  refuseFile?: (sender: string) => string | undefined
  transcribe?: WhatsAppPorts['transcribe']
}

/** A WhatsApp with a few people on it, and the channel, which is to be linked to Olga's account. */
export class World {
  readonly server: FakeWhatsApp
  readonly olga: Phone
  readonly alice: Phone
  readonly bob: Phone
  readonly folder: string
  readonly notebook = new Notebook()
  readonly log: string[] = []
  readonly states: ChannelState[] = []
  readonly registered: Record<string, { folder: string; trigger: string }>
  readonly #options: WorldOptions
  #life = new AbortController()
  channel: WhatsAppChannel

  private constructor(server: FakeWhatsApp, folder: string, options: WorldOptions) {
    this.server = server
    this.folder = folder
    this.#options = options
    this.olga = server.account('15550001111', 'Olga')
    this.alice = server.person('15550002222', 'Alice')
    this.bob = server.person('15550003333', 'Bob')
    server.group(FAMILY, 'Family', [this.alice, this.bob, this.olga])
    const direct = { folder: 'main', trigger: '@Andy' }
    this.registered = options.registered ?? { [this.alice.pn]: direct, [FAMILY]: { folder: 'family', trigger: '@Andy' } }
    this.channel = this.#make()
  }

  static async create(t: TestContext, options: WorldOptions = {}): Promise<World> {
    const server = await FakeWhatsApp.start(t, options)
    const world = new World(server, temporaryFolder(t), options)
    t.after(() => world.stop())
    return world
  }

  /** With the account linked just now, and the channel online. */
  static async linkedAnew(t: TestContext, options: WorldOptions = {}): Promise<World> {
    const world = await World.create(t, options)
    await world.start()
    await world.link()
    return world
  }

  /** With the account linked earlier, and the channel not started yet. */
  static async offline(t: TestContext, options: WorldOptions = {}): Promise<World> {
    const { people, database } = await linkedAccount()
    const world = await World.create(t, { ...options, people: people.copy() })
    placeDatabase(world.folder, database)
    return world
  }

  /** With the account linked earlier, and the channel online. */
  static async linked(t: TestContext, options: WorldOptions = {}): Promise<World> {
    const world = await World.offline(t, options)
    await world.start()
    await world.online()
    return world
  }

  #make(): WhatsAppChannel {
    const note = (text: string) => this.log.push(text)
    const ports: WhatsAppPorts = {
      clock: this.#options.clock ?? systemClock,
      random: this.#options.random ?? (() => 0),
      log: { debug: note, info: note, warn: note, error: note },
      registration: (jid) => this.registered[jid],
      refuseFile: ({ sender }) => this.#options.refuseFile?.(sender),
      transcribe: this.#options.transcribe,
    }
    const settings = {
      authFolder: path.join(this.folder, 'store', 'auth'),
      attachmentsFolder: path.join(this.folder, 'data', 'attachments'),
      assistantName: 'Andy',
      hasOwnNumber: true,
      socketUrl: this.server.url,
      ...this.#options.settings,
    }
    return new WhatsAppChannel({ settings, ports, onState: (state) => this.states.push(state) })
  }

  async start(): Promise<void> {
    await this.channel.start(this.notebook, this.#life.signal)
  }

  async stop(): Promise<void> {
    this.#life.abort()
    await this.channel.stop()
  }

  /** As after a restart of the host: a new channel on the same folder. */
  async restart(): Promise<void> {
    await this.stop()
    this.#life = new AbortController()
    this.channel = this.#make()
    await this.start()
  }

  /** Olga scans the QR code, or types the code that is shown. */
  async link({ phone }: { phone?: string } = {}): Promise<LoginEvent[]> {
    const events: LoginEvent[] = []
    const tell = (event: LoginEvent) => {
      events.push(event)
      if (event.type === 'qr') this.server.scan(event.data, this.olga)
      if (event.type === 'code') void this.server.type(event.code, this.olga)
    }
    await this.channel.login({ phone, tell, signal: this.#life.signal })
    return events
  }

  online(): Promise<void> {
    return until(() => this.channel.state.state === 'online', 'the channel is online')
  }

  /** Waits until the host was told something with this text. */
  async heard(text: string): Promise<IncomingMessage> {
    await until(
      () => this.notebook.texts.some((one) => one.includes(text)),
      `"${text}" arrived; there is ${JSON.stringify(this.notebook.texts)}`,
    )
    return this.notebook.messages.find((message) => message.text.includes(text)) as IncomingMessage
  }

  send(jid: string, text: string, key = text) {
    return this.channel.send(jid, { text }, { idempotencyKey: key, signal: this.#life.signal })
  }

  get signal(): AbortSignal {
    return this.#life.signal
  }
}

/** An account that is linked, as both sides remember it: the people on the server, and the device's database. */
export type LinkedAccount = { people: People; database: Buffer }

let linked: Promise<LinkedAccount> | undefined

/** To be copied: to link an account takes long, and most tests are about what comes after that. */
export function linkedAccount(): Promise<LinkedAccount> {
  linked ??= linkOnce()
  return linked
}

async function linkOnce(): Promise<LinkedAccount> {
  const endings: (() => unknown)[] = []
  const world = await World.linkedAnew({ after: (end) => void endings.push(end) })
  const { server, olga, folder } = world
  await until(() => knowsEverybody(folder) && server.unconfirmed(olga).length === 0, 'the device has all that the phone sends it')
  await world.stop()
  const account = { people: server.people(), database: readFileSync(databaseIn(folder)) }
  for (const end of endings) await end()
  return account
}

function databaseIn(folder: string): string {
  return databaseFile(path.join(folder, 'store', 'auth'))
}

/** Does the device know of everybody who is who, by both names? That is the last thing that its phone tells it. */
function knowsEverybody(folder: string): boolean {
  const db = new SQLite(databaseIn(folder), { readonly: true })
  try {
    return db.prepare("SELECT count(*) FROM auth WHERE type = 'lid-mapping'").pluck().get() === 6
  } finally {
    db.close()
  }
}

/** Turns a folder into that of a host whose account is linked. */
export function placeDatabase(folder: string, database: Buffer): void {
  mkdirSync(path.dirname(databaseIn(folder)), { recursive: true, mode: 0o700 })
  writeFileSync(databaseIn(folder), database, { mode: 0o600 })
}

/** What a phone shows, in words. */
export function shownTexts({ shown }: Phone): (string | null | undefined)[] {
  return shown.map(({ message }) => {
    const inner = message.deviceSentMessage?.message ?? message
    return inner.extendedTextMessage?.text ?? inner.conversation ?? inner.reactionMessage?.text
  })
}
