import type { HostStatus } from '@nanoclaw/protocol'
import type { Channel } from '../channels/contract.ts'
import type { Store } from '../store/store.ts'
import type { GroupQueue } from './group-queue.ts'

/** The state of the whole host, as `status` shows it. */
export function hostStatus({
  store,
  queue,
  channels,
  root,
  version,
  ready,
}: {
  store: Store
  queue: GroupQueue
  channels: readonly Channel[]
  root: string
  version: string
  ready: boolean
}): HostStatus {
  return {
    version,
    ready,
    pid: process.pid,
    root,
    web: { url: null },
    groups: store.groups.all().map(({ folder, name, isMain }) => ({
      folder,
      name,
      isMain,
      chats: store.groups.chatsOf(folder).map((chat) => chat.jid),
      state: queue.stateOf(folder),
      sessionId: store.sessions.get(folder) ?? null,
    })),
    turns: store.turns.counts(),
    outbox: store.outbox.counts(),
    containers: queue.containers().map(({ folder, lane, run, working }) => ({
      id: run.id.slice(0, 12),
      name: run.name,
      group: folder,
      lane,
      state: working ? 'working' : 'warm',
      startedAt: run.startedAt,
    })),
    channels: channels.map(({ name, state }) => ({ name, state: state.state, detail: 'why' in state ? state.why : null })),
  }
}
