import { writeSync } from 'node:fs'
import path from 'node:path'
import type SQLite from 'better-sqlite3'
import { Feed } from '../../src/app/feed.ts'
import { Inbox } from '../../src/app/inbox.ts'
import { type ClaimedTurn, TurnDesk } from '../../src/app/turn-desk.ts'
import type { TurnOutcome } from '../../src/container/agent-run.ts'
import { openDatabase } from '../../src/store/database.ts'
import { Store } from '../../src/store/store.ts'
import { everybody } from '../fakes/senders.ts'
import { digestOf } from './digest.ts'

/** Pages in the log before they move into the database: few, so that this happens often in a short life. */
const CHECKPOINT_PAGES = 24
const JID = 'tg:1'

/**
 * The program that is recorded: a host's life on the database below `root`, step by step, each one commit of the real use
 * cases. After each it tells the world, on stdout, what the database holds now.
 */
export type Life = { root: string; rounds: number; synchronous?: 'OFF' | 'NORMAL' }

export const databaseIn = (root: string) => path.join(root, 'store', 'messages.db')

/** Opens what is there, tells it, and lives so many rounds; then closes, which moves the log into the database. */
export function live({ root, rounds, synchronous }: Life): void {
  const db = openDatabase(databaseIn(root))
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  if (synchronous) db.pragma(`synchronous = ${synchronous}`)
  tell(db)
  for (const step of stepsOf(new Store(db), rounds)) {
    step()
    tell(db)
  }
  db.close()
}

function tell(db: SQLite.Database): void {
  writeSync(1, `${digestOf(db)}\n`)
}

/** Every step is one transaction of the host. */
export function* stepsOf(store: Store, rounds: number): Generator<() => void> {
  let now = 1_000
  const feed = new Feed(console)
  const ports = { store, feed, now: () => ++now, judge: everybody }
  const desk = new TurnDesk(ports, { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 3, installId: 'power' })
  const inbox = new Inbox({
    deliver: () => {},
    store,
    feed,
    wake: () => {},
    takeCommand: () => undefined,
    judge: everybody,
    onDropped() {},
  })
  yield () => store.tx(() => register(store))
  for (let round = 0; round < rounds; round++) {
    const id = `${store.chats.cursors(JID).answeredSeq}-${round}`
    for (const part of ['a', 'b'])
      yield () => {
        inbox.receive({
          jid: JID,
          id: id + part,
          sender: 'ann',
          senderName: 'Ann',
          text: words(round),
          sentAt: ++now,
          fromMe: false,
        })
      }
    yield* turn({ store, desk, round, now: () => ++now })
    yield* deliveries(store, () => ++now)
  }
}

function* turn({
  store,
  desk,
  round,
  now,
}: {
  store: Store
  desk: TurnDesk
  round: number
  now: () => number
}): Generator<() => void> {
  let claimed: ClaimedTurn | undefined
  const folder = 'family'
  if (round % 7 === 3) {
    yield () => void desk.claim(folder, 'chat')
    yield () => void desk.recover()
  }
  yield () => {
    claimed = desk.claim(folder, 'chat')
  }
  if (!claimed) throw new Error('there was no turn to claim')
  const running = claimed
  if (running.sessionId === undefined) yield () => desk.sessionNamed(running, `session-${round}`)
  yield () => desk.finish([running], outcomeOf(round))
  if (round % 5 === 1) yield () => store.tx(() => store.facts.set('last-round', `${round} at ${now()}`))
}

/** Mostly answers, one of them long; some turns fail for good, which is told. */
function outcomeOf(round: number): TurnOutcome {
  if (round % 6 === 4) return { type: 'failed', reason: 'too-large', detail: 'too many words' }
  const usage = { inputTokens: 10, outputTokens: round, costUsd: 0.01 }
  return { type: 'answered', text: round % 4 === 2 ? words(round).repeat(20) : words(round), usage }
}

function* deliveries({ outbox }: Store, now: () => number): Generator<() => void> {
  for (const { seq } of outbox.due(Number.MAX_SAFE_INTEGER)) {
    yield () => outbox.markSending(seq)
    yield () => outbox.markSent({ seq, platformId: `p-${seq}`, at: now() })
  }
}

function register(store: Store): void {
  store.chats.see({ jid: JID })
  if (store.groups.chat(JID)) return
  store.groups.add({ folder: 'family', name: 'Family', isMain: false, config: {} }, 1)
  store.groups.register({ jid: JID, folder: 'family', trigger: null, requiresTrigger: false }, 1)
}

const words = (round: number) => `In round ${round} somebody said a few words more than one would think. `.repeat(1 + (round % 9))
