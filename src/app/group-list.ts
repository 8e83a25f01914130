import type { GroupDetail } from '@nanoclaw/protocol'
import type { Store } from '../store/store.ts'
import { leavingChats } from './leaving.ts'

/** Every group with its chats and what calls it there; main first. */
export function groupList(store: Store, { assistantName }: { assistantName: string }): GroupDetail[] {
  const leaving = leavingChats(store)
  return store.groups.all().map((group) => ({
    ...group,
    sessionId: store.sessions.get(group.folder) ?? null,
    chats: store.groups.chatsOf(group.folder).map(({ jid, trigger, requiresTrigger }) => ({
      jid,
      trigger: trigger ?? `@${assistantName}`,
      requiresTrigger: requiresTrigger && !group.isMain,
      leaving: leaving.includes(jid),
    })),
  }))
}
