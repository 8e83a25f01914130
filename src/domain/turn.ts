import type { Instant } from './clock.ts'

/** A turn is one piece of agent work for one chat: the messages it answers, and how far it got. */
export type Turn = {
  id: TurnId
} /** `waitsFor`: something that a person must put right first. */ & (
  | { state: 'pending'; tries: number; failures: number; told: boolean; notBefore: Instant; waitsFor?: Obstacle | undefined }
  | { state: 'running'; tries: number; failures: number; told: boolean; startedAt: Instant }
  | { state: 'done'; endedAt: Instant }
  | { state: 'stopped'; endedAt: Instant }
  | { state: 'failed'; reason: FailureClass; endedAt: Instant }
)

export type TurnId = number & { readonly brand: 'TurnId' }
export type RunningTurn = Extract<Turn, { state: 'running' }>

/** What only a person can put right. */
export const OBSTACLES = ['login', 'setup', 'billing'] as const
export type Obstacle = (typeof OBSTACLES)[number]

export function isObstacle(reason: string): reason is Obstacle {
  return OBSTACLES.some((known) => known === reason)
}

export type FailureClass =
  | 'login'
  | 'rate-limit'
  | 'overload'
  | 'oom'
  | 'crash'
  | 'engine'
  /** Something a person must put right first: the image, a folder. */
  | 'setup'
  /** The account that pays for the model has nothing left. */
  | 'billing'
  | 'session-lost'
  | 'invalid-request'
  | 'too-large'
  | 'budget'
  | 'timeout'

export type TurnEvent =
  | { type: 'started'; at: Instant }
  | { type: 'answered'; at: Instant }
  | { type: 'stopped'; at: Instant }
  /** `retryAt`: when the platform or the budget allows the next try. */
  | { type: 'failed'; at: Instant; reason: FailureClass; retryAt?: Instant | undefined }
  /** The host went away while the turn ran; nobody knows how far it got. */
  | { type: 'orphaned'; at: Instant }
  /** The host is stopping and did not let it finish; it goes on at the next start. */
  | { type: 'shelved'; at: Instant }

/** What the caller must do with the new state, in the same transaction. */
export type Effect =
  /** Say once in the chat what happened; `retryAt` is there when it will be tried again. */
  | { type: 'tell-chat'; reason: FailureClass; retryAt?: Instant }
  /** The next try starts a fresh session. */
  | { type: 'forget-session' }
  /** The chat waits with this turn until something changes: a new message, a new login, a restart, some time. */
  | { type: 'park-chat' }
  /** The messages count as answered: their sender was told why there is no answer. */
  | { type: 'give-up-messages' }

export type Step = { turn: Turn; effects: Effect[] }

const FIRST_DELAY_MS = 5_000
const SHORTEST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 600_000
/** What a person must put right may be right by itself after this: a disk that was full has room again. */
const PARKED_MS = 600_000
/** A wait shorter than this is not worth a message. */
const SILENT_WAIT_MS = 60_000

/** `parks`: it waits for what a person must put right; a run of a task, which comes again by itself, does not. */
export type Limits = { maxRetries: number; parks?: boolean }

/** The whole life of a turn. Pure: the caller stores the turn and performs the effects. */
export function nextTurn(turn: Turn, event: TurnEvent, limits: Limits): Step {
  if (turn.state === 'pending' && event.type === 'started') {
    const { id, failures, told } = turn
    return { turn: { state: 'running', id, tries: turn.tries + 1, failures, told, startedAt: event.at }, effects: [] }
  }
  // What it was to answer was taken back before it began.
  if (turn.state === 'pending' && event.type === 'stopped')
    return { turn: { state: 'stopped', id: turn.id, endedAt: event.at }, effects: [] }
  if (turn.state === 'running') {
    switch (event.type) {
      case 'answered':
        return { turn: { state: 'done', id: turn.id, endedAt: event.at }, effects: [] }
      case 'stopped':
        return { turn: { state: 'stopped', id: turn.id, endedAt: event.at }, effects: [] }
      case 'failed':
        return afterFailure(turn, event, limits)
      case 'shelved': {
        const { id, tries, failures, told } = turn
        return { turn: { state: 'pending', id, tries, failures, told, notBefore: event.at }, effects: [] }
      }
      case 'orphaned':
        return afterFailure(turn, { type: 'failed', at: event.at, reason: 'crash', retryAt: event.at }, limits)
    }
  }
  throw new IllegalTransition(`turn ${turn.id} is ${turn.state} and cannot take "${event.type}"`)
}

type Failed = Extract<TurnEvent, { type: 'failed' }>

/** The table of failures: which are tried again, when, and what the chat is told. */
function afterFailure(turn: RunningTurn, event: Failed, { maxRetries, parks = true }: Limits): Step {
  const { at, reason } = event
  switch (reason) {
    case 'login':
    case 'setup':
    case 'billing':
      return parks ? park(turn, { at, reason }) : fail(turn, event, [])
    case 'invalid-request':
    case 'too-large':
      return fail(turn, event, [{ type: 'give-up-messages' }])
    case 'rate-limit':
    case 'budget': {
      // It is tried without end, so it must not be tried all the time, whatever was said about when.
      const rest = (event.retryAt === undefined ? FIRST_DELAY_MS : SHORTEST_DELAY_MS) * 2 ** (turn.tries - 1)
      const retryAt = Math.max(event.retryAt ?? 0, at + Math.min(rest, LONGEST_DELAY_MS))
      return again(turn, { reason, retryAt, counted: false, tell: reason === 'budget' || retryAt - at > SILENT_WAIT_MS })
    }
    case 'session-lost': {
      // A fresh session cannot be lost, so one try is enough; crashes before it (which may have lost it) do not count.
      if (turn.failures >= Math.max(maxRetries, 1)) return fail(turn, event, [{ type: 'give-up-messages' }])
      const step = again(turn, { reason, retryAt: at, counted: true, tell: false })
      return { ...step, effects: [...step.effects, { type: 'forget-session' }] }
    }
    case 'timeout':
      if (turn.failures >= 1) return fail(turn, event, [{ type: 'give-up-messages' }])
      return again(turn, { reason, retryAt: at, counted: true, tell: true })
    case 'overload':
    case 'crash':
    case 'oom':
    case 'engine': {
      if (turn.failures >= maxRetries) return fail(turn, event, [{ type: 'give-up-messages' }])
      const retryAt = event.retryAt ?? at + FIRST_DELAY_MS * 2 ** turn.failures
      return again(turn, { reason, retryAt, counted: true, tell: reason === 'oom' || reason === 'engine' })
    }
  }
}

/** The last word on a turn is always said, also when an earlier failure of it was told. */
function fail(turn: RunningTurn, { at, reason }: Failed, effects: Effect[]): Step {
  return { turn: { state: 'failed', id: turn.id, reason, endedAt: at }, effects: [{ type: 'tell-chat', reason }, ...effects] }
}

function park({ id, tries, failures }: RunningTurn, { at, reason }: { at: Instant; reason: Obstacle }): Step {
  const turn: Turn = { state: 'pending', id, tries, failures, told: true, notBefore: at + PARKED_MS, waitsFor: reason }
  return { turn, effects: [{ type: 'tell-chat', reason }, { type: 'park-chat' }] }
}

function again(
  turn: RunningTurn,
  { reason, retryAt, counted, tell }: { reason: FailureClass; retryAt: Instant; counted: boolean; tell: boolean },
): Step {
  const { id, tries, told } = turn
  const failures = turn.failures + (counted ? 1 : 0)
  return {
    turn: { state: 'pending', id, tries, failures, told: told || tell, notBefore: retryAt },
    effects: tell && !told ? [{ type: 'tell-chat', reason, retryAt }] : [],
  }
}

/** The turn is not in a state that allows this: no retry will change that. */
export class IllegalTransition extends Error {}
