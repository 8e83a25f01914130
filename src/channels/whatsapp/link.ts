import { setTimeout as delay } from 'node:timers/promises'
import type { LoginEvent } from '@nanoclaw/protocol'
import type { WASocket } from 'baileys'
import type { Instant } from '../../domain/clock.ts'
import { AppError, errorText } from '../../domain/errors.ts'
import { type ChannelState, NotSent } from '../contract.ts'
import type { AuthState } from './auth-state.ts'
import { endOf } from './connect.ts'
import { statusOf } from './downloads.ts'
import { wait } from './pace.ts'
import type { WhatsAppPorts } from './ports.ts'
import { type Attempts, afterEnding, type Ending, NO_ATTEMPTS } from './reconnect.ts'

/** Somebody who wants to link the account, by a QR code or, with a phone number, by a code to type. */
export type Pairing = { phone?: string | undefined; tell(event: LoginEvent): void }

export type LinkParts = {
  auth: AuthState
  ports: WhatsAppPorts
  /** A new connection, already on its way. */
  connect(): WASocket
  onState(state: ChannelState): void
  onOnline(socket: WASocket): void
}

/** Baileys' word for it. */
const CODES_USED_UP = 'QR refs attempts ended'
/** What a closing handshake may take before we go without it. */
const CLOSING_MS = 2_000

/** The life of the connection: one socket after the other, until it is told to stop or there is no sense in going on. */
export class Link {
  readonly #parts: LinkParts
  #online: WASocket | undefined
  #pairing: Pairing | undefined
  /** Called at every change, for those who wait for the connection. */
  readonly #waiting = new Set<() => void>()
  #hopeless: string | undefined = 'the channel is not started'

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  /** Resolves when the signal aborts, or when only a person can help; the state says how. */
  async run(signal: AbortSignal): Promise<void> {
    let attempts = NO_ATTEMPTS
    while (!signal.aborted) {
      const next = await this.#attempt(attempts, signal)
      if (next === 'over') return
      attempts = next
    }
  }

  /** From now on there is somebody to show codes to. One at a time. */
  expect(pairing: Pairing): void {
    if (this.#pairing) throw busy()
    this.#pairing = pairing
  }

  /** Whoever that was is gone. */
  dismiss(pairing: Pairing): void {
    if (this.#pairing === pairing) this.#pairing = undefined
  }

  get current(): WASocket | undefined {
    return this.#online
  }

  /** The socket, now. */
  require(): WASocket {
    if (this.#online) return this.#online
    throw offline(this.#hopeless ?? 'it is connecting')
  }

  /** The socket as soon as it is online. Rejects at once when nothing but a person can bring it back. */
  async online(signal: AbortSignal): Promise<WASocket> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#online) return this.#online
      if (this.#hopeless !== undefined) throw offline(this.#hopeless)
      await this.#change(signal)
    }
  }

  async #attempt(attempts: Attempts, signal: AbortSignal): Promise<Attempts | 'over'> {
    const { auth, ports } = this.#parts
    if (!auth.linked && !this.#pairing) return this.#end({ state: 'needs-pairing' })
    // A code that nobody typed leaves behind whose account it was for, and WhatsApp would take this device for a linked one.
    if (!auth.linked) auth.reset(auth.ended)
    this.#set({ state: 'connecting' })
    const ending = await this.#connection(signal)
    if (signal.aborted) return auth.linked ? 'over' : this.#notLinked()
    if (!auth.linked && ending.code !== 515) return this.#pairingFailed(ending)
    const { now } = ports.clock
    const step = afterEnding({ ending, attempts, now: now(), random: ports.random() })
    if (step.type === 'stop') return this.#end(step.state)
    if (step.at > now()) {
      this.#set({ state: 'retrying', at: step.at, why: step.why })
      await wait({ clock: ports.clock, at: step.at, signal }).catch(() => {})
    }
    return step.attempts
  }

  #pairingFailed({ code, reason }: Ending): 'over' {
    const why = reason === CODES_USED_UP ? 'nobody used the code in time' : `the connection ended: ${reason} (${code})`
    this.#pairing?.tell({ type: 'failed', why })
    return this.#notLinked()
  }

  /** The state is what it was before somebody tried to link it. */
  #notLinked(): 'over' {
    const { ended } = this.#parts.auth
    this.#set(ended === undefined ? { state: 'needs-pairing' } : { state: 'logged-out', why: ended })
    return 'over'
  }

  #end(state: ChannelState): 'over' {
    const { auth } = this.#parts
    if (state.state === 'logged-out' && auth.linked) auth.reset(state.why)
    if ('why' in state) this.#pairing?.tell({ type: 'failed', why: state.why })
    this.#set(state)
    return 'over'
  }

  /** One socket from its first byte to its end. */
  #connection(signal: AbortSignal): Promise<Ending> {
    const { auth, ports, connect, onOnline } = this.#parts
    const socket = connect()
    let onlineSince: Instant | undefined
    let asked = false
    return new Promise((resolve) => {
      const finish = (error: unknown) => {
        signal.removeEventListener('abort', abort)
        this.#online = undefined
        const onlineMs = onlineSince === undefined ? 0 : ports.clock.now() - onlineSince
        resolve({ code: statusOf(error) ?? 0, reason: error === undefined ? 'closed' : errorText(error), onlineMs })
      }
      const abort = () =>
        Promise.race([socket.end(undefined), delay(CLOSING_MS, undefined, { ref: false })]).then(() => finish(undefined), finish)
      signal.addEventListener('abort', abort, { once: true })
      // Both are async because of what they may throw, a full disk for one: see `withCapturedRejections`.
      socket.ev.on('creds.update', async () => auth.saveCreds())
      socket.ev.on('connection.update', async ({ connection, qr, lastDisconnect }) => {
        if (qr !== undefined && !asked) asked = this.#showCode(socket, qr)
        if (connection === 'open') {
          onlineSince = ports.clock.now()
          this.#online = socket
          this.#set({ state: 'online' })
          this.#pairing?.tell({ type: 'online', account: auth.account?.phone ?? '' })
          this.#pairing = undefined
          onOnline(socket)
        }
        if (connection === 'close') finish(lastDisconnect?.error)
      })
    })
  }

  /** Returns whether this was the last code to show: a QR code is shown anew when it changes, a code to type is asked for once. */
  #showCode(socket: WASocket, qr: string): boolean {
    const { phone, tell } = this.#pairing ?? {}
    if (phone === undefined) {
      tell?.({ type: 'qr', data: qr })
      return false
    }
    socket
      .requestPairingCode(phone)
      .then((code) => tell?.({ type: 'code', code }))
      .catch((error) => endOf(socket, error))
    return true
  }

  #set(state: ChannelState): void {
    const ends = state.state === 'needs-pairing' || state.state === 'logged-out' || state.state === 'conflict'
    this.#hopeless = ends ? ('why' in state ? state.why : 'it is not linked') : undefined
    this.#parts.onState(state)
    for (const wake of this.#waiting) wake()
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#waiting.delete(changed)
        signal.removeEventListener('abort', aborted)
      }
      const changed = () => {
        done()
        resolve()
      }
      const aborted = () => {
        done()
        reject(signal.reason)
      }
      this.#waiting.add(changed)
      signal.addEventListener('abort', aborted, { once: true })
    })
  }
}

function busy(): AppError {
  return new AppError({
    code: 'whatsapp.pairing',
    fault: 'user',
    message: 'WhatsApp is being linked already, from another terminal.',
  })
}

function offline(why: string): NotSent {
  return new NotSent({ code: 'whatsapp.offline', message: `WhatsApp is not connected: ${why}.` })
}
