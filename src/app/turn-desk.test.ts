import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { ManualClock } from '../../test/fakes/clock.ts'
import { registerChat, storeWith } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { Feed, type FeedEvent } from './feed.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'local:main'

/** The real store in a folder of its own, with main and its terminal chat. */
function desk(t: { after(fn: () => void): void }, { chats = [] }: { chats?: string[] } = {}) {
  const { store } = storeWith(t, ['main'])
  for (const jid of chats) registerChat(store, { jid, folder: 'main' })
  const clock = new ManualClock()
  const feed = new Feed(console)
  const events: FeedEvent[] = []
  feed.subscribe(JID, (event) => events.push(event))
  const desk = new TurnDesk(
    { store, feed, now: clock.now, judge: everybody },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' },
  )
  const say = (text: string, jid = JID) =>
    store.messages.add({ jid, id: `${jid}-${text}`, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false }).seq
  return { store, desk, clock, events, say }
}

const claim = (d: TurnDesk): ClaimedTurn => d.claim('main', 'chat') ?? assert.fail('there is no work')
const answered = (text: string | null) => ({ type: 'answered' as const, text, usage: undefined })
const failed = (reason: 'overload' | 'login' | 'setup' | 'session-lost' | 'too-large') => ({
  type: 'failed' as const,
  reason,
  detail: 'why',
})

test('an answer, its delivery, the cursor and the end of the turn are one commit', (t) => {
  const { store, desk: d, say, events } = desk(t)
  const seq = say('hi')
  const turn = claim(d)
  assert.match(turn.prompt, /^<context timezone="UTC"\/>\n<messages>\n<message [^>]*>hi<\/message>/, 'there is only one chat')
  assert.equal(d.claim('main', 'chat'), undefined, 'a chat has one open turn')
  d.finish([turn], answered('hello <internal>x</internal>'))
  assert.deepEqual(store.messages.answersOf(turn.turn.id), ['hello'])
  assert.deepEqual(
    store.outbox.due(Number.MAX_SAFE_INTEGER).map((row) => [row.jid, row.text, row.key]),
    [[JID, 'hello', `turn-${turn.turn.id}`]],
  )
  assert.equal(store.chats.cursors(JID).answeredSeq, seq)
  assert.equal(store.turns.find(turn.turn.id)?.turn.state, 'done')
  assert.deepEqual(
    events.map((event) => event.type + ('state' in event ? `:${event.state}` : '')),
    ['turn:running', 'message', 'turn:done'],
  )
  assert.equal(d.look('main', 'chat').type, 'nothing')
})

test('what a turn used stands beside it in the store', (t) => {
  const { store, folder } = storeWith(t, ['main'])
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const d = new TurnDesk({ store, feed: new Feed(console), now: () => 0, judge: everybody }, rules)
  store.messages.add({ jid: JID, id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  const usage = { inputTokens: 1, outputTokens: 2, costUsd: 0.5 }
  d.finish([claim(d)], { type: 'answered', text: 'hello', usage })
  const db = new SQLite(path.join(folder, 'messages.db'), { readonly: true })
  t.after(() => db.close())
  const used = db
    .prepare('SELECT input_tokens AS inputTokens, output_tokens AS outputTokens, cost_usd AS costUsd FROM turns')
    .all()
  assert.deepEqual(used, [usage])
})

test('when one part of the commit cannot be written, none is', (t) => {
  const { store, desk: d, say } = desk(t)
  say('hi')
  const turn = claim(d)
  t.mock.method(store.outbox, 'add', () => {
    throw new Error('disk full')
  })
  assert.throws(() => d.finish([turn], answered('hello')), /disk full/)
  assert.equal(store.turns.find(turn.turn.id)?.turn.state, 'running')
  assert.deepEqual(store.messages.answersOf(turn.turn.id), [])
  assert.equal(store.chats.cursors(JID).answeredSeq, 0)
})

test('silence is an answer: nothing is sent, the message counts as answered', (t) => {
  const { store, desk: d, say } = desk(t)
  const seq = say('hi')
  d.finish([claim(d)], answered('<internal>nothing to say</internal>'))
  assert.deepEqual(store.outbox.due(Number.MAX_SAFE_INTEGER), [])
  assert.equal(store.chats.cursors(JID).answeredSeq, seq)
})

test('messages that came while a turn ran are the next turn', (t) => {
  const { desk: d, say } = desk(t)
  say('one')
  const first = claim(d)
  say('two')
  d.finish([first], answered('1'))
  const second = claim(d)
  assert.ok(second.prompt.includes('>two<') && !second.prompt.includes('>one<'))
})

test('what the chat says while its turn runs joins it, and both end with one answer', (t) => {
  const { store, desk: d, say } = desk(t)
  say('one')
  const first = claim(d)
  assert.equal(d.claimFollowUp(first), undefined)
  const seq = say('two')
  const second = d.claimFollowUp(first) ?? assert.fail('there is no follow-up')
  assert.ok(second.prompt.includes('>two<') && !second.prompt.includes('>one<'))
  d.finish([first, second], answered('both'))
  assert.deepEqual([store.messages.answersOf(first.turn.id), store.messages.answersOf(second.turn.id)], [['both'], ['both']])
  assert.equal(store.outbox.due(Number.MAX_SAFE_INTEGER).length, 1)
  assert.equal(store.chats.cursors(JID).answeredSeq, seq)
  assert.equal(d.look('main', 'chat').type, 'nothing')
})

test('what another chat of the group says does not join a turn, and neither does what a chat says that is another group’s now', (t) => {
  const { store, desk: d, say } = desk(t, { chats: ['tg:1'] })
  say('one')
  const first = claim(d)
  say('two', 'tg:1')
  assert.equal(d.claimFollowUp(first), undefined)
  say('three')
  store.groups.add({ folder: 'family', name: 'family', isMain: false, config: {} }, 0)
  store.groups.unregister(JID)
  assert.equal(d.claimFollowUp(first), undefined)
  registerChat(store, { jid: JID, folder: 'family' })
  assert.equal(d.claimFollowUp(first), undefined)
})

test('one answer to two turns is said once, also when the second turn ends later', (t) => {
  const { store, desk: d, say } = desk(t)
  say('one')
  const first = claim(d)
  say('two')
  const second = d.claimFollowUp(first) ?? assert.fail('there is no follow-up')
  const answer = { ...answered('both'), answerId: 'a1' }
  d.finish([first], answer)
  d.finish([second], answer)
  assert.deepEqual([store.messages.answersOf(first.turn.id), store.messages.answersOf(second.turn.id)], [['both'], ['both']])
  assert.equal(store.outbox.due(Number.MAX_SAFE_INTEGER).length, 1)
  say('three')
  const third = claim(d)
  d.finish([third], { ...answered('another'), answerId: 'a2' })
  assert.deepEqual(store.messages.answersOf(third.turn.id), ['another'])
})

test('a further try names the first tries of the turns that were in flight with it', (t) => {
  const { desk: d, say, clock } = desk(t)
  say('one')
  const first = claim(d)
  say('two')
  const second = d.claimFollowUp(first) ?? assert.fail('there is no follow-up')
  assert.deepEqual([first.siblings, second.siblings], [[], []])
  d.finish([first, second], failed('overload'))
  clock.advance(60_000)
  const again = claim(d)
  assert.deepEqual([again.turn.id, again.siblings, again.earlier], [first.turn.id, [second.uuid], [first.uuid]])
})

test('turns that fail together are told once, and go on in their order', (t) => {
  const { store, desk: d, say, clock } = desk(t)
  say('one')
  const first = claim(d)
  say('two')
  const second = d.claimFollowUp(first) ?? assert.fail('there is no follow-up')
  d.finish([first, second], { type: 'failed', reason: 'engine', detail: 'gone' })
  assert.equal(store.outbox.due(Number.MAX_SAFE_INTEGER).length, 1)
  clock.advance(5_000)
  const again = claim(d)
  assert.equal(again.turn.id, first.turn.id)
  assert.equal(d.claimFollowUp(again), undefined, 'what was tried before is a turn of its own')
  d.finish([again], answered('one'))
  assert.equal(claim(d).turn.id, second.turn.id)
})

test('a failed turn waits, then goes on with a new uuid and its earlier one', (t) => {
  const { desk: d, say, clock } = desk(t)
  say('hi')
  const first = claim(d)
  d.finish([first], failed('overload'))
  assert.deepEqual(d.look('main', 'chat'), { type: 'wait', at: clock.now() + 5_000 })
  clock.advance(5_000)
  const second = claim(d)
  assert.equal(second.turn.id, first.turn.id)
  assert.deepEqual(second.earlier, [first.uuid])
  assert.notEqual(second.uuid, first.uuid)
})

test('without a login the messages wait, and a newer one takes them along', (t) => {
  const { store, desk: d, say, events } = desk(t)
  say('one')
  d.finish([claim(d)], failed('login'))
  assert.equal(d.look('main', 'chat').type, 'nothing')
  assert.match(store.outbox.due(Number.MAX_SAFE_INTEGER)[0]?.text ?? '', /ANTHROPIC_API_KEY/)
  const last = events.at(-1)
  assert.equal(last?.type === 'turn' && last.state, 'failed')
  say('two')
  const again = claim(d)
  assert.ok(again.prompt.includes('one') && again.earlier.length === 1, 'it is the same turn, tried again')
  d.finish([again], answered('1'))
  assert.ok(claim(d).prompt.includes('two'))
})

test('a restart wakes messages that waited for a login', (t) => {
  const { desk: d, say } = desk(t)
  say('one')
  d.finish([claim(d)], failed('login'))
  d.recover()
  assert.equal(d.look('main', 'chat').type, 'work')
})

test('what fails again for want of a login, with nothing said since, is told once', (t) => {
  const { store, desk: d, say } = desk(t)
  const told = () => store.outbox.counts().pending
  say('one')
  d.finish([claim(d)], failed('login'))
  d.recover()
  d.finish([claim(d)], failed('login'))
  assert.equal(told(), 1)
  say('two')
  d.finish([claim(d)], failed('login'))
  assert.equal(told(), 2)
})

test('a turn whose host went away is tried again at the next start, as the same turn', (t) => {
  const { desk: d, say } = desk(t)
  say('hi')
  const first = claim(d)
  assert.equal(d.recover(), 1)
  const second = claim(d)
  assert.equal(second.turn.id, first.turn.id)
  assert.deepEqual(second.earlier, [first.uuid])
})

test('a lost session is forgotten before the next try; what cannot be answered is told and given up', (t) => {
  const { store, desk: d, say } = desk(t)
  const seq = say('hi')
  store.sessions.set('main', 'dead')
  d.finish([claim(d)], failed('session-lost'))
  const again = claim(d)
  assert.equal(again.sessionId, undefined)
  d.finish([again], failed('too-large'))
  assert.equal(store.chats.cursors(JID).answeredSeq, seq)
  assert.equal(store.turns.counts().failed, 1)
})

test('who is answered by an agent that lost its session is told so, once', (t) => {
  const { store, desk: d, say } = desk(t)
  say('hi')
  store.sessions.set('main', 'dead')
  d.finish([claim(d)], failed('session-lost'))
  d.finish([claim(d)], answered('hello'))
  const last = () => store.messages.latest(JID, 1)[0]?.text
  assert.equal(last(), 'hello\n\n(The earlier conversation could not be continued, so this is a fresh one.)')
  say('and now?')
  d.finish([claim(d)], answered('fine'))
  assert.equal(last(), 'fine')
})

test('a conversation has the session that its first turn was given, and follows it when it gets another name', (t) => {
  const { store, desk: d, say } = desk(t)
  say('hi')
  const first = claim(d)
  d.sessionNamed(first, 'one')
  d.sessionNamed(first, 'never')
  assert.equal(store.sessions.get('main'), 'one', 'what somebody named meanwhile stays')
  d.finish([first], answered('1'))
  say('more')
  const second = claim(d)
  assert.equal(second.sessionId, 'one')
  d.sessionNamed(second, 'two')
  assert.equal(store.sessions.get('main'), 'two')
})

test('a session that was cleared by hand while a turn ran stays cleared', (t) => {
  const { store, desk: d, say } = desk(t)
  store.sessions.set('main', 'one')
  say('hi')
  const turn = claim(d)
  store.sessions.clear('main')
  d.sessionNamed(turn, 'one')
  assert.equal(store.sessions.get('main'), undefined)
})

test('the chats of a group take turns, the oldest message first, and the prompt names the chat', (t) => {
  const { desk: d, say } = desk(t, { chats: ['tg:1'] })
  say('second', 'tg:1')
  say('third')
  const first = claim(d)
  assert.equal(first.jid, 'tg:1')
  assert.ok(first.prompt.includes('chat="tg:1"'))
})

test('what waits for the machine to be put right looks again by itself, in silence; what waits for a login does not', (t) => {
  const { store, desk: d, clock, say } = desk(t)
  say('hi')
  d.finish([claim(d)], failed('setup'))
  assert.deepEqual(d.look('main', 'chat'), { type: 'wait', at: clock.now() + 600_000 })
  clock.advance(600_000)
  d.finish([claim(d)], failed('setup'))
  assert.equal(store.outbox.counts().pending, 1)
  clock.advance(600_000)
  d.finish([claim(d)], failed('login'))
  clock.advance(6_000_000)
  assert.equal(d.look('main', 'chat').type, 'nothing')
  say('and now?')
  assert.equal(d.look('main', 'chat').type, 'work')
})
