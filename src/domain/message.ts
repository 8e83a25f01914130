import type { Instant } from './clock.ts'

/** A message as a channel hands it over. `id` is the platform's: the same id again is the same message. */
export type IncomingMessage = {
  jid: string
  id: string
  sender: string
  senderName: string
  text: string
  /** When the platform says it was sent; order never depends on it. */
  sentAt: Instant
  /** Written by the account the assistant uses, i.e. by its owner. */
  fromMe: boolean
}

/** A stored message. `seq` is the order in which they were stored; cursors are made of it. */
export type Message = IncomingMessage & {
  seq: number
  /** An answer of the assistant. */
  fromAssistant: boolean
}
