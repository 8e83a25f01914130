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

/** What one turn answers, as far as an agent is shown it: the newest messages, oldest first. Empty when nothing is left of it. */
export type Batch = { messages: Message[]; leftOut: LeftOut | undefined }

/** Older messages of a batch, which are not shown. `hasMore`: they were counted up to `count` and no further. */
export type LeftOut = {
  count: number
  hasMore: boolean
  first: { seq: number; sentAt: Instant }
  last: { seq: number; sentAt: Instant }
}
