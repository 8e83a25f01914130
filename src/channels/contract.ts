import type { LoginEvent } from '@nanoclaw/protocol'
import type { DeliveryGuarantee } from '../domain/delivery.ts'
import { AppError } from '../domain/errors.ts'
import type { IncomingMessage } from '../domain/message.ts'

export type ChannelState =
  | { state: 'connecting' }
  | { state: 'online' }
  | { state: 'needs-pairing' }
  | { state: 'conflict'; why: string }
  | { state: 'logged-out'; why: string }
  | { state: 'retrying'; at: number; why: string }

export type Capabilities = {
  /** Counts only because the contract suite has seen it. */
  delivery: DeliveryGuarantee
  /** The longest text of one message, in UTF-16 code units; a longer one is split before it is sent. */
  maxText: number
}

/** What a channel hands to the host. Each resolves when it is stored; only then the platform is told. */
export interface Sink {
  message(message: IncomingMessage): Promise<void>
  /** `sender` changed a message, which counts if it is theirs. What is answered already stays as it was. */
  edited(change: { jid: string; id: string; sender: string; text: string }): Promise<void>
  /** `sender` took a message back: their own or, as an admin of the chat, anybody's. */
  deleted(message: { jid: string; id: string; sender: string; asAdmin?: boolean }): Promise<void>
  /** A chat was seen or renamed; nothing of what is said in it. */
  chat(chat: { jid: string; name?: string; isGroup: boolean }): Promise<void>
  /** The channel's state is another one: what waits for it may go now. */
  stateChanged(): void
}

/** A file on this host that is sent with the text as its caption. */
export type OutboundFile = { path: string; name: string; mimeType: string }
export type Outbound = { text: string; file?: OutboundFile | undefined }
/** The platform's id of what was sent, where it gives one. */
export type Receipt = { platformId: string | null }
export type SendOptions = { idempotencyKey: string; signal: AbortSignal }
/** A message that somebody else or (`fromMe`) the account wrote. */
export type Target = { jid: string; id: string; sender: string; fromMe: boolean }
/** How a person links an account: they are told what to do, and at last `online` or `failed`. */
export type LoginRequest = { phone?: string | undefined; tell(event: LoginEvent): void; signal: AbortSignal }

/** The platform does not have the message, for certain: sending it again cannot double anything. */
export class NotSent extends AppError {
  constructor({
    code,
    message,
    retryAt,
    cause,
  }: { code: string; message: string; retryAt?: number | undefined; cause?: unknown }) {
    super({ code, fault: 'platform', message, retryAt, cause })
  }
}

/** One way in and out. It never exits the process, and never holds another channel up. */
export interface Channel {
  readonly name: string
  readonly capabilities: Capabilities
  readonly state: ChannelState
  /** False where nobody has linked an account: the channel is there to be linked, and of no concern to anybody else. */
  readonly inUse?: boolean
  /** Resolves when it is set up (not necessarily online); goes on until `signal` aborts. */
  start(sink: Sink, signal: AbortSignal): Promise<void>
  /**
   * Rejects with an `AppError`; with fault `user` it will never succeed, anything else is tried again, not before its
   * `retryAt`. Only `NotSent` says that nothing arrived; after anything else it may have. The same key means the same
   * message: what was sent under it must not be sent twice where `delivery` is `keyed`.
   */
  send(jid: string, message: Outbound, options: SendOptions): Promise<Receipt>
  /** With `readback`: the message that was sent under this key, if the platform has it. */
  findSent?(jid: string, sent: { idempotencyKey: string; text: string }, signal: AbortSignal): Promise<Receipt | undefined>
  owns(jid: string): boolean
  /** Replaces the text of a message that was sent. */
  edit?(change: { jid: string; id: string; text: string }, options: SendOptions): Promise<void>
  /** Puts an emoji on a message; an empty one takes it away. */
  react?(target: Target, emoji: string, options: SendOptions): Promise<void>
  /** A sign of life; best effort. */
  setTyping?(jid: string, on: boolean): void
  /** Asks the platform for the names of all chats and hands them to `Sink.chat`. */
  syncGroups?(signal: AbortSignal): Promise<void>
  /** Where an account is linked by a person. Only a started channel can do this. */
  login?(request: LoginRequest): Promise<void>
  /** Ends the link and forgets it. */
  logout?(): Promise<void>
  /** After `signal` aborted: resolves when everything is closed. */
  stop?(): Promise<void>
}
