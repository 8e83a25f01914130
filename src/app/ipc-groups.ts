import type { IpcRequest, IpcResult } from '@nanoclaw/protocol'
import { may, type Who } from '../domain/authority.ts'
import type { Store } from '../store/store.ts'
import type { GroupChange } from './group-change.ts'
import type { GroupRegistry } from './groups.ts'
import { done, type RequestOf, refused } from './ipc-deeds.ts'

export type GroupDeedPorts = { store: Store; registry: Pick<GroupRegistry, 'register' | 'set'> }
export type GroupRequest = Extract<IpcRequest, { type: 'list_groups' | 'register_group' | 'update_group' }>

/** Chats that were seen but are in no group; the newest so many are told. */
const MAX_AVAILABLE = 200

/** What becomes of a request that is about groups. */
export function groupDeed(ports: GroupDeedPorts, { who, request }: { who: Who; request: GroupRequest }): IpcResult {
  switch (request.type) {
    case 'list_groups':
      return list(ports.store, who)
    case 'register_group':
      return register(ports, { who, request })
    case 'update_group':
      return update(ports, { who, request })
  }
}

function list(store: Store, who: Who): IpcResult {
  const visible = store.groups.all().filter(({ folder }) => may(who, 'see-group', folder))
  const groups = visible.map(({ folder, name, isMain }) => ({
    folder,
    name,
    isMain,
    chats: store.groups.chatsOf(folder).map(({ jid, trigger, requiresTrigger }) => ({ jid, trigger, requiresTrigger })),
  }))
  return done(`${groups.length} groups.`, { groups, ...(who.isMain ? { available: available(store) } : {}) })
}

function available(store: Store): object[] {
  const taken = new Set(store.groups.chats().map(({ jid }) => jid))
  const free = store.chats.all().filter(({ jid }) => !taken.has(jid))
  const newest = free.sort((a, b) => (b.lastMessageAt ?? 0) - (a.lastMessageAt ?? 0)).slice(0, MAX_AVAILABLE)
  return newest.map(({ jid, name }) => ({ jid, name: name ?? jid }))
}

/** A chat never joins a group by a message: it would hear what that group knows, and with main's folder be main. */
function register(
  { store, registry }: GroupDeedPorts,
  { who, request }: { who: Who; request: RequestOf<'register_group'> },
): IpcResult {
  const { type: _, ...wish } = request
  if (!may(who, 'register-group', undefined)) return refused('Only the main group registers groups.')
  if (!may(who, 'register-group', store.groups.find(wish.folder)?.folder)) return refused(takenText(wish))
  return resultOf(registry.register(wish))
}

function takenText({ jid, folder }: { jid: string; folder: string }): string {
  return `The folder "${folder}" belongs to a group already. Choose another one; only the owner lets a chat share it, with "./nanoclaw groups register ${jid} --folder ${folder}".`
}

function update(
  { store, registry }: GroupDeedPorts,
  { who, request }: { who: Who; request: RequestOf<'update_group'> },
): IpcResult {
  const { type: _, target, name, trigger, requiresTrigger, ...settings } = request
  const folder = store.groups.chat(target)?.folder ?? store.groups.find(target)?.folder
  if (!who.isMain) return refused('Only the main group changes groups.')
  if (!may(who, 'update-group', folder)) return refused(`There is no group "${target}". list_groups shows them.`)
  const config = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
  const hasConfig = Object.keys(config).length > 0
  return resultOf(registry.set({ target, name, trigger, requiresTrigger, ...(hasConfig ? { config } : {}) }))
}

function resultOf(change: GroupChange): IpcResult {
  if (change.type === 'refused') return refused(change.why)
  return done([change.text, ...change.notes].join(' '))
}
