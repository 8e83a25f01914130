import type { HostStatus } from '@nanoclaw/protocol'
import type { Channel } from '../channels/contract.ts'
import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'
import type { GroupQueue } from './group-queue.ts'
import { migrationNotes } from './migration-notes.ts'

type Trouble = HostStatus['troubles'][number]

type StatusParts = {
  store: Store
  queue: Pick<GroupQueue, 'stateOf' | 'containers'>
  channels: readonly Channel[]
  since: ChannelTimes
  now(): Instant
  root: string
  version: string
  ready: boolean
}

/** What is over for longer than this is not shown any more. */
const SHOWN_FOR_MS = 7 * 24 * 60 * 60_000
const MOST_OF_A_KIND = 20

/** Since when each channel is in its state, as far as somebody looked. */
export class ChannelTimes {
  readonly #known = new Map<string, { state: string; since: Instant }>()

  /** To be called when a state may have changed. */
  look(channels: readonly Channel[], now: Instant): void {
    for (const { name, state } of channels)
      if (this.#known.get(name)?.state !== state.state) this.#known.set(name, { state: state.state, since: now })
  }

  of({ name }: Channel): Instant {
    return this.#known.get(name)?.since ?? 0
  }
}

/** The state of the whole host, as `status` shows it. */
export function hostStatus(parts: StatusParts): HostStatus {
  const { store, queue, channels, since, now, root, version, ready } = parts
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
    troubles: [...channelTroubles(channels, since), ...troublesSince(store, from)],
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

function channelTroubles(channels: readonly Channel[], since: ChannelTimes): Trouble[] {
  return channels.flatMap((channel) => {
    const { name, state } = channel
    if (state.state === 'online') return []
    const why = 'why' in state ? `${state.state}: ${state.why}` : state.state
    return [{ kind: 'channel' as const, where: name, since: since.of(channel), why }]
  })
}

function troublesSince(store: Store, from: Instant): Trouble[] {
  const turns = store.turns.failuresSince(from, MOST_OF_A_KIND)
  const sends = store.outbox.troublesSince(from, MOST_OF_A_KIND)
  // That a person paused a task is no trouble.
  const paused = store.tasks.all().filter((task) => task.status === 'paused' && task.reason !== null)
  const notes = migrationNotes(store).filter(({ at }) => at >= from)
  return [
    ...turns.map(({ jid, at, why }) => ({ kind: 'turn' as const, where: jid, since: at, why })),
    ...sends.map(({ jid, at, state, error }) => ({
      kind: 'send' as const,
      where: jid,
      since: at,
      why: sendTrouble(state, error),
    })),
    ...paused.slice(0, MOST_OF_A_KIND).map(({ id, lastRun, createdAt, reason }) => ({
      kind: 'task' as const,
      where: id,
      since: lastRun ?? createdAt,
      why: reason ?? '',
    })),
    ...notes.slice(-MOST_OF_A_KIND).map(({ at, text }) => ({ kind: 'migration' as const, where: '', since: at, why: text })),
  ]
}

function sendTrouble(state: 'failed' | 'uncertain', error: string): string {
  return state === 'failed' ? `was not delivered: ${error}` : `may have arrived twice, or not: ${error}`
}
