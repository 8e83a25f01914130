import type { Sink } from '../channels/contract.ts'
import { AppError } from '../domain/errors.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { IncomingMessage, Message } from '../domain/message.ts'
import type { SenderJudge, Standing } from '../domain/senders.ts'
import type { TurnId } from '../domain/turn.ts'
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
  /** What the words of a sender are worth. */
  judge: SenderJudge
  /** Words of somebody who is not heard were not kept. */
  onDropped(message: IncomingMessage, folder: string): void
}

/** More than this in one message is refused: no person writes it, and no model reads it. */
const MAX_CHARACTERS = 1_000_000

/** Takes messages in. When it returns, the message is stored; a redelivered one changes nothing. */
export class Inbox implements Sink {
  readonly #ports: InboxPorts

  constructor(ports: InboxPorts) {
    this.#ports = ports
  }

  /** What a platform lets through is cut rather than refused: it would only be delivered again. */
  async message(message: IncomingMessage): Promise<void> {
    this.receive({ ...message, text: bounded(message.text) })
  }

  /** Only the text is another: what is a command now was none when it was said. */
  async edited({ text, ...change }: { jid: string; id: string; sender: string; text: string }): Promise<void> {
    const { store, wake } = this.#ports
    const folder = store.tx(() => {
      const seq = store.messages.edit({ ...change, text: bounded(text) })
      const turn = seq === undefined ? undefined : store.messages.turnOf(seq)
      if (turn !== undefined) store.turns.noteChanged(turn)
      return seq === undefined ? undefined : store.groups.chat(change.jid)?.folder
    })
    if (folder !== undefined) store.afterCommit(WAKING, () => wake(folder))
  }

  /**
   * What was answered stays, and so does what is another's. A run that has read it already goes on, but a further try does not
   * ask it again; a turn whose messages are all gone is ended when it is looked at.
   */
  async deleted({ jid, id, sender, asAdmin }: Parameters<Sink['deleted']>[0]): Promise<void> {
    const { store, wake } = this.#ports
    const folder = store.tx(() => {
      const message = store.messages.find({ jid, id })
      if (!message || (message.sender !== sender && !asAdmin) || !this.#isOpen(jid, message)) return undefined
      store.messages.takeBack(message.seq)
      return store.groups.chat(jid)?.folder
    })
    if (folder !== undefined) store.afterCommit(WAKING, () => wake(folder))
  }

  /** Nobody has answered it yet; what a turn is about is another thing from now on. */
  #isOpen(jid: string, { seq, turnId }: { seq: number; turnId: TurnId | null }): boolean {
    const { turns, chats } = this.#ports.store
    return turnId === null ? seq > chats.cursors(jid).answeredSeq : turns.noteChanged(turnId)
  }

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
    // It is stored: were a failure from here on thrown, its sender would send it again.
    if (isNew) feed.publish(message.jid, { type: 'message', message: said.message })
    if (command) store.afterCommit('Carrying out a command', command)
    else store.afterCommit(WAKING, () => wake(chat.folder))
    return said.message.seq
  }

  #store(incoming: IncomingMessage) {
    const { store, takeCommand, judge, onDropped } = this.#ports
    store.chats.see({ jid: incoming.jid, at: incoming.sentAt })
    const chat = store.groups.chat(incoming.jid)
    if (!chat || isLeaving(store, chat.jid)) return undefined
    const standing = judge(incoming, { isMain: store.groups.find(chat.folder)?.isMain ?? false })
    if (standing.type === 'dropped') return onDropped(incoming, chat.folder)
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

const WAKING = 'Waking the group'
const CUT = '\n[cut: it was too long]'

function bounded(text: string): string {
  return text.length > MAX_CHARACTERS ? text.slice(0, MAX_CHARACTERS - CUT.length).toWellFormed() + CUT : text
}

function tooLong(length: number): AppError {
  const text = `The message has ${length} characters; at most ${MAX_CHARACTERS} are taken. Put it into a file of the group's folder instead.`
  return new AppError({ code: 'message.too-long', fault: 'user', message: text })
}
