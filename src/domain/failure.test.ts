import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureText, taskFailureText } from './failure.ts'
import type { FailureClass } from './turn.ts'

const timeZone = 'Europe/Berlin'
const NOON = Date.parse('2026-03-01T11:00Z')

const text = (reason: FailureClass, retryAt?: number) => failureText({ reason, detail: 'the reason', retryAt, timeZone })

test('who waits is told what happened, and when it is tried again, by the clock on the wall', () => {
  const rows: [FailureClass, string][] = [
    ['rate-limit', "The model's usage limit is reached. I will try again at 12:00."],
    ['budget', 'the reason I will try again at 2026-03-01 12:00.'],
    ['engine', 'The container engine does not answer, so I cannot work right now (the reason). I will try again at 12:00.'],
    ['oom', 'I ran out of memory while working on this. I will try again at 12:00.'],
    ['timeout', 'This took longer than allowed and was stopped. I am trying once more.'],
  ]
  for (const [reason, expected] of rows) assert.equal(text(reason, NOON), expected)
})

test('who waits for nothing any more is told what happened, and what to do', () => {
  const rows: [FailureClass, RegExp][] = [
    ['login', /^I cannot reach the model: .* \(the reason\)\. Put ANTHROPIC_API_KEY .* into \.env and restart/],
    ['setup', /^I cannot start: the reason Your message is kept\. I look again every ten minutes/],
    ['billing', /has nothing left \(the reason\)\. Your message is kept/],
    ['engine', /\(the reason\)\. I gave up on this message; please send it again later\.$/],
    ['oom', /^I ran out of memory .* I gave up after several tries; .* memory limit/],
    ['overload', /could not be reached \(the reason\)\. I gave up after several tries; please send it again later\.$/],
    ['crash', /^I crashed while working on this \(the reason\)\. I gave up .* the run log/],
    ['session-lost', /could not be continued, and starting a fresh one failed too \(the reason\)\.$/],
    ['too-large', /too large for the model\. Send less at once, or start over with \/new\.$/],
    ['invalid-request', /^The model refused the request: the reason$/],
    ['timeout', /was stopped\. I will not try it again\.$/],
    ['rate-limit', /^The model's usage limit is reached\.$/],
    ['budget', /^the reason$/],
  ]
  for (const [reason, expected] of rows) assert.match(text(reason), expected)
})

test('of a task people are told when it runs again, if it does', () => {
  const told = (nextRun: number | null) =>
    taskFailureText({ title: 'Water', reason: 'crash', detail: 'the reason', nextRun, timeZone })
  const began = 'The scheduled task "Water" failed. I crashed while working on this (the reason).'
  const ended = 'You are told again when it fails in another way.'
  assert.equal(told(NOON), `${began} It runs again at 2026-03-01 12:00. ${ended}`)
  assert.equal(told(null), `${began} It will not run again. ${ended}`)
})
