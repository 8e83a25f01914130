import type { ActivityFrame } from '@nanoclaw/protocol'
import { attempt } from '../domain/attempt.ts'
import type { Message } from '../domain/message.ts'

/** What happens in a chat, for whoever watches it now. What must not be missed is in the store. */
export type FeedEvent =
  | { type: 'message'; message: Message }
  | { type: 'activity'; kind: ActivityFrame['kind']; detail: string }
  /** `throughSeq`: the newest message that the turn answers. */
  | { type: 'turn'; state: 'waiting' | 'running' | 'done' | 'failed' | 'stopped'; throughSeq: number; detail?: string }

/** Instead of events that a watcher did not take in time. */
export type Missed = { type: 'missed' }

type Listener = (event: FeedEvent) => void

type FeedLog = { error(text: string): void }

/** Passes the events of each chat on to its watchers. */
export class Feed {
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #log: FeedLog

  constructor(log: FeedLog) {
    this.#log = log
  }

  /** Never throws: what is published has been committed, and a watcher that fails must not make it look like a failure. */
  publish(jid: string, event: FeedEvent): void {
    const what = `A watcher of ${jid} could not be told what happened there (${event.type})`
    for (const listener of this.#listeners.get(jid) ?? []) attempt({ what, log: this.#log }, () => listener(event))
  }

  /** Returns the function that ends the subscription. */
  subscribe(jid: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(jid) ?? new Set()
    this.#listeners.set(jid, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(jid)
    }
  }

  /** Somebody watches some chat. */
  get watched(): boolean {
    return this.#listeners.size > 0
  }

  /**
   * The events of a chat from this call on (not from the first read), until `signal` aborts. Whoever reads too slowly gets one
   * `missed` for all that waited.
   */
  watch(jid: string, signal: AbortSignal): AsyncGenerator<FeedEvent | Missed> {
    const events = new Backlog()
    let wake: () => void = () => {}
    const unsubscribe = this.subscribe(jid, (event) => {
      events.push(event)
      wake()
    })
    const end = () => {
      unsubscribe()
      wake()
    }
    signal.addEventListener('abort', end, { once: true })
    async function* drain() {
      try {
        while (!signal.aborted) {
          const event = events.shift()
          if (event) yield event
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        unsubscribe()
      }
    }
    return drain()
  }
}

/** What one watcher has not taken yet: so many events at most, and characters in them. */
const MOST_EVENTS = 1_000
const MOST_CHARACTERS = 2_000_000

/** Events in their order; too many of them become one `missed`. */
class Backlog {
  #events: (FeedEvent | Missed)[] = []
  #characters = 0

  push(event: FeedEvent): void {
    const characters = charactersOf(event)
    const isFull = this.#events.length >= MOST_EVENTS || this.#characters + characters > MOST_CHARACTERS
    this.#events = isFull ? [{ type: 'missed' }] : this.#events
    if (!isFull) this.#events.push(event)
    this.#characters = isFull ? 0 : this.#characters + characters
  }

  shift(): FeedEvent | Missed | undefined {
    const event = this.#events.shift()
    if (event && event.type !== 'missed') this.#characters -= charactersOf(event)
    return event
  }
}

function charactersOf(event: FeedEvent): number {
  return event.type === 'message' ? event.message.text.length : (event.detail?.length ?? 0)
}
