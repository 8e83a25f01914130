import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { oldDatabase } from '../../test/fakes/old-database.ts'
import { openStore, storeWith, type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import { pruneStore } from './pruning.ts'

const DAY = 24 * 60 * 60_000
const NOW = 1_000 * DAY
const JID = 'local:main'

function room(t: TestContext) {
  const { store, folder } = storeWith(t, ['main'])
  const rows = new SQLite(path.join(folder, 'messages.db'))
  t.after(() => rows.close())
  /** A turn that ended at a moment, or did not. */
  const turn = (at: number, state: 'done' | 'stopped' | 'pending' = 'done'): TurnId => {
    const id = store.turns.add({ folder: 'main', jid: JID, at })
    if (state === 'pending') store.turns.save({ state, id, tries: 1, failures: 0, told: true, notBefore: at })
    else store.turns.save({ state, id, endedAt: at })
    return id
  }
  const isThere = (id: TurnId) => store.turns.find(id) !== undefined
  return { store, rows, turn, isThere }
}

const OLD = NOW - 91 * DAY
const said = (id: string) => ({ jid: JID, id, sender: 'a', senderName: 'A', text: 'x', sentAt: 0, fromMe: false })

test('turns go 90 days after their end, unless something belongs to them', (t) => {
  const { store, turn, isThere } = room(t)
  const [gone, open, young] = [turn(OLD, 'stopped'), turn(OLD, 'pending'), turn(NOW - 89 * DAY)]
  const [answered, sent, told] = [turn(OLD), turn(OLD), turn(OLD)]
  const [mergedInto, joined, passed] = [turn(OLD), turn(OLD), turn(OLD)]
  store.messages.addAnswer(said('answer'), answered)
  store.outbox.add({ jid: JID, text: 'x', key: 'k', turnId: sent, at: 0 })
  store.outbox.close({ seq: 1, state: 'failed', at: 0, platformId: null, why: 'no' })
  store.outbox.tellIn({ state: 'running', id: told, tries: 1, failures: 0, told: false, startedAt: 0 }, JID)
  const [follower, merged] = [turn(NOW), turn(NOW)]
  store.turns.noteMerged(merged, mergedInto)
  store.turns.noteJoined(follower, joined)
  store.turns.notePassed(passed, { first: { seq: 1, sentAt: 0 }, last: { seq: 2, sentAt: 0 } })
  pruneStore(store, NOW)
  const kept = [open, young, answered, sent, told, mergedInto, joined, passed, follower, merged]
  assert.deepEqual([isThere(gone), kept.map(isThere)], [false, kept.map(() => true)])
  const next = turn(NOW)
  assert.ok(next > merged, 'no id is given twice')
})

test('of many turns, each hour some are looked at, and in the end all', (t) => {
  const { store, rows, turn } = room(t)
  store.tx(() => {
    for (let n = 0; n < 2_500; n++) {
      const id = turn(OLD)
      if (n % 2) store.messages.addAnswer(said(String(n)), id)
    }
    turn(NOW)
  })
  const count = () => rows.prepare('SELECT count(*) FROM turns').pluck().get()
  const counts = [0, 1, 2, 3, 4].map(() => {
    pruneStore(store, NOW)
    return count()
  })
  assert.deepEqual(counts, [2_001, 1_501, 1_251, 1_251, 1_251])
})

test('questions go 90 days after they were over, but no answer that no agent has heard', (t) => {
  const { store, rows, turn } = room(t)
  const ask = (expiresAt: number) =>
    store.questions.add({ folder: 'main', jid: JID, question: 'tea?', options: ['yes'], at: 0, expiresAt })
  const [unanswered, heard, unheard, inOpenTurn, young] = [ask(OLD), ask(OLD), ask(OLD), ask(OLD), ask(NOW - 89 * DAY)]
  for (const id of [heard, unheard, inOpenTurn]) store.questions.answer({ id, answer: 'yes', at: 0 })
  store.questions.noteTold(heard)
  rows.prepare('UPDATE questions SET told = 1, told_turn = ? WHERE id = ?').run(turn(OLD, 'pending'), inOpenTurn)
  pruneStore(store, NOW)
  assert.deepEqual(rows.prepare('SELECT id FROM questions ORDER BY id').pluck().all(), [unheard, inOpenTurn, young])
  assert.ok(unanswered < unheard)
})

test('what was used goes after thirteen months', (t) => {
  const { store, rows } = room(t)
  const call = { folder: 'main', model: 'm', input: 1, output: 1, cacheWrite: 0, cacheWriteHour: 0, cacheRead: 0, searches: 0 }
  for (const days of [403, 402, 401, 399]) store.usage.add({ ...call, at: NOW - days * DAY, nanoUsd: 1 })
  pruneStore(store, NOW)
  const days = rows.prepare('SELECT slot FROM usage ORDER BY slot').pluck().all() as number[]
  assert.deepEqual(
    days.map((slot) => (NOW - slot) / DAY),
    [401, 399],
    'the newest of them stands for all before it',
  )
  assert.equal(store.usage.between({ from: 0, to: NOW })[0]?.calls, 4)
})

test('each minute a bounded number of entries of the audit and of requests goes', (t) => {
  const { store, rows } = room(t)
  rows.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
    INSERT INTO audit (at, by, act, subject, outcome, detail) SELECT i, 'host', 'a', 's', 'done', '' FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
    INSERT INTO ipc_requests SELECT 'main', i, i FROM n;`)
  const left = (table: string) => rows.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
  const rounds = [0, 1].map(() => {
    store.audit.prune(NOW)
    store.ipcRequests.prune(NOW)
    return [left('audit'), left('ipc_requests')]
  })
  assert.deepEqual(rounds, [
    [500, 500],
    [0, 0],
  ])
})

test('a database of a former version, in the middle of its work, opens and goes on', (t) => {
  const file = path.join(temporaryFolder(t), 'messages.db')
  const old = oldDatabase(file, 10)
  old.exec(`
    INSERT INTO groups (folder, name, is_main, created_at) VALUES ('main', 'Main', 1, 0);
    INSERT INTO chats (jid, answered_seq, parked_seq) VALUES ('${JID}', 1, 3);
    INSERT INTO registered_groups (jid, folder, requires_trigger, added_at) VALUES ('${JID}', 'main', 0, 0);
    INSERT INTO turns (group_folder, chat_jid, state, tries, not_before, created_at, reason, error)
      VALUES ('main', '${JID}', 'pending', 1, 0, 0, 'login', 'login: none');
    INSERT INTO messages (chat_jid, id, sender, sender_name, content, timestamp, turn_id, is_edited) VALUES
      ('${JID}', 'a', 's', 'S', 'answered', 0, NULL, 0), ('${JID}', 'b', 's', 'S', 'taken', 0, 1, 0),
      ('${JID}', 'c', 's', 'S', '/compact', 0, NULL, 1);
    INSERT INTO questions (group_folder, chat_jid, question, options, asked_at, expires_at, answer, told)
      VALUES ('main', '${JID}', 'tea?', '["yes"]', 0, 5, 'yes', 0);`)
  old.close()
  const store: Store = openStore(file)
  t.after(() => store.close())
  assert.deepEqual(store.chats.cursors(JID), { answeredSeq: 1, parkedSeq: 3, passedSeq: 0 })
  const turn = 1 as TurnId
  assert.deepEqual(
    store.messages.ofTurn(turn).messages.map(({ id }) => id),
    ['b'],
  )
  const stretch = { jid: JID, after: 1, before: 9 }
  assert.deepEqual(
    store.messages.newestUnanswered(stretch).messages.map(({ id }) => id),
    ['c'],
  )
  assert.deepEqual(
    store.messages.unansweredCommands(stretch).messages.map(({ id }) => id),
    ['c'],
    'nobody looked at it yet',
  )
  assert.equal(store.messages.edit({ jid: JID, id: 'c', sender: 's', text: 'no command' }), 3)
  assert.deepEqual(
    [store.messages.edits(JID, 0), store.messages.unansweredCommands(stretch).messages],
    [[{ seq: 3, editNo: 1 }], []],
  )
  assert.deepEqual(
    store.questions.tellIn({ folder: 'main', jid: JID, turn }).map(({ answer }) => answer),
    ['yes'],
  )
  assert.deepEqual(
    store.questions.tellIn({ folder: 'main', jid: JID, turn }).map(({ answer }) => answer),
    ['yes'],
    'also when it is tried again',
  )
})
