import type { Store } from '../store/store.ts'

const DAY_MS = 24 * 60 * 60_000
/** As long as deliveries and runs of tasks are kept. */
const TURNS_KEPT_MS = 90 * DAY_MS
const QUESTIONS_KEPT_MS = 90 * DAY_MS
/** Thirteen months: a month can be compared with the same one of the year before. */
const USAGE_KEPT_MS = 400 * DAY_MS

/** Forgets some of what nobody needs any more, each time it is called: a bounded number of rows of each table. */
export function pruneStore(store: Store, now: number): void {
  store.tx(() => {
    store.turns.prune(now - TURNS_KEPT_MS)
    store.questions.prune(now - QUESTIONS_KEPT_MS)
    store.usage.prune(now - USAGE_KEPT_MS)
  })
}
