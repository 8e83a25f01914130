import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import type { BinaryNode } from 'baileys'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { openDeviceDatabase } from './database.ts'
import { Journal, RetryCounts, SentMessages } from './traffic.ts'

const TWO_WEEKS_MS = 14 * 86_400_000

function databaseFor(t: TestContext) {
  const { db, close } = openDeviceDatabase(path.join(temporaryFolder(t), 'whatsapp.db'))
  t.after(() => close({ keep: false }))
  return db
}

test('a sent message is known for two weeks, with its state and its content', (t) => {
  const sent = new SentMessages(databaseFor(t))
  assert.deepEqual([sent.stateOf('A'), sent.contentOf('A')], ['unknown', undefined])
  sent.begin({ id: 'A', jid: 'x', at: 0 })
  assert.deepEqual([sent.stateOf('A'), sent.contentOf('A')], ['begun', undefined])
  sent.accept({ id: 'A', message: { conversation: 'hi' } })
  sent.begin({ id: 'A', jid: 'x', at: 5 })
  assert.deepEqual([sent.stateOf('A'), sent.contentOf('A')?.conversation], ['accepted', 'hi'])
  sent.begin({ id: 'B', jid: 'x', at: TWO_WEEKS_MS })
  assert.equal(sent.stateOf('A'), 'accepted')
  sent.begin({ id: 'C', jid: 'x', at: TWO_WEEKS_MS + 1 })
  assert.deepEqual(
    ['A', 'B', 'C'].map((id) => sent.stateOf(id)),
    ['unknown', 'begun', 'begun'],
  )
})

test('retry counts are kept for two weeks, also over a restart', (t) => {
  const db = databaseFor(t)
  let now = 0
  const counts = new RetryCounts(db, () => now)
  counts.set('a', 1)
  counts.set('a', 2)
  now = TWO_WEEKS_MS
  counts.set('b', 3)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => new RetryCounts(db, () => now).get(key)),
    [2, 3, undefined],
  )
  now++
  counts.set('c', 4)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => counts.get(key)),
    [undefined, 3, 4],
  )
  counts.del('b')
  assert.deepEqual(
    ['b', 'c'].map((key) => counts.get(key)),
    [undefined, 4],
  )
  now += TWO_WEEKS_MS
  counts.del('none')
  assert.equal(counts.get('c'), 4)
  now++
  counts.del('none')
  assert.equal(counts.get('c'), undefined)
  counts.set('d', 1)
  counts.flushAll()
  assert.equal(counts.get('d'), undefined)
})

test('the journal has each part of a stanza once, the oldest first, and without its ciphertext', async (t) => {
  const db = databaseFor(t)
  const journal = new Journal(db)
  const stanza = (attrs: Record<string, string>): BinaryNode => ({ tag: 'message', attrs, content: Buffer.from('ciphertext') })
  const add = (from: BinaryNode, part: number, words: string) =>
    journal.add({ stanza: from, part, plaintext: Buffer.from(words) }).seq
  const direct = stanza({ from: 'alice', id: '1' })
  const first = add(direct, 0, 'garbled')
  assert.equal(add(direct, 0, 'read'), first)
  const inGroup = (participant: string) => stanza({ from: 'family', participant, id: '1' })
  add(direct, 1, 'second part')
  add(inGroup('bob'), 0, 'of Bob')
  const last = add(inGroup('carl'), 0, 'of Carl')
  const all = await new Journal(db).all()
  assert.deepEqual(
    all.map(({ plaintext }) => plaintext.toString()),
    ['read', 'second part', 'of Bob', 'of Carl'],
  )
  const { tag, attrs, content } = all.at(-1)?.stanza ?? {}
  assert.deepEqual([tag, attrs, content], ['message', { from: 'family', participant: 'carl', id: '1' }, undefined])
  journal.remove(first)
  journal.remove(last)
  assert.equal((await journal.all()).length, 2)
})
