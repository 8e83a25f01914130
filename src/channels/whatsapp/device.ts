import type { Instant } from '../../domain/clock.ts'
import { errorText } from '../../domain/errors.ts'
import type { ChannelState, Sink } from '../contract.ts'
import { Addresses } from './addresses.ts'
import { Attachments } from './attachments.ts'
import { AuthState } from './auth-state.ts'
import { connect } from './connect.ts'
import { type DeviceDatabase, databaseFile, openDeviceDatabase } from './database.ts'
import { Downloads } from './downloads.ts'
import { Groups } from './groups.ts'
import { Intake } from './intake.ts'
import { Link, type Pairing } from './link.ts'
import { prefixOf } from './outgoing.ts'
import type { WhatsAppPorts, WhatsAppSettings } from './ports.ts'
import { muteLibsignal } from './quiet-library.ts'
import { Sending } from './sending.ts'
import { Journal, RetryCounts, SentMessages } from './traffic.ts'
import { readV1State, retireV1State } from './v1-state.ts'

export type DeviceParts = {
  settings: WhatsAppSettings
  ports: WhatsAppPorts
  sink: Sink
  onState(state: ChannelState): void
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A log-out waits so long for the connection; after that, only the phone can remove the device. */
const REACHED_WITHIN_MS = 15_000

/** The linked device: its database, its connection, and what goes in and out. Only here the WhatsApp library is loaded. */
export class Device {
  readonly sending: Sending
  readonly #database: DeviceDatabase
  readonly #auth: AuthState
  readonly #link: Link
  readonly #intake: Intake
  readonly #groups: Groups
  readonly #parts: DeviceParts
  readonly #closing = new AbortController()
  #running: { signal: AbortSignal; over: Promise<void> } | undefined
  #cancelSync: (() => void) | undefined
  #nextSync: Instant = 0

  private constructor(parts: DeviceParts, database: DeviceDatabase) {
    const { settings, ports, sink, onState } = parts
    const { db } = database
    this.#parts = parts
    this.#database = database
    const auth = new AuthState(db)
    const sent = new SentMessages(db)
    const journal = new Journal(db)
    this.#auth = auth
    this.#groups = new Groups(sink)
    const addresses = new Addresses(auth, (jid) => ports.registration(jid) !== undefined)
    const attachments = new Attachments({ root: settings.attachmentsFolder, log: ports.log })
    const online = (signal: AbortSignal) => this.#link.online(signal)
    const downloads = new Downloads({ online, signal: this.#closing.signal })
    this.#intake = new Intake({
      auth,
      journal,
      sent,
      addresses,
      attachments,
      downloads,
      groups: this.#groups,
      sink,
      ports,
      settings,
    })
    const retries = new RetryCounts(db, ports.clock.now)
    const take = this.#intake.take.bind(this.#intake)
    const connecting = { auth, journal, sent, retries, groups: this.#groups, take, ports, settings }
    this.#link = new Link({
      auth,
      ports,
      onState,
      connect: () => connect(connecting),
      onOnline: (socket) => {
        this.#groups.follow(socket, (error) => this.#warn('A group could not be noted', error))
        this.#recover()
        this.#syncDaily()
      },
    })
    this.sending = new Sending({ sent, clock: ports.clock, prefix: prefixOf(settings), socket: () => this.#link.require() })
  }

  /** Opens the database, taking over what v1 left. Throws an `AppError` when another process has it. */
  static async open(parts: DeviceParts): Promise<Device> {
    muteLibsignal(console)
    const { authFolder } = parts.settings
    const device = new Device(parts, openDeviceDatabase(databaseFile(authFolder)))
    try {
      await device.#takeOverV1(authFolder)
      return device
    } catch (error) {
      await device.close()
      throw error
    }
  }

  /** Once: a state whose device was removed since must not come back at the next start. */
  async #takeOverV1(authFolder: string): Promise<void> {
    const auth = this.#auth
    const isNew = !auth.linked && auth.ended === undefined
    const state = isNew ? await readV1State(authFolder) : undefined
    if (state) {
      auth.adopt(state)
      this.#parts.ports.log.info('WhatsApp: the linked device of v1 was taken over from store/auth')
    }
    if (auth.linked) await retireV1State(authFolder)
  }

  /** Connects, and stays connected until the signal aborts, or only a person can help. */
  run(signal: AbortSignal): void {
    if (this.#running || signal.aborted) return
    this.#recover()
    const over = this.#link
      .run(signal)
      .catch((error) => this.#warn('The connection ended unexpectedly', error))
      .finally(() => {
        this.#running = undefined
      })
    this.#running = { signal, over }
  }

  /** Links the account: shows codes until somebody used one. Resolves when the device is online, or the attempt is over. */
  async pair(pairing: Pairing, signal: AbortSignal): Promise<void> {
    await this.#closed()
    this.#link.expect(pairing)
    this.run(signal)
    await Promise.race([this.#link.online(signal).catch(() => {}), this.#running?.over])
    this.#link.dismiss(pairing)
    await this.#closed()
  }

  /** A connection that was given up takes a moment to close. */
  async #closed(): Promise<void> {
    if (this.#running?.signal.aborted) await this.#running.over
  }

  /** Removes this device from the account, as far as WhatsApp can be reached, and forgets it here. */
  async logout(): Promise<void> {
    const socket = await this.#link.online(AbortSignal.timeout(REACHED_WITHIN_MS)).catch(() => undefined)
    if (socket) {
      await socket.logout().catch((error) => this.#warn('WhatsApp was not told of the log-out', error))
      await this.#running?.over
    }
    this.#auth.reset()
  }

  get linked(): boolean {
    return this.#auth.linked
  }

  get ended(): string | undefined {
    return this.#auth.ended
  }

  get account(): string | undefined {
    return this.#auth.account?.phone
  }

  setTyping(jid: string, on: boolean): void {
    const socket = this.#link.current
    socket?.sendPresenceUpdate(on ? 'composing' : 'paused', jid).catch((error) => this.#warn('Typing was not shown', error))
  }

  async syncGroups(signal: AbortSignal): Promise<void> {
    await this.#groups.sync(await this.#link.online(signal))
  }

  /** To be called when the signal of `run` has aborted. A file that never saw a link does not stay behind. */
  async close(): Promise<void> {
    this.#cancelSync?.()
    await this.#running?.over
    this.#closing.abort()
    await this.#intake.stop()
    this.#database.close({ keep: this.#auth.linked || this.#auth.ended !== undefined })
  }

  #recover(): void {
    this.#intake.recover().catch((error) => this.#warn('The journal could not be read', error))
  }

  /** At the first connection and daily from then on, not at each: WhatsApp does not like to be asked often. */
  #syncDaily(): void {
    const { clock } = this.#parts.ports
    const socket = this.#link.current
    if (socket && clock.now() >= this.#nextSync) {
      this.#nextSync = clock.now() + DAY_MS
      this.#groups.sync(socket).catch((error) => this.#warn('The names of the groups could not be read', error))
    }
    this.#cancelSync?.()
    this.#cancelSync = clock.wakeAt(Math.max(this.#nextSync, clock.now() + HOUR_MS), () => this.#syncDaily())
  }

  #warn(what: string, error: unknown): void {
    this.#parts.ports.log.warn(`WhatsApp: ${what}: ${errorText(error)}`)
  }
}
