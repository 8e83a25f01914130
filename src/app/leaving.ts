import { z } from 'zod'
import type { Store } from '../store/store.ts'

/** Chats that are to be removed when what they asked is answered. They survive a restart, and take no new messages. */
const FACT = 'leaving_chats'
const jids = z.array(z.string())

export function leavingChats(store: Store): string[] {
  return jids.parse(JSON.parse(store.facts.get(FACT) ?? '[]'))
}

export function isLeaving(store: Store, jid: string): boolean {
  return leavingChats(store).includes(jid)
}

/** Belongs in a transaction. */
export function noteLeaving(store: Store, jid: string): void {
  store.facts.set(FACT, JSON.stringify([...new Set(leavingChats(store)).add(jid)]))
}

/** Belongs in a transaction. */
export function noteLeft(store: Store, jid: string): void {
  const left = leavingChats(store)
  if (left.includes(jid)) store.facts.set(FACT, JSON.stringify(left.filter((other) => other !== jid)))
}
