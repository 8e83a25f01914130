import type { HostStatus } from '@nanoclaw/protocol'
import type { Channel } from '../channels/contract.ts'
import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'
import type { GroupQueue } from './group-queue.ts'
import { type ChannelTimes, channelTroubles, storedTroubles, type Trouble } from './troubles.ts'

type StatusParts = {
  store: Store
  queue: Pick<GroupQueue, 'stateOf' | 'containers'>
  channels: readonly Channel[]
  since: ChannelTimes
  now(): Instant
  root: string
  version: string
  ready: boolean
  /** What else needs somebody. */
  troubles?: readonly Trouble[]
}

/** What is over for longer than this is not shown any more. */
const SHOWN_FOR_MS = 7 * 24 * 60 * 60_000

/** The state of the whole host, as `status` shows it. */
export function hostStatus(parts: StatusParts): HostStatus {
  const { store, queue, channels, since, now, root, version, ready, troubles = [] } = parts
  since.look(channels, now())
  const from = now() - SHOWN_FOR_MS
  return {
    version,
    ready,
    pid: process.pid,
    root,
    web: { url: null },
    groups: groupStates(store, queue),
    turns: store.turns.counts(from),
    outbox: store.outbox.counts(from),
    containers: queue.containers().map(({ folder, lane, run, working }) => ({
      id: run.id.slice(0, 12),
      name: run.name,
      group: folder,
      lane,
      state: working ? 'working' : 'warm',
      startedAt: run.startedAt,
    })),
    channels: channels.map((channel) => {
      const { name, state } = channel
      return { name, state: state.state, detail: 'why' in state ? state.why : null, since: since.of(channel) }
    }),
    troubles: [...troubles, ...channelTroubles(channels, since), ...storedTroubles(store, from)],
  }
}

function groupStates(store: Store, queue: StatusParts['queue']): HostStatus['groups'] {
  return store.groups.all().map(({ folder, name, isMain }) => ({
    folder,
    name,
    isMain,
    chats: store.groups.chatsOf(folder).map((chat) => chat.jid),
    state: queue.stateOf(folder),
    sessionId: store.sessions.get(folder) ?? null,
  }))
}
