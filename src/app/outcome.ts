import type { OutcomeEvent } from '@nanoclaw/protocol'
import type { Store } from '../store/store.ts'
import type { Feed, FeedEvent } from './feed.ts'

/**
 * What becomes of one message: activity while it is worked on, then the answer of the turn that took it, or why there
 * is none. Ends after that, or when `signal` aborts; the turn itself is not touched by that.
 */
export async function* outcomeOf({
  store,
  feed,
  jid,
  seq,
  signal,
}: {
  store: Store
  feed: Feed
  jid: string
  seq: number
  signal: AbortSignal
}): AsyncGenerator<OutcomeEvent> {
  // Watched before the store is asked, so that nothing can happen unseen in between.
  const done = new AbortController()
  const events = feed.watch(jid, AbortSignal.any([signal, done.signal]))
  try {
    const known = settled({ store, jid, seq })
    if (known) return yield known
    for await (const event of events) {
      if (event.type === 'activity') yield event
      if (event.type !== 'missed' && (event.type !== 'turn' || event.throughSeq < seq)) continue
      const outcome = event.type === 'missed' ? settled({ store, jid, seq }) : afterTurnEvent({ event, store, jid, seq })
      if (outcome) yield outcome
      if (outcome && outcome.type !== 'waiting') return
    }
  } finally {
    done.abort()
  }
}

function afterTurnEvent({
  event,
  store,
  jid,
  seq,
}: {
  event: Extract<FeedEvent, { type: 'turn' }>
  store: Store
  jid: string
  seq: number
}): OutcomeEvent | undefined {
  if (event.state === 'waiting') return { type: 'waiting', detail: event.detail ?? 'waiting' }
  if (event.state === 'failed') return { type: 'failed', message: event.detail ?? 'The turn failed.' }
  return settled({ store, jid, seq })
}

/** The outcome as the store knows it, if the message is settled already. */
function settled({ store, jid, seq }: { store: Store; jid: string; seq: number }): OutcomeEvent | undefined {
  const id = store.messages.turnOf(seq)
  const found = id === undefined ? undefined : store.turns.find(id)
  switch (found?.turn.state) {
    case 'done':
      return { type: 'answer', text: store.messages.answersOf(found.turn.id).join('\n\n') || null }
    case 'stopped':
      return { type: 'failed', message: ['The turn was stopped.', ...store.messages.answersOf(found.turn.id)].join('\n\n') }
    case 'failed':
      return { type: 'failed', message: found.error ?? 'The turn failed.' }
    case 'pending':
      return found.turn.waitsFor
        ? { type: 'failed', message: found.error ?? 'It waits for something to be put right.' }
        : undefined
    case 'running':
      return undefined
    default:
      return store.chats.cursors(jid).parkedSeq >= seq
        ? { type: 'failed', message: store.turns.lastFailure(jid) ?? 'It waits for something to be put right.' }
        : undefined
  }
}
