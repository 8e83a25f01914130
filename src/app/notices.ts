import type { Instant } from '../domain/clock.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'

export type Notice = { jid: string; text: string; key: string; turnId: TurnId | null; at: Instant }

/**
 * Says something in a chat in the host's own name: people read it, agents do not. The same key again says nothing. Belongs
 * in the transaction with what it is about.
 */
export function postNotice(store: Store, notice: Notice): void {
  const { jid, text, key, at } = notice
  store.outbox.add({ ...notice, byHost: true })
  store.chats.see({ jid })
  store.messages.addNotice({ jid, id: key, sender: 'host', senderName: 'NanoClaw', text, sentAt: at, fromMe: true })
}
