import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import type { AuditNote } from '../domain/audit.ts'
import { AuditBook } from './audit-book.ts'

const HOUR_MS = 60 * 60_000
const refusal: AuditNote = {
  by: 'agent',
  folder: 'family',
  act: 'message',
  subject: 'tg:1',
  outcome: 'refused',
  detail: 'not yours',
}

function book(t: TestContext) {
  const { store, folder } = storeWith(t, ['main'])
  const clock = new ManualClock()
  const audit = new AuditBook({ store, now: clock.now, redact: (text) => text.replaceAll('s3cret', '[redacted]') })
  const counts = () => store.audit.latest({ limit: 1_000 }).map(({ act, count }) => [act, count])
  return { store, file: path.join(folder, 'messages.db'), clock, audit, counts }
}

test('what one group is refused in a loop becomes a number, and others stand beside it', (t) => {
  const { store, clock, audit } = book(t)
  for (let n = 0; n < 5_000; n++) audit.note({ ...refusal, subject: `tg:${n}` })
  audit.note({ ...refusal, folder: 'work' })
  assert.equal(store.audit.latest({ folder: 'family', limit: 1_000 }).length, 30)
  assert.equal(store.audit.latest({ folder: 'work', limit: 1_000 }).length, 1)
  clock.advance(HOUR_MS - 1)
  audit.settle()
  assert.equal(store.audit.latest({ folder: 'family', limit: 1_000 }).length, 30, 'the hour is not over')
  clock.advance(1)
  audit.settle()
  audit.settle()
  const entries = store.audit.latest({ folder: 'family', limit: 1_000 })
  assert.deepEqual([entries.length, entries.at(-1)?.count], [31, 4_970])
})

test('after an hour refusals are written one by one again, and the number of the hour before stands in front of them', (t) => {
  const { clock, audit, counts } = book(t)
  for (let n = 0; n < 32; n++) audit.note({ ...refusal, subject: `tg:${n}` })
  clock.advance(HOUR_MS - 1)
  audit.note({ ...refusal, subject: 'tg:32' })
  clock.advance(1)
  audit.note({ ...refusal, subject: 'tg:33' })
  assert.deepEqual(counts().slice(30), [
    ['message', 3],
    ['message', 1],
  ])
})

test('a flood of refusals hides no deed and no refusal of another act, and what is the same again is counted', (t) => {
  const { audit, counts } = book(t)
  for (let n = 0; n < 100; n++) audit.note({ ...refusal, subject: `tg:${n}` })
  for (let n = 0; n < 5; n++) audit.note({ ...refusal, act: 'egress' })
  const deed: AuditNote = { ...refusal, act: 'register_group', outcome: 'done' }
  for (let n = 0; n < 3; n++) audit.note(deed)
  audit.note({ ...deed, subject: 'tg:2' })
  audit.settle({ all: true })
  assert.deepEqual(counts().slice(30), [
    ['egress', 1],
    ['register_group', 1],
    ['register_group', 1],
    ['message', 70],
    ['egress', 4],
    ['register_group', 2],
  ])
})

test("every change of the owner's is written, and no secret is", (t) => {
  const { store, audit, counts } = book(t)
  for (let n = 0; n < 40; n++) audit.note({ ...refusal, by: 'owner', detail: `with s3cret ${'x'.repeat(9_000)}` })
  assert.equal(counts().length, 40)
  const [first] = store.audit.latest({ limit: 1 })
  assert.match(first?.detail ?? '', /^with \[redacted\] x+$/)
  assert.equal(first?.detail.length, 1_000)
  audit.note({ ...refusal, by: 'owner', subject: `s3cret ${'x'.repeat(9_000)}` })
  const [last] = store.audit.latest({ limit: 1 })
  assert.match(last?.subject ?? '', /^\[redacted\] x+$/)
  assert.equal(last?.subject.length, 500)
})

test('what is settled is kept for a year and a little longer', (t) => {
  const { store, clock, audit } = book(t)
  const DAY_MS = 24 * HOUR_MS
  clock.set(Date.now())
  for (const days of [367, 368]) store.audit.add({ ...refusal, at: clock.now() - days * DAY_MS + HOUR_MS, count: days })
  audit.settle()
  assert.deepEqual(
    store.audit.latest({ limit: 9 }).map(({ count }) => count),
    [367],
  )
})

test('what is written cannot be changed or removed, also not by SQL, until it is a year old', (t) => {
  const { file, store } = book(t)
  const at = (days: number) => Date.now() - days * 24 * HOUR_MS
  for (const days of [1, 365, 367]) store.audit.add({ ...refusal, at: at(days), count: 1 })
  const db = new SQLite(file)
  const tries = [
    "UPDATE audit SET detail = 'nothing'",
    'DELETE FROM audit WHERE id = 1',
    "INSERT OR REPLACE INTO audit (id, at, by, act, subject, outcome, detail) VALUES (1, 0, 'owner', 'x', 'x', 'done', 'x')",
  ]
  for (const sql of tries) assert.throws(() => db.exec(sql), /append-only/, sql)
  db.close()
  store.audit.prune(Date.now())
  assert.equal(store.audit.latest({ limit: 9 }).length, 2)
})

const rollBack = () => {
  throw new Error('rolled back')
}

test('a refusal whose transaction rolled back is written the next time, and counts from there', (t) => {
  const { store, audit, counts } = book(t)
  const lost = () => {
    for (let n = 0; n < 40; n++) audit.note({ ...refusal, subject: `tg:${n}` })
    rollBack()
  }
  assert.throws(() => store.tx(lost), /rolled back/)
  assert.deepEqual(counts(), [])
  for (let n = 0; n < 40; n++) store.tx(() => audit.note({ ...refusal, subject: `tg:${n}` }))
  audit.settle({ all: true })
  assert.deepEqual(counts(), [...Array(30).fill(['message', 1]), ['message', 10]])
})

test('what a rolled back transaction counted, or closed an hour with, is as it was before', (t) => {
  const { store, clock, audit, counts } = book(t)
  for (let n = 0; n < 3; n++) audit.note(refusal)
  assert.throws(() => store.tx(() => [audit.note(refusal), rollBack()]), /rolled back/)
  clock.advance(HOUR_MS)
  assert.throws(() => store.tx(() => [audit.note(refusal), rollBack()]), /rolled back/)
  assert.throws(() => store.tx(() => [audit.settle(), rollBack()]), /rolled back/)
  assert.deepEqual(counts(), [['message', 1]])
  audit.note(refusal)
  assert.deepEqual(counts(), [
    ['message', 1],
    ['message', 2],
    ['message', 1],
  ])
})

test('an entry that could not be written, without any transaction around it, is written the next time', (t) => {
  const { store, clock, audit, counts } = book(t)
  const { mock } = t.mock.method(store.audit, 'add', rollBack)
  assert.throws(() => audit.note(refusal), /rolled back/)
  mock.restore()
  audit.note(refusal)
  audit.note(refusal)
  assert.deepEqual(counts(), [['message', 1]])
  clock.advance(HOUR_MS)
  const { mock: again } = t.mock.method(store.audit, 'add', rollBack)
  assert.throws(() => audit.settle(), /rolled back/)
  again.restore()
  audit.settle()
  assert.deepEqual(counts(), [
    ['message', 1],
    ['message', 1],
  ])
})
