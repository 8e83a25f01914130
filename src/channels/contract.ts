import type { IncomingMessage } from '../domain/message.ts'

/** How sure we can be that a send happens once: a key the platform honours, a look back, or neither. */
export type DeliveryGuarantee = 'keyed' | 'readback' | 'uncertain'

export type ChannelState =
  | { state: 'connecting' }
  | { state: 'online' }
  | { state: 'needs-pairing' }
  | { state: 'conflict'; why: string }
  | { state: 'logged-out'; why: string }
  | { state: 'retrying'; at: number; why: string }

/** What a channel hands to the host. `message` resolves when the message is stored; only then the platform is told. */
export interface Sink {
  message(message: IncomingMessage): Promise<void>
}

export type Outbound = { text: string }
/** The platform's id of what was sent, where it gives one. */
export type Receipt = { platformId: string | null }

/** One way in and out. It never exits the process, and never holds another channel up. */
export interface Channel {
  readonly name: string
  readonly delivery: DeliveryGuarantee
  readonly state: ChannelState
  /** Resolves when it is set up (not necessarily online); goes on until `signal` aborts. */
  start(sink: Sink, signal: AbortSignal): Promise<void>
  /** Rejects with an `AppError`; with fault `user` it will never succeed, anything else is tried again. */
  send(jid: string, message: Outbound, options: { idempotencyKey: string; signal: AbortSignal }): Promise<Receipt>
  owns(jid: string): boolean
}
