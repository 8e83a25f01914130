import { existsSync } from 'node:fs'
import path from 'node:path'
import type { LoginEvent } from '@nanoclaw/protocol'
import { AppError, errorText } from '../../domain/errors.ts'
import type {
  Capabilities,
  Channel,
  ChannelState,
  LoginRequest,
  Outbound,
  Receipt,
  SendOptions,
  Sink,
  Target,
} from '../contract.ts'
import type { Device } from './device.ts'
import type { WhatsAppPorts, WhatsAppSettings } from './ports.ts'

export type WhatsAppParts = {
  settings: WhatsAppSettings
  ports: WhatsAppPorts
  /** Hears every change of the state. */
  onState?: ((state: ChannelState) => void) | undefined
}

/**
 * WhatsApp, as a linked device of an account. The library behind it is an optional part of the installation and heavy, so
 * it is loaded when the channel is used: `start` on a root that was never linked does nothing.
 */
export class WhatsAppChannel implements Channel {
  readonly name = 'whatsapp'
  readonly capabilities: Capabilities = { delivery: 'keyed', maxText: 60_000 }
  readonly #parts: WhatsAppParts
  #state: ChannelState = { state: 'needs-pairing' }
  #device: Promise<Device> | undefined
  #sink: Sink | undefined
  #signal: AbortSignal | undefined

  constructor(parts: WhatsAppParts) {
    this.#parts = parts
  }

  get state(): ChannelState {
    return this.#state
  }

  /** Is there, or was there, a link on this root? A channel that never had one is left out. */
  get inUse(): boolean {
    const { authFolder } = this.#parts.settings
    return ['whatsapp.db', 'creds.json'].some((name) => existsSync(path.join(authFolder, name)))
  }

  async start(sink: Sink, signal: AbortSignal): Promise<void> {
    this.#sink = sink
    this.#signal = signal
    if (!this.inUse) return
    try {
      const device = await this.#open(sink)
      if (device.linked) device.run(signal)
      else this.#setState(notLinked(device.ended))
    } catch (error) {
      // Whatever is wrong with this channel, the host and its other channels work on.
      this.#parts.ports.log.error(`WhatsApp: ${errorText(error)}`)
      this.#setState({ state: 'conflict', why: errorText(error) })
    }
  }

  /** To be called after the signal of `start` aborted; resolves when everything is closed. */
  async stop(): Promise<void> {
    const device = await this.#device?.catch(() => undefined)
    this.#device = undefined
    await device?.close()
  }

  async send(jid: string, message: Outbound, options: SendOptions): Promise<Receipt> {
    return (await this.#opened()).sending.send(jid, message, options)
  }

  async edit(change: { jid: string; id: string; text: string }, options: SendOptions): Promise<void> {
    return (await this.#opened()).sending.edit(change, options)
  }

  async react(target: Target, emoji: string, options: SendOptions): Promise<void> {
    return (await this.#opened()).sending.react(target, emoji, options)
  }

  owns(jid: string): boolean {
    return /@(s\.whatsapp\.net|lid|g\.us)$/.test(jid)
  }

  setTyping(jid: string, on: boolean): void {
    this.#device?.then((device) => device.setTyping(jid, on)).catch(() => {})
  }

  async syncGroups(signal: AbortSignal): Promise<void> {
    await (await this.#device)?.syncGroups(signal)
  }

  /** Links an account, or tells that one is. Resolves after `tell` got `online` or `failed`. */
  async login({ phone, tell, signal }: LoginRequest): Promise<void> {
    const { sink, life } = this.#started()
    const device = await this.#open(sink)
    if (device.linked && this.#state.state === 'online') return tell({ type: 'online', account: device.account ?? '' })
    let told = false
    const tellAndNote = (event: LoginEvent) => {
      told ||= event.type === 'online' || event.type === 'failed'
      tell(event)
    }
    // Who asked may go once it is linked: from then on, only the end of the channel ends the connection.
    const gone = new AbortController()
    const cancel = () => gone.abort()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      await device.pair({ phone, tell: tellAndNote }, AbortSignal.any([life, gone.signal]))
      // Too late to give it up: the phone has confirmed it.
      if (gone.signal.aborted && device.linked) device.run(life)
    } finally {
      signal.removeEventListener('abort', cancel)
    }
    if (!told) tell({ type: 'failed', why: 'why' in this.#state ? this.#state.why : 'the connection ended' })
  }

  async logout(): Promise<void> {
    const { sink } = this.#started()
    await (await this.#open(sink)).logout()
    this.#setState({ state: 'needs-pairing' })
  }

  #started(): { sink: Sink; life: AbortSignal } {
    if (!this.#sink || !this.#signal) throw notStarted()
    return { sink: this.#sink, life: this.#signal }
  }

  #opened(): Promise<Device> {
    return this.#device ?? Promise.reject(notStarted())
  }

  #open(sink: Sink): Promise<Device> {
    this.#device ??= this.#load(sink).catch((error) => {
      this.#device = undefined
      throw error
    })
    return this.#device
  }

  async #load(sink: Sink): Promise<Device> {
    const { settings, ports } = this.#parts
    const { Device } = await import('./device.ts').catch((cause) => Promise.reject(notInstalled(cause)))
    return Device.open({ settings, ports, sink, onState: (state) => this.#setState(state) })
  }

  #setState(state: ChannelState): void {
    this.#state = state
    this.#parts.onState?.(state)
    this.#sink?.stateChanged()
  }
}

function notLinked(why: string | undefined): ChannelState {
  return why === undefined ? { state: 'needs-pairing' } : { state: 'logged-out', why }
}

function notStarted(): AppError {
  return new AppError({
    code: 'whatsapp.not-linked',
    fault: 'user',
    message: 'WhatsApp is not linked: ./nanoclaw channels login whatsapp',
  })
}

function notInstalled(cause: unknown): AppError {
  const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
  const message = isMissing
    ? 'The library for WhatsApp is not installed. This installs it: ./nanoclaw channels login whatsapp'
    : `The library for WhatsApp cannot be loaded: ${errorText(cause)}`
  return new AppError({ code: 'whatsapp.not-installed', fault: 'user', message, cause })
}
