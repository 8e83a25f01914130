import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FailureClass, IllegalTransition, isObstacle, nextTurn, type Turn, type TurnEvent, type TurnId } from './turn.ts'

const id = 7 as TurnId
const limits = { maxRetries: 5 }
const pending: Turn = { state: 'pending', id, tries: 0, failures: 0, told: false, notBefore: 0 }
const running = (over: Partial<Extract<Turn, { state: 'running' }>> = {}): Turn => ({
  state: 'running',
  id,
  tries: 1,
  failures: 0,
  told: false,
  startedAt: 0,
  ...over,
})
const fail = (reason: FailureClass, retryAt?: number): TurnEvent => ({ type: 'failed', at: 1_000, reason, retryAt })

/** What a failure leads to: the next try's time and the effects, or the end. */
function after(turn: Turn, event: TurnEvent) {
  const { turn: next, effects } = nextTurn(turn, event, limits)
  const names = effects.map((effect) => effect.type).join(' ')
  if (next.state === 'pending' && next.waitsFor) return `waits: ${names}`
  return next.state === 'pending' ? `again at ${next.notBefore}: ${names}`.trim() : `${next.state}: ${names}`.trim()
}

test('a turn starts, and each start is counted', () => {
  const { turn } = nextTurn(pending, { type: 'started', at: 5 }, limits)
  assert.deepEqual(turn, running({ tries: 1, startedAt: 5 }))
})

test('an answered turn is done and a stopped one stopped, without effects', () => {
  assert.equal(after(running(), { type: 'answered', at: 9 }), 'done:')
  assert.equal(after(running(), { type: 'stopped', at: 9 }), 'stopped:')
})

test('every failure class goes the way of the table, at its first failure', () => {
  const table: [FailureClass, string][] = [
    ['login', 'waits: tell-chat park-chat'],
    ['setup', 'waits: tell-chat park-chat'],
    ['billing', 'waits: tell-chat park-chat'],
    ['invalid-request', 'failed: tell-chat give-up-messages'],
    ['too-large', 'failed: tell-chat give-up-messages'],
    ['overload', 'again at 6000:'],
    ['crash', 'again at 6000:'],
    ['oom', 'again at 6000: tell-chat'],
    ['engine', 'again at 6000: tell-chat'],
    ['session-lost', 'again at 1000: forget-session'],
    ['timeout', 'again at 1000: tell-chat'],
    ['rate-limit', 'again at 6000:'],
    ['budget', 'again at 6000: tell-chat'],
  ]
  for (const [reason, expected] of table) assert.equal(after(running(), fail(reason)), expected, reason)
})

test('retries double their delay and end with one last word to the chat', () => {
  const tries = [0, 1, 2, 3, 4, 5].map((failures) => after(running({ failures }), fail('overload')))
  assert.deepEqual(tries, [
    'again at 6000:',
    'again at 11000:',
    'again at 21000:',
    'again at 41000:',
    'again at 81000:',
    'failed: tell-chat give-up-messages',
  ])
})

test('a lost session is tried afresh, also when a crash before lost it; a timeout gets one more try', () => {
  assert.equal(after(running({ failures: 1 }), fail('session-lost')), 'again at 1000: forget-session')
  assert.equal(after(running({ failures: 4 }), fail('session-lost')), 'again at 1000: forget-session')
  assert.equal(after(running({ failures: 5 }), fail('session-lost')), 'failed: tell-chat give-up-messages')
  assert.equal(after(running({ failures: 1, told: true }), fail('timeout')), 'failed: tell-chat give-up-messages')
})

test('a usage limit is waited for, does not count as a failure, and is told only when the wait is long', () => {
  assert.equal(after(running({ failures: 5 }), fail('rate-limit', 30_000)), 'again at 30000:')
  assert.equal(after(running(), fail('rate-limit', 600_000)), 'again at 600000: tell-chat')
  assert.equal(after(running(), fail('rate-limit', 61_000)), 'again at 61000:', 'a minute is not long')
  assert.equal(after(running(), fail('rate-limit', 61_001)), 'again at 61001: tell-chat')
  const { turn } = nextTurn(running({ failures: 2 }), fail('rate-limit', 30_000), limits)
  assert.equal(turn.state === 'pending' && turn.failures, 2)
})

test('a limit that nobody knows the end of is asked about less and less often, and told when that takes long', () => {
  const waits = (retryAt?: number) =>
    [1, 2, 3, 5, 7, 8, 30].map((tries) => after(running({ tries }), fail('rate-limit', retryAt)))
  assert.deepEqual(waits(), [
    'again at 6000:',
    'again at 11000:',
    'again at 21000:',
    'again at 81000: tell-chat',
    'again at 321000: tell-chat',
    'again at 601000: tell-chat',
    'again at 601000: tell-chat',
  ])
  assert.deepEqual(
    waits(1_000).slice(0, 3),
    ['again at 2000:', 'again at 3000:', 'again at 5000:'],
    'also when it is said to be over at once',
  )
})

test('a wait that is told is not told again', () => {
  assert.equal(after(running({ told: true }), fail('rate-limit', 600_000)), 'again at 600000:')
  assert.equal(after(running({ told: true, failures: 1 }), fail('oom')), 'again at 11000:')
})

test('a turn whose host went away is tried again at once and given up after too many times', () => {
  assert.equal(after(running(), { type: 'orphaned', at: 3 }), 'again at 3:')
  assert.equal(after(running({ failures: 5 }), { type: 'orphaned', at: 3 }), 'failed: tell-chat give-up-messages')
})

test('a shelved turn goes on later without having failed', () => {
  const { turn } = nextTurn(running({ tries: 2, failures: 1 }), { type: 'shelved', at: 3 }, limits)
  assert.deepEqual(turn, { state: 'pending', id, tries: 2, failures: 1, told: false, notBefore: 3 })
})

test('where nothing is tried again, a lost session is tried afresh once, and what breaks off is given up', () => {
  const never = (failures: number, reason: FailureClass) =>
    nextTurn(running({ failures }), fail(reason), { maxRetries: 0 }).turn.state
  assert.deepEqual([never(0, 'session-lost'), never(1, 'session-lost'), never(0, 'crash')], ['pending', 'failed', 'failed'])
})

test('what waits for a person is looked at again after ten minutes, and a run of a task does not wait for one', () => {
  const waiting = { state: 'pending', id, tries: 2, failures: 1, told: true, notBefore: 601_000, waitsFor: 'setup' }
  const turn = running({ tries: 2, failures: 1 })
  const step = nextTurn(turn, fail('setup'), limits)
  assert.deepEqual(step, { turn: waiting, effects: [{ type: 'tell-chat', reason: 'setup' }, { type: 'park-chat' }] })
  for (const reason of ['login', 'setup', 'billing'] as const)
    assert.deepEqual(nextTurn(turn, fail(reason), { ...limits, parks: false }), {
      turn: { state: 'failed', id, reason, endedAt: 1_000 },
      effects: [{ type: 'tell-chat', reason }],
    })
})

test('a chat is told why and until when its turn waits, and the turn remembers that it was told', () => {
  const { turn, effects } = nextTurn(running(), fail('budget', 90_000), limits)
  assert.deepEqual(turn, { state: 'pending', id, tries: 1, failures: 0, told: true, notBefore: 90_000 })
  assert.deepEqual(effects, [{ type: 'tell-chat', reason: 'budget', retryAt: 90_000 }])
  const silent = nextTurn(running(), fail('crash'), limits).turn
  assert.deepEqual(silent, { state: 'pending', id, tries: 1, failures: 1, told: false, notBefore: 6_000 })
})

test('a turn whose messages were taken back before it began is stopped', () => {
  assert.equal(after(pending, { type: 'stopped', at: 9 }), 'stopped:')
})

test('what a person must put right is told from what goes by itself', () => {
  assert.deepEqual(['login', 'setup', 'billing', 'crash', 'budget', ''].map(isObstacle), [true, true, true, false, false, false])
})

test('an ended turn takes no event', () => {
  const ended: Turn[] = [
    { state: 'done', id, endedAt: 1 },
    { state: 'stopped', id, endedAt: 1 },
    { state: 'failed', id, reason: 'login', endedAt: 1 },
  ]
  const events: TurnEvent[] = [
    { type: 'started', at: 2 },
    { type: 'answered', at: 2 },
    { type: 'stopped', at: 2 },
    fail('crash'),
    { type: 'orphaned', at: 2 },
    { type: 'shelved', at: 2 },
  ]
  for (const turn of ended) for (const event of events) assert.throws(() => nextTurn(turn, event, limits), IllegalTransition)
  assert.throws(() => nextTurn(pending, { type: 'answered', at: 2 }, limits), IllegalTransition)
  assert.throws(() => nextTurn(running(), { type: 'started', at: 2 }, limits), IllegalTransition)
})
