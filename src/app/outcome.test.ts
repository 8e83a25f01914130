import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutcomeEvent } from '@nanoclaw/protocol'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { ManualClock } from '../../test/fakes/clock.ts'
import { until } from '../../test/fakes/patience.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { Feed } from './feed.ts'
import { outcomeOf } from './outcome.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'local:main'

/** The real store, desk and feed; `follow` notes what becomes of a message. */
function room(t: TestContext) {
  const { store } = storeWith(t, ['main'])
  const clock = new ManualClock()
  const feed = new Feed(console)
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 1, installId: 'test' }
  const desk = new TurnDesk({ store, feed, now: clock.now, judge: everybody }, rules)
  const say = (text: string) =>
    store.messages.add({ jid: JID, id: text, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false }).seq
  const claim = () => desk.claim('main', 'chat') ?? assert.fail('there is no work')
  const follow = (seq: number, signal = new AbortController().signal) => {
    const heard: OutcomeEvent[] = []
    const over = (async () => {
      for await (const event of outcomeOf({ store, feed, jid: JID, seq, signal })) heard.push(event)
      return heard
    })()
    return { heard, over }
  }
  return { store, clock, feed, desk, say, claim, follow }
}

const answered = (text: string | null) => ({ type: 'answered' as const, text, usage: undefined })
const failed = (reason: 'crash' | 'login' | 'too-large') => ({ type: 'failed' as const, reason, detail: 'why' })

test('who waits for a message hears what is done for it and then the answer of the turn that took it', async (t) => {
  const { desk, feed, say, claim, follow } = room(t)
  const seq = say('hi')
  const { heard, over } = follow(seq)
  const turn = claim()
  feed.publish(JID, { type: 'activity', kind: 'tool', detail: 'Bash' })
  await until(() => heard.length === 1, 'it is told what is done')
  assert.deepEqual(heard, [{ type: 'activity', kind: 'tool', detail: 'Bash' }])
  desk.finish([turn], answered('hello'))
  assert.deepEqual((await over).slice(1), [{ type: 'answer', text: 'hello' }])
  assert.equal(feed.watched, false)
  assert.deepEqual(await follow(seq).over, [{ type: 'answer', text: 'hello' }], 'also who asks later')
})

test('the end of an earlier turn is not the end of a message that it did not take', async (t) => {
  const { desk, say, claim, follow } = room(t)
  say('one')
  const first = claim()
  const { heard, over } = follow(say('two'))
  desk.finish([first], answered('1'))
  await hasTheChance()
  assert.deepEqual(heard, [])
  desk.finish([claim()], answered(null))
  assert.deepEqual(await over, [{ type: 'answer', text: null }])
})

test('who waits hears that it is tried again, and then how it ended', async (t) => {
  const { desk, clock, say, claim, follow } = room(t)
  const { heard, over } = follow(say('hi'))
  desk.finish([claim()], failed('crash'))
  await until(() => heard.length === 1, 'it is told that it is tried again')
  clock.advance(60_000)
  desk.finish([claim()], failed('crash'))
  const [waiting, ended] = await over
  assert.match(waiting?.type === 'waiting' ? waiting.detail : '', /^I crashed .* I will try again at/)
  assert.match(ended?.type === 'failed' ? ended.message : '', /crash/)
})

for (const [what, end, message] of [
  ['failed', (desk: TurnDesk, turn: ClaimedTurn) => desk.finish([turn], failed('too-large')), 'too-large: why'],
  ['waits for somebody', (desk: TurnDesk, turn: ClaimedTurn) => desk.finish([turn], failed('login')), 'login: why'],
  [
    'was stopped',
    (desk: TurnDesk, turn: ClaimedTurn) => desk.finish([turn], { type: 'stopped', text: 'so far' }),
    'The turn was stopped.\n\nso far',
  ],
] as const)
  test(`who asks for a message whose turn ${what} hears so at once`, async (t) => {
    const { desk, say, claim, follow } = room(t)
    const seq = say('hi')
    end(desk, claim())
    assert.deepEqual(await follow(seq).over, [{ type: 'failed', message }])
  })

test('a message behind one that waits for somebody waits with it, and hears why', async (t) => {
  const { store, desk, say, claim, follow } = room(t)
  say('one')
  const turn = claim()
  const seq = say('two')
  desk.finish([turn], failed('login'))
  assert.equal(store.chats.cursors(JID).parkedSeq, seq)
  assert.deepEqual(await follow(seq).over, [{ type: 'failed', message: 'login: why' }])
})

test('a message that waits for its turn, or whose turn runs, has no outcome yet; who leaves hears nothing', async (t) => {
  const { feed, say, claim, follow } = room(t)
  const seq = say('hi')
  for (const running of [false, true]) {
    if (running) claim()
    const leave = new AbortController()
    const { heard, over } = follow(seq, leave.signal)
    await hasTheChance()
    assert.deepEqual([heard, feed.watched], [[], true])
    leave.abort()
    assert.deepEqual([await over, feed.watched], [[], false])
  }
})

test('who reads too slowly misses what was done, and not how it ended', async (t) => {
  const { store, desk, feed, say, claim } = room(t)
  const seq = say('hi')
  const events = outcomeOf({ store, feed, jid: JID, seq, signal: new AbortController().signal })
  const turn = claim()
  const first = events.next()
  feed.publish(JID, { type: 'activity', kind: 'tool', detail: 'Bash' })
  await first
  desk.finish([turn], answered('hello'))
  for (let n = 0; n < 1_500; n++) feed.publish(JID, { type: 'activity', kind: 'tool', detail: 'Read' })
  assert.deepEqual(await events.next(), { value: { type: 'answer', text: 'hello' }, done: false })
  assert.equal((await events.next()).done, true)
})
