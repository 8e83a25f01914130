import type { HostStatus } from '@nanoclaw/protocol'
import type { Channel } from '../channels/contract.ts'
import type { Instant } from '../domain/clock.ts'
import type { SendTrouble } from '../store/outbox.ts'
import type { Store } from '../store/store.ts'
import type { TaskTrouble } from '../store/tasks.ts'
import type { TurnTrouble } from '../store/turns.ts'
import { migrationNotes } from './migration-notes.ts'

/** Something that needs somebody: where it is, since when, and why. */
export type Trouble = HostStatus['troubles'][number]

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

/** Every channel that is not online. */
export function channelTroubles(channels: readonly Channel[], since: ChannelTimes): Trouble[] {
  return channels.flatMap((channel) => {
    const { name, state } = channel
    if (state.state === 'online') return []
    const why = 'why' in state ? `${state.state}: ${state.why}` : state.state
    return [{ kind: 'channel' as const, where: name, folder: null, since: since.of(channel), why }]
  })
}

/** What is on record: everything that goes on, and of what is over, what ended after `since`. */
export function storedTroubles(store: Store, since: Instant): Trouble[] {
  const window = { since, limit: MOST_OF_A_KIND }
  const notes = migrationNotes(store).filter(({ at }) => at >= since)
  return [
    ...store.turns.troubles(window).map(turnTrouble),
    ...store.outbox.troubles(window).map((send) => sendTrouble(send, store.groups.chat(send.jid)?.folder)),
    ...store.tasks.troubles(window).map(taskTrouble),
    ...notes
      .slice(-MOST_OF_A_KIND)
      .map(({ at, text }) => ({ kind: 'migration' as const, where: '', folder: null, since: at, why: text })),
  ]
}

function turnTrouble({ jid, folder, state, waitsFor, at, why }: TurnTrouble): Trouble {
  const waits = waitsFor === null ? 'is tried again' : 'waits for somebody to put it right'
  return { kind: 'turn', where: jid, folder, since: at, why: state === 'failed' ? why : `${waits}: ${why}` }
}

function sendTrouble({ jid, state, at, why }: SendTrouble, folder: string | undefined): Trouble {
  const what = { failed: 'was not delivered', uncertain: 'may have arrived twice, or not', pending: 'is tried again' }
  return { kind: 'send', where: jid, folder: folder ?? null, since: at, why: `${what[state]}: ${why}` }
}

function taskTrouble({ id, folder, at, why }: TaskTrouble): Trouble {
  return { kind: 'task', where: id, folder, since: at, why }
}
