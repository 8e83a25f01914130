import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { registerChat, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import type { Task } from '../store/tasks.ts'
import { Feed } from './feed.ts'
import { postNotice } from './notices.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'tg:1'

/** The real store and desk, with a chat whose sends end as the test says. */
function room(t: TestContext) {
  const { store } = storeWith(t, ['main', 'family'])
  registerChat(store, { jid: JID, folder: 'family' })
  const clock = new ManualClock(60_000)
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk({ store, feed: new Feed(console), now: clock.now, judge: everybody }, rules)
  let n = 0
  const say = (text: string) =>
    store.messages.add({ jid: JID, id: `m${n++}`, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
  const claim = (lane: 'chat' | 'isolated' = 'chat') => desk.claim('family', lane) ?? assert.fail('there is no work')
  const answer = (text: string) => {
    say('question')
    desk.finish([claim()], { type: 'answered', text, usage: undefined })
  }
  /** What waits in the outbox ends undelivered. */
  const lose = (state: 'failed' | 'uncertain', why: string) => {
    for (let row = store.outbox.due(clock.now())[0]; row; row = store.outbox.due(clock.now())[0])
      store.outbox.close({ seq: row.seq, state, at: clock.now(), platformId: null, why })
  }
  return { store, clock, desk, say, claim, answer, lose }
}

const undeliveredIn = ({ prompt }: ClaimedTurn) => prompt.split('\n').filter((line) => line.startsWith('<undelivered'))
const overload = { type: 'failed', reason: 'overload', detail: 'why' } as const

test('what did not arrive is told to the agent in the next turn of the chat, once', (t) => {
  const { answer, lose, say, claim, desk } = room(t)
  answer('the <answer>')
  lose('failed', 'The "bot" was removed.')
  say('hello?')
  const turn = claim()
  assert.deepEqual(undeliveredIn(turn), [
    '<undelivered time="1970-01-01 00:01" outcome="refused: The &quot;bot&quot; was removed.">the &lt;answer&gt;</undelivered>',
  ])
  desk.finish([turn], { type: 'answered', text: null, usage: undefined })
  say('and now?')
  assert.deepEqual(undeliveredIn(claim()), [])
})

test('a turn that is tried again is told the same, and what was lost meanwhile is left for the next one', (t) => {
  const { answer, lose, say, claim, desk, clock, store } = room(t)
  answer('first')
  lose('uncertain', 'lost')
  say('hello?')
  const turn = claim()
  store.outbox.add({ jid: JID, text: 'second', key: 'second', turnId: turn.turn.id, at: clock.now() })
  lose('failed', 'no')
  desk.finish([turn], overload)
  clock.advance(60_000)
  const again = claim()
  assert.deepEqual([again.turn.id, undeliveredIn(again)], [turn.turn.id, undeliveredIn(turn)])
  assert.match(undeliveredIn(again).join(), /^<undelivered [^>]*>first</)
  desk.finish([again], { type: 'answered', text: null, usage: undefined })
  say('more')
  assert.match(undeliveredIn(claim()).join(), /^<undelivered [^>]*>second</)
})

test('a follow-up is told what was lost while the turn before it ran', (t) => {
  const { say, claim, desk, lose, store, clock } = room(t)
  say('hello')
  const turn = claim()
  store.outbox.add({ jid: JID, text: 'working on it', key: 'said', turnId: turn.turn.id, at: clock.now() })
  lose('failed', 'no')
  say('more')
  assert.match(undeliveredIn(desk.claimFollowUp(turn) ?? assert.fail('no follow-up')).join(), />working on it</)
})

test("the host's own words and a library's are not fed back", (t) => {
  const { answer, lose, say, claim, desk, store, clock } = room(t)
  postNotice(store, { jid: JID, text: 'I crashed (secret)', key: 'n', turnId: null, at: clock.now() })
  say('/status')
  const chat = store.groups.chat(JID) ?? assert.fail('no chat')
  const message = store.messages.latest(JID, 1)[0] ?? assert.fail('no message')
  desk.answerCommand({ chat, message, reply: 'Session secret.' })
  answer('mine')
  lose('uncertain', 'fetch failed: https://api.example/bot-secret')
  say('hello?')
  const { prompt } = claim()
  assert.doesNotMatch(prompt, /secret/)
  assert.match(prompt, /outcome="unknown: it may be there once, twice, or not">mine</)
})

test('a run of a task in the conversation is told, and one beside it is not', (t) => {
  const { answer, lose, claim, store, clock } = room(t)
  answer('mine')
  lose('failed', 'no')
  const task: Task = {
    ...{ id: 't1', folder: 'family', jid: JID, prompt: 'x', script: null, schedule: { type: 'once', value: '' } },
    ...{ contextMode: 'isolated', catchUp: 'once', status: 'active', reason: null, nextRun: null, lastRun: null },
    ...{ lastResult: null, createdAt: 0 },
  }
  const due = (id: string, contextMode: Task['contextMode']) => {
    store.tasks.add({ ...task, id, contextMode })
    const runId = store.tasks.startRun({ taskId: id, at: clock.now() })
    const lane = contextMode === 'isolated' ? 'isolated' : 'chat'
    store.turns.addTask({ folder: 'family', jid: JID, lane, runId, at: clock.now() })
    return undeliveredIn(claim(lane)).length
  }
  assert.deepEqual([due('beside', 'isolated'), due('within', 'group')], [0, 1])
})

test('an agent is not told what another one said in the chat before it was given to its group', (t) => {
  const { answer, lose, say, store, clock, desk } = room(t)
  answer('for the family')
  lose('failed', 'no')
  clock.advance(1_000)
  store.groups.unregister(JID)
  store.groups.register({ jid: JID, folder: 'main', trigger: null, requiresTrigger: false }, clock.now())
  say('hello')
  const turn = desk.claim('main', 'chat') ?? assert.fail('there is no work')
  assert.doesNotMatch(turn.prompt, /family/)
})

test('of much that was lost the newest is told, each by its beginning, and how much more there is', (t) => {
  const { lose, say, claim, store, clock } = room(t)
  for (let n = 0; n < 13; n++)
    store.outbox.add({ jid: JID, text: `${n} ${'long '.repeat(100)}`, key: `k${n}`, turnId: null, at: clock.now() })
  const file = { path: '/nowhere/secret', name: 'report.pdf', mimeType: 'application/pdf' }
  store.outbox.add({ jid: JID, text: 'as you asked', file, key: 'file', turnId: null, at: clock.now() })
  lose('failed', 'x'.repeat(10_000))
  say('hello')
  const lines = undeliveredIn(claim())
  assert.deepEqual([lines.length, lines[0]], [11, '<undelivered count="4" outcome="older ones, not shown"/>'])
  assert.ok(lines.every((line) => line.length < 600))
  assert.match(lines.at(-1) ?? '', />\[File: report\.pdf\] as you asked</)
  assert.doesNotMatch(lines.join(), /nowhere/)
})
