import type { Sink } from '../channels/contract.ts'
import { AppError } from '../domain/errors.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { IncomingMessage, Message } from '../domain/message.ts'
import { everybody, type SenderJudge, type Standing } from '../domain/senders.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'
import { isLeaving } from './leaving.ts'

export type InboxPorts = {
  store: Store
  feed: Feed
  wake(folder: string): void
  /** Something may be delivered that could not be before. */
  deliver(): void
  /** Takes a message that is a command, in its transaction; returns what is to be done after that. */
  takeCommand(said: { message: Message; chat: RegisteredChat; standing: Standing }): (() => void) | undefined
  /** What the words of a sender are worth; of everybody's the same where nobody decided. */
  judge?: SenderJudge
  /** Words of somebody who is not heard were not kept. */
  onDropped?(message: IncomingMessage, folder: string): void
}

/** More than this in one message is refused: no person writes it, and no model reads it. */
const MAX_CHARACTERS = 1_000_000

/** Takes messages in. When it returns, the message is stored; a redelivered one changes nothing. */
export class Inbox implements Sink {
  readonly #ports: InboxPorts

  constructor(ports: InboxPorts) {
    this.#ports = ports
  }

  async message(message: IncomingMessage): Promise<void> {
    this.receive(message)
  }

  async edited(_change: { jid: string; id: string; text: string }): Promise<void> {}

  async deleted(_message: { jid: string; id: string }): Promise<void> {}

  async chat({ jid, name, isGroup }: { jid: string; name?: string; isGroup: boolean }): Promise<void> {
    this.#ports.store.chats.see({ jid, isGroup, ...(name === undefined ? {} : { name }) })
  }

  stateChanged(): void {
    this.#ports.deliver()
  }

  /** The order number of a message of a registered chat; undefined for others, and for senders who are dropped: of those only the metadata is kept. */
  receive(message: IncomingMessage): number | undefined {
    const { store, feed, wake } = this.#ports
    const stored = store.tx(() => this.#store(message))
    if (!stored) return undefined
    const { chat, isNew, command, ...said } = stored
    if (isNew) feed.publish(message.jid, { type: 'message', message: said.message })
    if (command) command()
    else wake(chat.folder)
    return said.message.seq
  }

  #store(incoming: IncomingMessage) {
    const { store, takeCommand, judge = everybody, onDropped } = this.#ports
    store.chats.see({ jid: incoming.jid, at: incoming.sentAt })
    const chat = store.groups.chat(incoming.jid)
    if (!chat || isLeaving(store, chat.jid)) return undefined
    const standing = judge(incoming, { isMain: store.groups.find(chat.folder)?.isMain ?? false })
    if (standing.type === 'dropped') return onDropped?.(incoming, chat.folder)
    if (incoming.text.length > MAX_CHARACTERS) throw tooLong(incoming.text.length)
    const { seq, isNew } = store.messages.add(incoming)
    const message = { ...incoming, seq, fromAssistant: false }
    return {
      chat,
      isNew,
      message,
      command: isNew && standing.type === 'heard' ? takeCommand({ message, chat, standing }) : undefined,
    }
  }
}

function tooLong(length: number): AppError {
  const text = `The message has ${length} characters; at most ${MAX_CHARACTERS} are taken. Put it into a file of the group's folder instead.`
  return new AppError({ code: 'message.too-long', fault: 'user', message: text })
}
