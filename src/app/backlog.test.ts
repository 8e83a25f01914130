import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { ManualClock } from '../../test/fakes/clock.ts'
import { countingRows } from '../../test/fakes/counted-rows.ts'
import { until } from '../../test/fakes/patience.ts'
import { queueOffice } from '../../test/fakes/queue-office.ts'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { openDatabase } from '../store/database.ts'
import { Store } from '../store/store.ts'
import { Feed } from './feed.ts'
import { Inbox } from './inbox.ts'
import { outcomeOf } from './outcome.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'tg:1'

/** The real inbox and desk in a chat that is called by @Andy, on a store that counts what it reads. */
function room(t: TestContext) {
  const db = openDatabase(path.join(temporaryFolder(t), 'messages.db'))
  db.pragma('synchronous = OFF')
  const counted = countingRows(db)
  const store = new Store(counted.db)
  t.after(() => store.close())
  store.groups.add({ folder: 'family', name: 'Family', isMain: false, config: {} }, 0)
  store.chats.see({ jid: JID })
  store.groups.register({ jid: JID, folder: 'family', trigger: null, requiresTrigger: true }, 0)
  const clock = new ManualClock()
  const feed = new Feed(console)
  const inbox = new Inbox({
    store,
    feed,
    judge: everybody,
    onDropped() {},
    takeCommand: () => undefined,
    deliver() {},
    wake() {},
  })
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk({ store, feed, now: clock.now, judge: everybody }, rules)
  let count = 0
  const say = (text: string) => {
    const id = String(++count)
    return store.messages.add({ jid: JID, id, sender: 'ann', senderName: 'Ann', text, sentAt: count * 60_000, fromMe: false }).seq
  }
  const chatter = (messages: number) => store.tx(() => void Array.from({ length: messages }, (_, n) => say(`chatter ${n}`)))
  const read = (act: () => unknown) => {
    const before = counted.rows()
    act()
    return counted.rows() - before
  }
  const taken = () => desk.claim('family', 'chat') ?? assert.fail('there is no work')
  return { store, feed, clock, inbox, desk, say, chatter, read, taken }
}

const shownIn = ({ prompt }: ClaimedTurn) => [...prompt.matchAll(/<message [^>]*>(.*?)<\/message>/gs)].map(([, text]) => text)
const noteIn = ({ prompt }: ClaimedTurn) => /<left-out [^>]*>/.exec(prompt)?.[0]
const failed = { type: 'failed' as const, reason: 'overload' as const, detail: 'why' }
const answered = { type: 'answered' as const, text: 'ok', usage: undefined }

test('a turn takes up all that waited, however much it was, and shows the newest', (t) => {
  const { store, desk, say, chatter, taken } = room(t)
  chatter(1_500)
  const call = say('@Andy hi')
  chatter(3)
  const turn = taken()
  assert.deepEqual([shownIn(turn).length, shownIn(turn).at(-1), turn.throughSeq], [200, '@Andy hi', call])
  assert.equal(
    noteIn(turn),
    '<left-out count="1301" from="1970-01-01 00:01" to="1970-01-01 21:41" reason="only the newest 200 messages and 200000 characters are shown"/>',
  )
  assert.deepEqual(
    [1, 700, 1_301, 1_302, call].map((seq) => store.messages.turnOf(seq)),
    Array(5).fill(turn.turn.id),
  )
  assert.deepEqual(
    [call + 1, call + 3].map((seq) => store.messages.turnOf(seq)),
    [undefined, undefined],
  )
  desk.finish([turn], answered)
  assert.equal(desk.look('family', 'chat').type, 'nothing')
  assert.equal(store.messages.unanswered(JID, store.chats.cursors(JID).answeredSeq).length, 3, 'context of the next turn')
})

test('what a claim reads does not grow with what waits', (t) => {
  const { desk, say, chatter, read, taken } = room(t)
  const claimed = (messages: number) => {
    chatter(messages)
    for (let look = desk.look('family', 'chat'); look.type === 'wait'; look = desk.look('family', 'chat'));
    say('@Andy hi')
    const rows = read(() => desk.finish([taken()], answered))
    return rows
  }
  const [few, many] = [claimed(1_000), claimed(20_000)]
  assert.ok(few < 1_000 && Math.abs(few - many) < 10, `${few} and ${many} rows`)
})

test('a first look at a long silence reads a bounded part of it, and asks to be asked again', (t) => {
  const { desk, chatter, clock, read } = room(t)
  chatter(10_000)
  const rows = read(() => assert.deepEqual(desk.look('family', 'chat'), { type: 'wait', at: clock.now(), isLooking: true }))
  assert.ok(rows < 2_500, `${rows} rows`)
  let looks = 0
  while (desk.look('family', 'chat').type !== 'nothing') looks++
  assert.ok(looks < 20, `${looks} looks`)
  assert.ok(read(() => desk.look('family', 'chat')) < 20, 'what was read once is not read again')
})

test('the queue goes on with a search by itself, and the turn follows', async (t) => {
  const { store, queue, clock, starts } = queueOffice(t, { groups: ['main', 'family'], maxContainers: 1 })
  store.chats.see({ jid: JID })
  store.groups.register({ jid: JID, folder: 'family', trigger: null, requiresTrigger: true }, 0)
  const add = (id: number, text: string) =>
    store.messages.add({ jid: JID, id: String(id), sender: 'ann', senderName: 'Ann', text, sentAt: 0, fromMe: false })
  store.tx(() => {
    add(0, '@Andy hang')
    for (let id = 1; id < 5_000; id++) add(id, 'chatter')
  })
  queue.wake('family')
  await hasTheChance()
  assert.deepEqual([starts.length, clock.waiting], [0, 1], 'the call is not found yet, and the search goes on at once')
  clock.advance(0)
  await until(() => queue.containers()[0]?.working === true, 'the agent works')
  assert.equal(store.messages.turnOf(1), 1, 'the oldest message')
})

test('a further try has all that its turn took up, as it is by then, and follow-ups begin behind it', async (t) => {
  const { store, inbox, clock, desk, say, chatter, taken } = room(t)
  chatter(500)
  const call = say('@Andy hi')
  const turn = taken()
  const more = [say('more'), say('@Andy and?')]
  const joined = desk.claimFollowUp(turn) ?? assert.fail('no follow-up')
  assert.deepEqual([shownIn(joined), noteIn(joined)], [['more', '@Andy and?'], undefined])
  desk.finish([joined, turn], failed)
  await inbox.deleted({ jid: JID, id: String(more[1]), sender: 'ann' })
  await inbox.deleted({ jid: JID, id: String(call), sender: 'ann' })
  await inbox.edited({ jid: JID, id: '3', sender: 'ann', text: 'changed' })
  clock.advance(60_000)
  const again = taken()
  assert.equal(again.turn.id, turn.turn.id)
  assert.deepEqual([shownIn(again).length, shownIn(again).at(-1)], [200, 'chatter 499'])
  assert.match(noteIn(again) ?? '', /^<left-out count="300" from="1970-01-01 00:01" to="1970-01-01 05:00"/)
  assert.deepEqual(again.earlier, [], 'its words were changed, so it is asked anew')
  desk.finish([again], answered)
  assert.equal(store.messages.turnOf(3), turn.turn.id)
})

test('a turn of which everything is taken back ends, also what it did not show', async (t) => {
  const { store, inbox, clock, desk, say, chatter, taken } = room(t)
  chatter(210)
  say('@Andy hi')
  const turn = taken()
  desk.finish([turn], failed)
  for (let id = 1; id <= 211; id++) await inbox.deleted({ jid: JID, id: String(id), sender: 'ann' })
  clock.advance(60_000)
  assert.deepEqual([desk.claim('family', 'chat'), store.turns.find(turn.turn.id)?.turn.state], [undefined, 'stopped'])
})

test('whoever waits for the answer to a message that was not shown gets it', async (t) => {
  const { store, feed, desk, say, chatter, taken } = room(t)
  chatter(300)
  say('@Andy hi')
  desk.finish([taken()], answered)
  const heard: unknown[] = []
  for await (const event of outcomeOf({ store, feed, jid: JID, seq: 5, signal: AbortSignal.timeout(60_000) })) heard.push(event)
  assert.deepEqual(heard, [{ type: 'answer', text: 'ok' }])
})

test('a command to the agent is alone in its turn, also in the middle of a long silence', (t) => {
  const { store, desk, say, chatter } = room(t)
  const judge = () => ({ type: 'heard', role: 'owner' }) as const
  const owned = new TurnDesk(
    { store, feed: new Feed(console), now: () => 0, judge },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' },
  )
  const claim = () => owned.claim('family', 'chat') ?? assert.fail('there is no work')
  chatter(1_200)
  say('/compact')
  chatter(900)
  say('@Andy hi')
  const turns = [0, 1, 2].map(() => {
    const turn = claim()
    owned.finish([turn], answered)
    return [turn.prompt === '/compact', shownIn(turn).length, noteIn(turn)?.slice(0, 23)]
  })
  assert.deepEqual(turns, [
    [false, 200, '<left-out count="1000" '],
    [true, 0, undefined],
    [false, 200, '<left-out count="701" f'],
  ])
  assert.equal(desk.look('family', 'chat').type, 'nothing')
})
