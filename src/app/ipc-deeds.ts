import type { IpcRequest, IpcResult } from '@nanoclaw/protocol'
import { may, type Who } from '../domain/authority.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { Store } from '../store/store.ts'

/** A request whose sender is known. */
export type Asked<R extends IpcRequest = IpcRequest> = {
  who: Who
  request: R
  /** The chat whose turn the agent works on. */
  chatJid: string | undefined
  /** The answer, when it is not known at once. */
  reply(result: IpcResult): void
}

/** What became of a request; `after` is what follows when that is committed. Without a result, the reply comes later. */
export type Deed = { result?: IpcResult; after?: () => void }

export type RequestOf<T extends IpcRequest['type']> = Extract<IpcRequest, { type: T }>

export function done(text: string, data: Record<string, unknown> = {}): IpcResult {
  return { ...data, status: 'done', text }
}

export function refused(text: string): IpcResult {
  return { status: 'refused', text }
}

const LONGEST_SHOWN = 2_000
/** What a model can take in; half of what a line to its container may have. */
const LARGEST_LIST_BYTES = 512 * 1024

/** The beginning of a long text. */
export function excerpt(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)} [...]` : text
}

/** The first of these, as many as an answer can hold. */
export function fitting<T>(items: readonly T[]): T[] {
  let bytes = 0
  const tooMany = items.findIndex((item) => {
    bytes += Buffer.byteLength(JSON.stringify(item))
    return bytes > LARGEST_LIST_BYTES
  })
  return tooMany === -1 ? [...items] : items.slice(0, tooMany)
}

/** The chat that is meant, if the agent may speak there; or why not. */
export function chatFor(
  store: Store,
  { who, chatJid, targetJid }: { who: Who; chatJid: string | undefined; targetJid: string | undefined },
): { type: 'chat'; chat: RegisteredChat } | { type: 'refused'; why: string } {
  const own = store.groups.chatsOf(who.folder)
  const current = own.find(({ jid }) => jid === chatJid) ?? own[0]
  const chat = targetJid === undefined ? current : store.groups.chat(targetJid)
  if (chat && may(who, 'speak', chat.folder)) return { type: 'chat', chat }
  if (targetJid === undefined) return { type: 'refused', why: 'This group has no chat.' }
  const names = (who.isMain ? store.groups.chats() : own).map(({ jid }) => jid)
  return { type: 'refused', why: `${targetJid} is not a chat you may use. You may use: ${names.join(', ')}.` }
}
