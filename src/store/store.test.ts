import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { AppError } from '../domain/errors.ts'
import { isUsable } from './groups.ts'
import { HostLock } from './lock.ts'
import { Store } from './store.ts'

function folder(t: { after(fn: () => void): void }): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-store-'))
  t.after(() => rmSync(made, { recursive: true }))
  return made
}

function open(t: { after(fn: () => void): void }): Store {
  const store = Store.open(path.join(folder(t), 'messages.db'))
  t.after(() => store.close())
  return store
}

const message = (id: string, jid = 'tg:1') => ({ jid, id, sender: 'a', senderName: 'Ann', text: id, sentAt: 5, fromMe: false })
const refused = (code: string) => (error: unknown) => error instanceof AppError && error.code === code

test('a redelivered message is recognised by its chat and platform id', (t) => {
  const store = open(t)
  for (const jid of ['tg:1', 'tg:2']) store.chats.see({ jid })
  const first = store.messages.add(message('1'))
  assert.deepEqual(store.messages.add({ ...message('1'), text: 'changed' }), { seq: first.seq, isNew: false })
  assert.equal(store.messages.add(message('1', 'tg:2')).isNew, true)
  assert.deepEqual(
    store.messages.latest('tg:1', 10).map((m) => m.text),
    ['1'],
  )
})

test('order is the order of storing, whatever the timestamps say', (t) => {
  const store = open(t)
  store.chats.see({ jid: 'tg:1' })
  for (const [id, sentAt] of [
    ['a', 9],
    ['b', 1],
    ['c', 9],
  ] as const)
    store.messages.add({ ...message(id), sentAt })
  assert.deepEqual(
    store.messages.unanswered('tg:1', 0).map((m) => m.id),
    ['a', 'b', 'c'],
  )
})

test('a cursor never goes back', (t) => {
  const store = open(t)
  store.chats.see({ jid: 'tg:1' })
  store.chats.markAnswered('tg:1', 7)
  store.chats.markAnswered('tg:1', 3)
  assert.equal(store.chats.cursors('tg:1').answeredSeq, 7)
})

test('there is one main group at most, and folders differ by more than case', (t) => {
  const store = open(t)
  store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
  assert.throws(() => store.groups.add({ folder: 'other', name: 'x', isMain: true, config: {} }, 0), /UNIQUE/)
  assert.throws(() => store.groups.add({ folder: 'MAIN', name: 'x', isMain: false, config: {} }, 0), /UNIQUE/)
})

test('an engine option that somebody put into container_config is not there', (t) => {
  const file = path.join(folder(t), 'messages.db')
  const store = Store.open(file)
  store.groups.add({ folder: 'a', name: 'a', isMain: false, config: {} }, 0)
  store.close()
  const db = new SQLite(file)
  db.prepare('UPDATE groups SET container_config = ?').run('{"privileged":true,"network":"none","__proto__":{"x":1}}')
  db.close()
  const again = Store.open(file)
  assert.deepEqual(again.groups.find('a')?.config, { network: 'none' })
  again.close()
})

test('settings of a group can be used up to their limits, and not beyond', () => {
  const mount = (hostPath: string) => [{ hostPath }]
  const pattern = (length: number) => ({ policy: 'allowlist', allow: [`${'a'.repeat(length - 2)}.b`] })
  const many = (count: number) => ({ policy: 'open', allow: Array(count).fill('a.b') })
  const cases: [string, good: unknown, bad: unknown][] = [
    ['timeout', 1_000, 999],
    ['additionalMounts', mount('/'), mount('')],
    ['additionalMounts', mount('~'), mount('x'.repeat(4_097))],
    ['additionalMounts', mount('x'.repeat(4_096)), [{ hostPath: '/', containerPath: 'x'.repeat(4_097) }]],
    ['additionalMounts', [{ hostPath: '/', containerPath: 'x'.repeat(4_096) }], Array(65).fill({ hostPath: '/' })],
    ['additionalMounts', Array(64).fill({ hostPath: '/' }), [{ hostPath: '/', readonly: 'no' }]],
    ['egress', pattern(253), pattern(254)],
    ['egress', many(1_000), many(1_001)],
    ['egress', { policy: 'allowlist', allow: ['*.a.b'] }, { policy: 'allowlist', allow: ['*.b.*'] }],
    ['model', 'm', ''],
    ['model', 'm'.repeat(200), 'm'.repeat(201)],
    ['systemPrompt', 'x'.repeat(20_000), 'x'.repeat(20_001)],
    ['budget', { dayUsd: 0, monthUsd: 0, dayTokens: 0, monthTokens: 0 }, { dayUsd: -0.01 }],
    ['budget', {}, { monthUsd: -0.01 }],
    ['budget', {}, { dayTokens: -1 }],
    ['budget', {}, { monthTokens: -1 }],
    ['limits', { memoryMb: 256, cpus: 0.01, pids: 32, diskMb: 1, files: 100 }, { memoryMb: 255 }],
    ['limits', {}, { cpus: 0 }],
    ['limits', {}, { pids: 31 }],
    ['limits', {}, { diskMb: 0 }],
    ['limits', {}, { files: 99 }],
    ['unknown', 1, undefined],
  ]
  for (const [key, good, bad] of cases) {
    assert.equal(isUsable([key, good]), true, `${key} ${JSON.stringify(good)?.slice(0, 50)}`)
    if (bad !== undefined) assert.equal(isUsable([key, bad]), false, `${key} ${JSON.stringify(bad).slice(0, 50)}`)
  }
})

test('a group with settings that cannot be used is named, and keeps no other from being there', (t) => {
  const file = path.join(folder(t), 'messages.db')
  const store = Store.open(file)
  for (const name of ['a', 'b']) store.groups.add({ folder: name, name, isMain: false, config: { model: 'opus' } }, 0)
  store.close()
  alter(file, `UPDATE groups SET container_config = '{"model":"opus","network":"lan","budget":3}' WHERE folder = 'b'`)
  const notes: string[] = []
  const again = Store.open(file, (text) => notes.push(text))
  t.after(() => again.close())
  assert.deepEqual(
    again.groups.all().map(({ folder, config }) => [folder, config]),
    [
      ['a', { model: 'opus' }],
      ['b', { model: 'opus' }],
    ],
  )
  assert.deepEqual([again.groups.unusable('a'), again.groups.unusable('b')], [[], ['network', 'budget']])
  assert.match(notes.join(), /^Group b: .*: network, budget\./)
})

test('what was sent long ago goes: parts before their first, and nothing that was said of an open turn', (t) => {
  const store = open(t)
  const { outbox } = store
  store.chats.see({ jid: 'tg:1' })
  const turn = store.turns.add({ folder: 'main', jid: 'tg:1', at: 0 })
  const say = (key: string, turnId: typeof turn | null = null) => outbox.add({ jid: 'tg:1', text: key, key, turnId, at: 0 })
  const sendNext = (at: number) => {
    for (const { seq } of outbox.due(9)) outbox.markSent({ seq, platformId: null, at })
  }
  say('long')
  for (const long of outbox.due(9)) store.tx(() => outbox.split(long, ['lo', 'ng']))
  for (const at of [1, 5]) sendNext(at)
  say('of the turn', turn)
  sendNext(1)
  say('late')
  sendNext(5)
  say('not sent')
  assert.equal(outbox.prune(5), 0, 'a part, the turn, and the time keep them')
  assert.equal(outbox.prune(6), 2, 'the part, and what was sent late')
  assert.equal(outbox.prune(6), 1, 'the first part')
  store.turns.save({ state: 'done', id: turn, endedAt: 9 })
  assert.equal(outbox.prune(6), 1)
  assert.equal(outbox.due(9)[0]?.key, 'not sent')
})

test('one prune removes at most a thousand sent entries', (t) => {
  const store = open(t)
  store.tx(() => {
    for (let n = 0; n < 1_001; n++) {
      store.outbox.add({ jid: 'tg:1', text: 'x', key: String(n), turnId: null, at: 0 })
      store.outbox.markSent({ seq: n + 1, platformId: null, at: 1 })
    }
  })
  assert.deepEqual([store.outbox.prune(2), store.outbox.prune(2), store.outbox.prune(2)], [1_000, 1, 0])
})

test('an agent is told of failed deliveries since its chat was registered, at most 200 characters of each', (t) => {
  const store = open(t)
  const { outbox } = store
  store.groups.add({ folder: 'family', name: 'family', isMain: false, config: {} }, 0)
  store.chats.see({ jid: 'tg:1' })
  store.groups.register({ jid: 'tg:1', folder: 'family', trigger: null, requiresTrigger: false }, 10)
  const lose = (text: string, at: number, byHost = false) => {
    outbox.add({ jid: 'tg:1', text, key: `${text} ${at}`, turnId: null, byHost, at })
    for (const { seq } of outbox.due(99)) outbox.close({ seq, state: 'failed', at: 50, platformId: null, why: 'gone' })
  }
  lose('before', 9)
  lose('x'.repeat(201), 10)
  lose('by the host', 11, true)
  const id = store.turns.add({ folder: 'family', jid: 'tg:1', at: 60 })
  const turn = (tries: number) => ({ state: 'running' as const, id, tries, failures: 0, told: false, startedAt: 60 })
  const told = [{ jid: 'tg:1', text: 'x'.repeat(200), state: 'failed', why: 'gone', at: 50 }]
  assert.deepEqual(outbox.tellIn(turn(1), 'tg:1'), told)
  lose('later', 70)
  assert.deepEqual(outbox.tellIn(turn(2), 'tg:1'), told, 'a further try hears the same')
})

test("a chat's later delivery waits for its earlier ones; a key is delivered once", (t) => {
  const { outbox } = open(t)
  const add = (jid: string, key: string, at = 0) => outbox.add({ jid, text: key, key, turnId: null, at })
  add('a', 'a1')
  add('a', 'a2')
  add('b', 'b1')
  add('a', 'a1')
  assert.deepEqual(
    outbox.due(0).map((d) => d.key),
    ['a1', 'b1'],
  )
  const [a1] = outbox.due(0)
  assert.ok(a1)
  outbox.markSending(a1.seq)
  assert.deepEqual(
    outbox.due(0).map((d) => d.key),
    ['b1'],
    'nothing overtakes what is being sent',
  )
  outbox.postpone({ unsure: false, seq: a1.seq, until: 100, why: 'busy' })
  assert.deepEqual(
    outbox.due(50).map((d) => d.key),
    ['b1'],
  )
  outbox.markSent({ seq: a1.seq, platformId: 'p', at: 1 })
  assert.deepEqual(
    outbox.due(50).map((d) => d.key),
    ['a2', 'b1'],
  )
})

test('of the runs of tasks that wait, the oldest that is due is next, or else the first to be due, each in its lane', (t) => {
  const store = open(t)
  store.groups.add({ folder: 'family', name: 'family', isMain: false, config: {} }, 0)
  store.chats.see({ jid: 'tg:1' })
  const add = (at: number, lane: 'chat' | 'isolated' = 'chat') =>
    store.turns.addTask({ folder: 'family', jid: 'tg:1', lane, runId: at, at })
  for (const at of [30, 20, 10]) add(at)
  add(5, 'isolated')
  const next = (now: number) => store.turns.nextTask({ folder: 'family', lane: 'chat', now })?.runId
  assert.deepEqual([next(0), next(10), next(20), next(99)], [10, 10, 20, 30])
  assert.equal(store.turns.nextTask({ folder: 'work', lane: 'chat', now: 99 }), undefined)
})

test('a transaction that throws leaves nothing', (t) => {
  const store = open(t)
  assert.throws(
    () =>
      store.tx(() => {
        store.facts.set('a', '1')
        throw new Error('no')
      }),
    /no/,
  )
  assert.equal(store.facts.get('a'), undefined)
})

test('a database is private, survives reopening, and is refused unchanged when newer, foreign or damaged', (t) => {
  const file = path.join(folder(t), 'messages.db')
  const store = Store.open(file)
  store.facts.set('a', '1')
  store.close()
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const again = Store.open(file)
  assert.equal(again.facts.get('a'), '1')
  again.close()

  const broken: [string, (db: string) => void][] = [
    ['store.newer', (copy) => alter(copy, 'PRAGMA user_version = 999')],
    ['store.foreign', (copy) => alter(copy, 'PRAGMA user_version = 0')],
    ['store.unusable', (copy) => writeFileSync(copy, readFileSync(copy).fill(7, 4096, 40_000))],
    ['store.unusable', (copy) => writeFileSync(copy, 'not a database at all, but long enough to look like one'.repeat(40))],
  ]
  for (const [code, breakIt] of broken) {
    const copy = path.join(folder(t), 'messages.db')
    copyFileSync(file, copy)
    breakIt(copy)
    const before = readFileSync(copy)
    assert.throws(() => Store.open(copy), refused(code))
    assert.deepEqual(readFileSync(copy), before)
    assert.deepEqual(readdirSync(path.dirname(copy)), ['messages.db'])
  }
})

function alter(file: string, sql: string): void {
  const db = new SQLite(file)
  db.pragma('journal_mode = DELETE')
  db.exec(sql)
  db.close()
}

test('the right to be host is one holder’s, is named, and can be taken again after a release', (t) => {
  const root = folder(t)
  const paths = { lock: path.join(root, 'data', 'host.lock'), holder: path.join(root, 'data', 'host.json') }
  const take = (pid: number) => HostLock.take({ ...paths, pid, now: new Date(0) })
  const lock = take(1234)
  assert.throws(
    () => take(2),
    (error) => refused('host.already-running')(error) && /process 1234, since 1970/.test(String(error)),
  )
  lock.release()
  take(2).release()
})

test('what was used adds up in quarters of an hour, and is found again by its period', (t) => {
  const { usage } = open(t)
  const tokens = { input: 1, cacheWrite: 2, cacheWriteHour: 3, cacheRead: 4, output: 5, searches: 6 }
  const at = Date.parse('2026-11-21T10:07Z')
  for (const when of [at, at + 60_000, at + 900_000])
    usage.add({ ...tokens, at: when, folder: 'main', model: 'm'.repeat(200), nanoUsd: 7 })
  const quarter = { from: Date.parse('2026-11-21T10:00Z'), to: Date.parse('2026-11-21T10:15Z') }
  const model = 'm'.repeat(100)
  const sums = { input: 2, cacheWrite: 4, cacheWriteHour: 6, cacheRead: 8, output: 10, searches: 12, nanoUsd: 14 }
  assert.deepEqual(usage.between(quarter), [{ folder: 'main', model, calls: 2, ...sums }])
  assert.equal(usage.between({ from: 0, to: quarter.from }).length, 0)
  assert.equal(usage.between({ from: 0, to: Infinity })[0]?.calls, 3)
})

test('turns that wait for a budget need not wait any longer, and others do', (t) => {
  const store = open(t)
  store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
  store.chats.see({ jid: 'tg:1' })
  const waiting = (error: string) => {
    const id = store.turns.add({ folder: 'main', jid: 'tg:1', at: 0 })
    store.turns.save({ state: 'pending', id, tries: 1, failures: 0, told: true, notBefore: 1_000 })
    store.turns.noteError(id, error)
    return id
  }
  const [budget, limit] = [waiting('budget: used up'), waiting('rate-limit: budget:')]
  const notBefore = (id: typeof budget) => {
    const turn = store.turns.find(id)?.turn
    return turn?.state === 'pending' ? turn.notBefore : undefined
  }
  store.turns.hasten({ reason: 'budget', folder: 'other', at: 5 })
  assert.deepEqual([notBefore(budget), notBefore(limit)], [1_000, 1_000])
  store.turns.hasten({ reason: 'budget', folder: 'main', at: 5 })
  assert.deepEqual([notBefore(budget), notBefore(limit)], [5, 1_000])
})
