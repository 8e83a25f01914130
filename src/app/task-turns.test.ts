import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import type { Task } from '../store/tasks.ts'
import { Feed } from './feed.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'local:main'

/** The real store and desk, and a task that can be due. */
function desk(t: { after(fn: () => void): void }, changes: Partial<Task> = {}) {
  const { store } = storeWith(t, ['main'])
  const clock = new ManualClock()
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk({ store, feed: new Feed(console), now: clock.now, judge: everybody }, rules)
  const task: Task = {
    ...{ id: 't1', folder: 'main', jid: JID, prompt: 'Water the <plants>', script: null, status: 'active', reason: null },
    ...{ schedule: { type: 'interval', value: '3600000' }, contextMode: 'group', catchUp: 'once' },
    ...{ nextRun: 3_600_000, lastRun: null, lastResult: null, createdAt: 0 },
    ...changes,
  }
  store.tasks.add(task)
  const lane = task.contextMode === 'isolated' ? 'isolated' : 'chat'
  const due = () => {
    const runId = store.tasks.startRun({ taskId: task.id, at: clock.now() })
    store.turns.addTask({ folder: 'main', jid: JID, lane, runId, at: clock.now() })
    return runId
  }
  const say = (text: string) =>
    store.messages.add({ jid: JID, id: text, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false }).seq
  const claim = (): ClaimedTurn => desk.claim('main', lane) ?? assert.fail('there is no work')
  const told = () => store.outbox.due(Number.MAX_SAFE_INTEGER).map(({ text }) => text)
  const run = () => store.tasks.history('t1', 1)[0]
  return { store, desk, clock, due, say, claim, told, run }
}

const failed = (reason: 'login' | 'crash' | 'too-large' | 'session-lost') => ({ type: 'failed' as const, reason, detail: 'why' })

test('a task that is due goes before messages, and its answer is posted and recorded', (t) => {
  const { store, desk: d, due, say, claim, run } = desk(t)
  const seq = say('hi')
  due()
  const turn = claim()
  assert.ok(turn.prompt.includes('<scheduled-task id="t1"') && turn.prompt.includes('Water the &lt;plants&gt;'))
  assert.ok(!turn.prompt.includes('>hi<'))
  d.finish([turn], { type: 'answered', text: 'watered', usage: undefined })
  assert.deepEqual(store.messages.answersOf(turn.turn.id), ['watered'])
  assert.deepEqual([run()?.status, run()?.result], ['success', 'watered'])
  assert.equal(store.chats.cursors(JID).answeredSeq, 0, 'no message is answered by a task')
  assert.equal(claim().throughSeq, seq)
})

test('a task is called by the first 60 characters of what it asks, on one line', (t) => {
  const called = (prompt: string) => {
    const { due, claim } = desk(t, { prompt })
    due()
    return claim().task?.title
  }
  assert.equal(called(` Water\n the  ${'x'.repeat(50)} `), `Water the ${'x'.repeat(50)}`)
  assert.equal(called('x'.repeat(61)), `${'x'.repeat(59)}…`)
})

test('a run that somebody stopped is on record as that', (t) => {
  const { desk: d, due, claim, run } = desk(t)
  due()
  d.finish([claim()], { type: 'stopped', text: 'so far' })
  assert.deepEqual([run()?.status, run()?.result, run()?.error], ['error', 'so far', 'stopped by somebody'])
})

test('what is said while a task runs is not swallowed by it', (t) => {
  const { desk: d, due, say, claim } = desk(t)
  due()
  const turn = claim()
  say('hello?')
  d.finish([turn], { type: 'answered', text: '<internal>nothing to do</internal>', usage: undefined })
  assert.ok(claim().prompt.includes('hello?'))
})

test('an isolated run has a lane and a session of its own, and the same one when it is tried again', (t) => {
  const { store, desk: d, due, say, claim, clock } = desk(t, { contextMode: 'isolated' })
  store.sessions.set('main', 'the conversation')
  due()
  say('hi')
  const turn = claim()
  assert.equal(turn.sessionId, undefined)
  assert.ok(d.claim('main', 'chat'), 'the chat is answered beside it')
  d.sessionNamed(turn, 'its own')
  assert.equal(store.sessions.get('main'), 'the conversation')
  d.finish([turn], failed('crash'))
  clock.advance(5_000)
  assert.equal(claim().sessionId, 'its own')
})

test('a run that broke off with the host is begun anew once', (t) => {
  const { desk: d, due, claim, told, run } = desk(t)
  due()
  const first = claim()
  assert.equal(d.recover(), 1)
  const second = claim()
  assert.deepEqual([second.turn.id, second.earlier], [first.turn.id, [first.uuid]])
  assert.equal(d.recover(), 1)
  assert.equal(d.claim('main', 'chat'), undefined)
  assert.equal(run()?.status, 'error')
  assert.match(told()[0] ?? '', /"Water the <plants>" failed.*It runs again at 1970-01-01 01:00/)
})

test('a run whose missed moments are not made up for is not begun anew', (t) => {
  const { desk: d, due, claim } = desk(t, { catchUp: 'skip' })
  due()
  claim()
  d.recover()
  assert.equal(d.claim('main', 'chat'), undefined)
})

test('a task that fails in the same way each time is told once, and again when the way changes', (t) => {
  const { desk: d, due, claim, store } = desk(t)
  const toldAfter = (reason: 'login' | 'too-large') => {
    due()
    d.finish([claim()], failed(reason))
    return store.outbox.counts().pending
  }
  assert.deepEqual([toldAfter('login'), toldAfter('login'), toldAfter('too-large'), toldAfter('login')], [1, 1, 2, 3])
})

test('a run whose task is gone ends without being worked on', (t) => {
  const { store, desk: d, clock } = desk(t)
  const runId = store.tasks.startRun({ taskId: 'gone', at: clock.now() })
  store.turns.addTask({ folder: 'main', jid: JID, lane: 'chat', runId, at: clock.now() })
  assert.equal(d.claim('main', 'chat'), undefined)
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 0, failed: 0 })
  assert.equal(store.tasks.history('gone', 1)[0]?.error, 'the task was removed')
})

test('a run that broke off, and whose task was cancelled, ends with the next start', (t) => {
  const { store, desk: d, due, claim, told, run } = desk(t)
  due()
  claim()
  store.tasks.remove('t1')
  assert.equal(d.recover(), 1)
  assert.deepEqual(store.turns.counts(), { pending: 0, running: 0, failed: 0 })
  assert.equal(run()?.error, 'the task was removed')
  assert.deepEqual(told(), [])
})

test('a moment that passes while a run goes on does not silence its failure', (t) => {
  const { store, desk: d, due, claim, told, clock } = desk(t)
  due()
  const turn = claim()
  store.tasks.skipRun({ taskId: 't1', at: clock.now(), dueAt: 3_600_000, note: 'the run before it was still going on' })
  d.finish([turn], failed('too-large'))
  assert.equal(told().length, 1)
})

test('moments that pass between runs do not make the same failure news', (t) => {
  const { store, desk: d, due, claim, clock } = desk(t)
  for (let n = 1; n < 4; n++) {
    due()
    d.finish([claim()], failed('too-large'))
    store.tasks.skipRun({ taskId: 't1', at: clock.now(), dueAt: n * 3_600_000, note: 'the computer was off' })
  }
  assert.equal(store.outbox.counts().pending, 1)
})

test('a run that waits stays in its lane when its task is changed, and does not touch the conversation', (t) => {
  const { store, desk: d, due } = desk(t, { contextMode: 'isolated' })
  const change = (contextMode: 'group' | 'isolated') =>
    store.tasks.save({ ...(store.tasks.find('t1') ?? assert.fail()), contextMode })
  due()
  change('group')
  const turn = d.claim('main', 'isolated') ?? assert.fail('there is no work')
  assert.deepEqual([turn.lane, turn.sessionId], ['isolated', undefined])
  d.sessionNamed(turn, 'its own')
  assert.equal(store.sessions.get('main'), undefined)
  store.sessions.set('main', 'the conversation')
  d.finish([turn], failed('session-lost'))
  assert.equal(store.sessions.get('main'), 'the conversation')
})
