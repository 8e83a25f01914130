import { AppError } from '../domain/errors.ts'
import type { IncomingMessage } from '../domain/message.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'

export type InboxPorts = { store: Store; feed: Feed; wake(folder: string): void }

/** More than this in one message is refused: no person writes it, and no model reads it. */
const MAX_CHARACTERS = 1_000_000

/** Takes messages in. When it returns, the message is stored; a redelivered one changes nothing. */
export class Inbox {
  readonly #ports: InboxPorts

  constructor(ports: InboxPorts) {
    this.#ports = ports
  }

  /** The order number of a message of a registered chat; undefined for others, of which only the metadata is kept. */
  receive(message: IncomingMessage): number | undefined {
    if (message.text.length > MAX_CHARACTERS) {
      const text = `The message has ${message.text.length} characters; at most ${MAX_CHARACTERS} are taken. Put it into a file of the group's folder instead.`
      throw new AppError({ code: 'message.too-long', fault: 'user', message: text })
    }
    const { store, feed, wake } = this.#ports
    const stored = store.tx(() => {
      store.chats.see({ jid: message.jid, at: message.sentAt })
      const chat = store.groups.chat(message.jid)
      return chat && { chat, ...store.messages.add(message) }
    })
    if (!stored) return undefined
    if (stored.isNew)
      feed.publish(message.jid, { type: 'message', message: { ...message, seq: stored.seq, fromAssistant: false } })
    wake(stored.chat.folder)
    return stored.seq
  }
}
