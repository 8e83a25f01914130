import { randomUUID } from 'node:crypto'
import type { Instant } from '../domain/clock.ts'
import type { Message } from '../domain/message.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'

export type Notice = { jid: string; text: string; key: string; turnId: TurnId | null; at: Instant }
export type NoticePorts = { store: Store; feed: Feed; now(): Instant; deliver(): void }

/**
 * Says something in a chat in the host's own name: people read it, agents do not. The same key again says nothing. Belongs
 * in the transaction with what it is about.
 */
export function postNotice(store: Store, notice: Notice): Message {
  const { jid, text, key, at } = notice
  store.outbox.add({ ...notice, byHost: true })
  store.chats.see({ jid })
  return store.messages.addNotice({ jid, id: key, sender: 'host', senderName: 'NanoClaw', text, sentAt: at, fromMe: true })
}

/** Says something in the chats of main that `reaches` lets through: where the owner is, if one of the ways there is broken. */
export function tellMain({ store, feed, now, deliver }: NoticePorts, text: string, reaches: (jid: string) => boolean): void {
  const main = store.groups.all().find(({ isMain }) => isMain)
  const chats = main ? store.groups.chatsOf(main.folder).filter(({ jid }) => reaches(jid)) : []
  const said = store.tx(() =>
    chats.map(({ jid }) => postNotice(store, { jid, text, key: randomUUID(), turnId: null, at: now() })),
  )
  for (const message of said) feed.publish(message.jid, { type: 'message', message })
  deliver()
}
