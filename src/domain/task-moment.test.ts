import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deedAt } from './task-moment.ts'

const DUE = Date.parse('2026-03-01T09:00Z')
const moment = { dueAt: DUE, now: DUE, catchUp: 'once', running: false, only: false, zone: 'UTC' } as const
const madeUp = { type: 'run', note: 'makes up for what was missed since 2026-03-01 09:00' }
const tooLate = { type: 'skip', note: 'due 2026-03-01 09:00, noticed 2026-03-01 09:01: too late, nobody was there' }

test('a moment that is noticed within a minute is run, and later it was missed', () => {
  for (const catchUp of ['once', 'skip'] as const)
    for (const late of [0, 60_000]) assert.deepEqual(deedAt({ ...moment, catchUp, now: DUE + late }), { type: 'run', note: null })
  assert.deepEqual(deedAt({ ...moment, now: DUE + 60_001 }), madeUp)
  assert.deepEqual(deedAt({ ...moment, now: DUE + 60_001, catchUp: 'skip' }), tooLate)
})

test('a moment that comes while the run before it goes on is skipped, unless it is the only one', () => {
  const skipped = { type: 'skip', note: 'the run before it was still going on' }
  for (const now of [DUE, DUE + 60_001]) assert.deepEqual(deedAt({ ...moment, now, running: true }), skipped)
  assert.deepEqual(deedAt({ ...moment, running: true, only: true }), { type: 'run', note: null })
  assert.deepEqual(deedAt({ ...moment, running: true, only: true, now: DUE + 60_001 }), madeUp)
})
