import type { ChatEvent, ChatMessage, HostStatus } from '@nanoclaw/protocol'
import { errorText } from '../../domain/errors.ts'
import { type ControlClient, isUnreachable } from '../control-client.ts'
import { backOff } from './back-off.ts'
import {
  connected,
  emptyRoom,
  type GroupState,
  type Heard,
  heard,
  heardMessage,
  lost,
  nextOutgoing,
  type Room,
  refused,
  type Shown,
  settled,
  stopAsked,
  stored,
  trying,
  written,
} from './room.ts'

const HISTORY_AT_START = 20
const HISTORY_AFTER_LOSS = 200

export type ChatClient = Pick<ControlClient, 'watch' | 'history' | 'status' | 'send' | 'stop' | 'outcome'>

export type LinkListener = {
  /** The room is another one; `shown` is to be shown for good. */
  changed(shown: readonly Shown[]): void
  /** Something went wrong that waiting does not cure. */
  failed(error: unknown): void
}

/** A chat over a connection that may break: what is heard and what is said survive that, each message once. */
export class ChatLink {
  readonly #client: ChatClient
  readonly #jid: string
  readonly #listener: LinkListener
  #room: Room = emptyRoom
  #connection = new AbortController()
  #delivery: Promise<void> | undefined

  constructor({ client, jid, listener }: { client: ChatClient; jid: string; listener: LinkListener }) {
    this.#client = client
    this.#jid = jid
    this.#listener = listener
  }

  get room(): Room {
    return this.#room
  }

  /** Hears what was said last. Rejects when the host is not there. Whatever happens from then on is among the events. */
  async connect(signal: AbortSignal): Promise<AsyncGenerator<ChatEvent>> {
    this.#connection = new AbortController()
    const limit = this.#room.lastSeq === 0 ? HISTORY_AT_START : HISTORY_AFTER_LOSS
    try {
      const events = await this.#client.watch(this.#jid, AbortSignal.any([signal, this.#connection.signal]))
      const [messages, status] = await Promise.all([this.#client.history(this.#jid, limit), this.#client.status()])
      this.#caughtUp(messages, groupState(status, this.#jid))
      return events
    } catch (error) {
      this.#connection.abort()
      throw error
    }
  }

  /** Follows the events, and connects again whenever the connection breaks, until `signal` aborts. */
  async stay(events: AsyncGenerator<ChatEvent>, signal: AbortSignal): Promise<void> {
    for (let current: AsyncGenerator<ChatEvent> | undefined = events; current; current = await this.#reconnect(signal)) {
      await this.#follow(current)
      this.#set(lost(this.#room))
    }
  }

  /** Takes a message to send, now or as soon as the host can be reached. */
  say(text: string): void {
    this.#set(written(this.#room, text))
    this.#deliver()
  }

  /** Resolves when nothing is being sent right now. */
  async delivered(): Promise<void> {
    await this.#delivery
  }

  /** Interrupts the running turn; false when there is none. */
  async stop(): Promise<boolean> {
    if (!this.#room.online || this.#room.work.state === 'none') return false
    this.#set(stopAsked(this.#room, true))
    try {
      const stopped = await this.#client.stop(this.#jid)
      if (!stopped) this.#set(stopAsked(this.#room, false))
      return stopped
    } catch (error) {
      this.#set(stopAsked(this.#room, false))
      this.#broken(error)
      return true
    }
  }

  #set(room: Room, shown: readonly Shown[] = []): void {
    this.#room = room
    this.#listener.changed(shown)
  }

  #take({ room, shown }: Heard): void {
    this.#set(room, shown)
  }

  #caughtUp(messages: readonly ChatMessage[], group: GroupState): void {
    for (const message of messages) this.#take(heardMessage(this.#room, message))
    this.#set(connected(this.#room, group, Date.now()))
    this.#deliver()
    if (group !== 'running' && this.#room.unsettled !== undefined) this.#own(this.#settle(this.#room.unsettled))
  }

  async #follow(events: AsyncGenerator<ChatEvent>): Promise<void> {
    try {
      for await (const event of events) this.#take(heard(this.#room, event, Date.now()))
    } catch (error) {
      if (!isUnreachable(error)) throw error
    }
  }

  async #reconnect(signal: AbortSignal): Promise<AsyncGenerator<ChatEvent> | undefined> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      await backOff(attempt, signal)
      try {
        if (!signal.aborted) return await this.connect(signal)
      } catch (error) {
        if (!isUnreachable(error)) throw error
      }
    }
    return undefined
  }

  /** A turn may have failed while nobody listened; only its outcome tells. */
  async #settle(seq: number): Promise<void> {
    try {
      for await (const event of this.#client.outcome(this.#jid, seq, this.#connection.signal))
        this.#take(settled(this.#room, seq, event))
    } catch (error) {
      this.#broken(error)
    }
  }

  #deliver(): void {
    this.#delivery ??= this.#sendAll().finally(() => {
      this.#delivery = undefined
    })
    this.#own(this.#delivery)
  }

  async #sendAll(): Promise<void> {
    for (let text = nextOutgoing(this.#room); text !== undefined && this.#room.online; text = nextOutgoing(this.#room))
      await this.#send(text)
  }

  async #send(text: string): Promise<void> {
    this.#set(trying(this.#room))
    try {
      const { seq } = await this.#client.send(this.#jid, text)
      this.#set(stored(this.#room, { text, seq }))
    } catch (error) {
      if (!isUnreachable(error)) this.#set(refused(this.#room))
      this.#broken(error)
    }
  }

  /** A lost connection is made anew; anything else is said. */
  #broken(error: unknown): void {
    if (!isUnreachable(error)) return this.#set(this.#room, [{ type: 'notice', tone: 'error', text: errorText(error) }])
    this.#set(lost(this.#room))
    this.#connection.abort()
  }

  #own(work: Promise<void>): void {
    work.catch((error) => this.#listener.failed(error))
  }
}

/** What the group of a chat does; unknown where several chats share the group, since it may be about another one. */
function groupState({ groups }: HostStatus, jid: string): GroupState {
  const group = groups.find(({ chats }) => chats.includes(jid))
  return group && (group.chats.length === 1 || group.state === 'idle') ? group.state : undefined
}
