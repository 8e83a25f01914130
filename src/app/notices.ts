import { randomUUID } from 'node:crypto'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'

export type NoticePorts = { store: Store; feed: Feed; assistantName: string; now(): number; deliver(): void }

/** Says something in the chats of main that `reaches` lets through: where the owner is, if one of the ways there is broken. */
export function tellMain(
  { store, feed, assistantName, now, deliver }: NoticePorts,
  text: string,
  reaches: (jid: string) => boolean,
): void {
  const main = store.groups.all().find(({ isMain }) => isMain)
  const chats = main ? store.groups.chatsOf(main.folder).filter(({ jid }) => reaches(jid)) : []
  const said = store.tx(() =>
    chats.map(({ jid }) => {
      const id = randomUUID()
      store.outbox.add({ jid, text, key: id, turnId: null, at: now() })
      return store.messages.addNotice({ jid, id, sender: '', senderName: assistantName, text, sentAt: now(), fromMe: false })
    }),
  )
  for (const message of said) feed.publish(message.jid, { type: 'message', message })
  deliver()
}
