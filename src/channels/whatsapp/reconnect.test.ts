import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Attempts, afterEnding, NO_ATTEMPTS } from './reconnect.ts'

const ended = (code: number, onlineMs = 0) => ({ code, reason: 'gone', onlineMs })

/** Plays endings as fast as the steps allow, and returns when each attempt began. */
function attemptsUnder(codes: (n: number) => number, { forMs, random }: { forMs: number; random: number }): number[] {
  let attempts: Attempts = NO_ATTEMPTS
  const begun = [0]
  for (let now = 0, n = 0; now < forMs; n++) {
    const step = afterEnding({ ending: ended(codes(n)), attempts, now, random })
    if (step.type === 'stop') break
    ;({ attempts, at: now } = step)
    begun.push(now)
  }
  return begun
}

test('a requested restart is followed at once', () => {
  const step = afterEnding({ ending: ended(515), attempts: NO_ATTEMPTS, now: 5_000, random: 1 })
  assert.equal(step.type === 'reconnect' && step.at, 5_000)
})

test('a requested restart is followed at once again ten seconds after the last one that was, and not before', () => {
  const attempts = { failures: 3, lastAtOnce: 0 }
  const step = (now: number) => afterEnding({ ending: ended(515), attempts, now, random: 1 })
  const [early, late] = [step(9_999), step(10_000)]
  assert.deepEqual([early.type === 'reconnect' && early.at, late.type === 'reconnect' && late.at], [9_999 + 24_000, 10_000])
  assert.deepEqual(early.type === 'reconnect' && early.attempts, { failures: 4, lastAtOnce: 0 })
  assert.deepEqual(late.type === 'reconnect' && late.attempts, { failures: 3, lastAtOnce: 10_000 })
})

test('what passes by itself is tried again later and later, up to five minutes, never in step with others', () => {
  for (const code of [428, 408, 503, 500]) {
    const begun = attemptsUnder(() => code, { forMs: 3_600_000, random: 1 })
    const gaps = begun.slice(1).map((at, n) => at - (begun[n] ?? 0))
    assert.deepEqual(gaps.slice(0, 4), [3_000, 6_000, 12_000, 24_000])
    assert.equal(gaps.at(-1), 300_000)
  }
  const early = afterEnding({ ending: ended(428), attempts: NO_ATTEMPTS, now: 0, random: 0 })
  assert.equal(early.type === 'reconnect' && early.at, 1_500)
})

test('a connection that held a minute starts the counting anew', () => {
  const attempts = { ...NO_ATTEMPTS, failures: 4 }
  const [less, minute] = [59_999, 60_000].map((ms) => afterEnding({ ending: ended(428, ms), attempts, now: 0, random: 1 }))
  assert.deepEqual(less, { type: 'reconnect', at: 48_000, why: 'gone (428)', attempts: { ...attempts, failures: 5 } })
  assert.deepEqual(minute, { type: 'reconnect', at: 3_000, why: 'gone (428)', attempts: { ...attempts, failures: 1 } })
})

test('no minute sees more than one attempt a second, whatever codes the server sends', () => {
  const plays: ((n: number) => number)[] = [() => 515, () => 428, (n) => (n % 2 === 0 ? 515 : 428)]
  for (const codes of plays) {
    const begun = attemptsUnder(codes, { forMs: 600_000, random: 0 })
    for (const from of begun) assert.ok(begun.filter((at) => at >= from && at < from + 60_000).length <= 60)
  }
})

test('a replaced device stops as a conflict, a removed or blocked one as logged out, a refused version names the setting', () => {
  const stateOf = (code: number) => {
    const step = afterEnding({ ending: ended(code), attempts: NO_ATTEMPTS, now: 0, random: 1 })
    return step.type === 'stop' ? step.state.state : step.why
  }
  assert.equal(stateOf(440), 'conflict')
  assert.equal(stateOf(401), 'logged-out')
  assert.equal(stateOf(403), 'logged-out')
  assert.equal(stateOf(411), 'logged-out')
  assert.match(stateOf(405), /WHATSAPP_VERSION/)
})

test('a version that is refused is tried again an hour later, and does not count as a failure', () => {
  const attempts = { failures: 3, lastAtOnce: 7 }
  const step = afterEnding({ ending: ended(405), attempts, now: 500, random: 0 })
  assert.deepEqual(step.type === 'reconnect' && [step.at, step.attempts], [3_600_500, attempts])
})
