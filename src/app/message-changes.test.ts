import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { Feed } from './feed.ts'
import { Inbox } from './inbox.ts'
import { type ClaimedTurn, TurnDesk } from './turn-desk.ts'

const JID = 'tg:1'

/** The real inbox and desk on one store, with a chat that is called by @Andy. */
function room(t: TestContext) {
  const { store } = storeWith(t, ['main', 'family'])
  store.chats.see({ jid: JID })
  store.groups.register({ jid: JID, folder: 'family', trigger: null, requiresTrigger: true }, 0)
  const clock = new ManualClock()
  const feed = new Feed(console)
  const woken: string[] = []
  const commands: string[] = []
  const takeCommand = ({ message }: { message: { text: string } }) => void commands.push(message.text)
  const inbox = new Inbox({
    store,
    feed,
    takeCommand,
    deliver() {},
    wake: (folder) => woken.push(folder),
    judge: everybody,
    onDropped() {},
  })
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk({ store, feed, now: clock.now, judge: everybody }, rules)
  const say = (id: string, text: string, sentAt = 0) =>
    inbox.receive({ jid: JID, id, sender: 'ann', senderName: 'Ann', text, sentAt, fromMe: false })
  const edit = (id: string, text: string, sender = 'ann') => inbox.edited({ jid: JID, id, sender, text })
  const remove = (id: string) => inbox.deleted({ jid: JID, id, sender: 'ann' })
  const claim = () => desk.claim('family', 'chat')
  /** The turn there must be. */
  const taken = () => claim() ?? assert.fail('there is no work')
  const texts = () => store.messages.latest(JID, 99).map(({ text }) => text)
  return { store, clock, inbox, desk, woken, commands, say, edit, remove, claim, taken, texts }
}

const saidIn = (turn: ClaimedTurn | undefined) =>
  [...(turn?.prompt ?? '').matchAll(/<message [^>]*>(.*?)<\/message>/gs)].map(([, text]) => text)
const failed = (reason: 'overload' | 'login') => ({ type: 'failed' as const, reason, detail: 'why' })
const answered = { type: 'answered' as const, text: 'ok', usage: undefined }

test('a message that was changed before its turn is answered as it is now, and one that was taken back is not', async (t) => {
  const { say, edit, remove, claim } = room(t)
  say('1', 'milk')
  say('2', 'a secret')
  say('3', '@Andy buy it')
  await edit('1', 'bread')
  await remove('2')
  for (const [id, text] of [
    ['1', 'milk'],
    ['2', 'a secret'],
  ] as const)
    say(id, text)
  assert.deepEqual(saidIn(claim()), ['bread', '@Andy buy it'], 'also when the platform delivers the old words again')
})

test("an admin takes anybody's message back, and others only their own", async (t) => {
  const { say, inbox, claim } = room(t)
  for (const id of ['1', '2', '3']) say(id, `@Andy ${id}`)
  await inbox.deleted({ jid: JID, id: '1', sender: 'bob' })
  await inbox.deleted({ jid: JID, id: '2', sender: 'bob', asAdmin: true })
  assert.deepEqual(saidIn(claim()), ['@Andy 1', '@Andy 3'])
})

test('a change that calls the assistant wakes it, and one that no longer does lets it sleep', async (t) => {
  const { say, edit, desk, woken, claim } = room(t)
  say('1', 'hello')
  say('2', 'something else')
  assert.equal(desk.look('family', 'chat').type, 'nothing')
  woken.length = 0
  await edit('1', '@Andy hello')
  assert.deepEqual([woken, desk.look('family', 'chat').type], [['family'], 'work'])
  await edit('1', 'hello again')
  assert.equal(claim(), undefined)
})

test('what is taken back leaves nothing in the store but the knowledge that it was there', async (t) => {
  const { say, remove, store, texts } = room(t)
  const seq = say('1', 'a secret')
  await remove('1')
  assert.deepEqual([texts(), store.history.search({ folder: 'family', query: 'secret', limit: 9 })], [[], []])
  assert.equal(say('1', 'a secret'), seq, 'a redelivery is known')
  assert.deepEqual(texts(), [])
})

test('a turn that waits for its next try asks in the new words, and not whether the old ones were answered', async (t) => {
  const { say, edit, remove, desk, claim, clock, taken } = room(t)
  say('1', 'old')
  say('2', '@Andy go')
  say('3', 'no')
  const first = taken()
  desk.finish([first], failed('overload'))
  clock.advance(60_000)
  await edit('1', 'new')
  const second = taken()
  assert.deepEqual([saidIn(second), second.turn.id, second.earlier], [['new', '@Andy go'], first.turn.id, []])
  desk.finish([second], failed('overload'))
  clock.advance(60_000)
  const third = taken()
  assert.deepEqual(third.earlier, [second.uuid], 'only what asked in other words is stale')
  desk.finish([third], failed('overload'))
  await remove('1')
  clock.advance(60_000)
  assert.deepEqual(saidIn(claim()), ['@Andy go'])
})

test('a turn that waits and whose messages are all taken back ends at once, and holds nobody up', async (t) => {
  const { say, remove, desk, claim, store, taken } = room(t)
  say('1', '@Andy go')
  const first = taken()
  desk.finish([first], failed('overload'))
  await remove('1')
  say('2', '@Andy something else')
  assert.deepEqual(saidIn(claim()), ['@Andy something else'])
  assert.deepEqual([store.turns.find(first.turn.id)?.turn.state, store.outbox.counts().pending], ['stopped', 0], 'nobody is told')
})

test('a run that has read what is changed or taken back goes on, and its answer is the answer', async (t) => {
  const { say, edit, remove, desk, claim, texts, store, taken } = room(t)
  say('1', '@Andy go')
  say('2', '@Andy and this')
  const turn = taken()
  await edit('1', '@Andy go now')
  await remove('2')
  assert.deepEqual([texts(), desk.claimFollowUp(turn)], [['@Andy go now'], undefined])
  desk.finish([turn], answered)
  assert.deepEqual([texts(), claim()], [['@Andy go now', 'ok'], undefined])
  assert.equal(store.turns.find(turn.turn.id)?.turn.state, 'done')
})

for (const [end, breakOff] of [
  ['fails', (desk: TurnDesk, turn: ClaimedTurn) => desk.finish([turn], failed('overload'))],
  ['is cut off by a crash of the host', (desk: TurnDesk) => void desk.recover()],
] as const)
  test(`a run that has read what is changed or taken back, and ${end}, is followed by one in the new words`, async (t) => {
    const { say, edit, remove, desk, clock, taken } = room(t)
    say('1', '@Andy go')
    say('2', '@Andy and this')
    const turn = taken()
    await edit('1', '@Andy go now')
    await remove('2')
    breakOff(desk, turn)
    clock.advance(60_000)
    const again = taken()
    assert.deepEqual([again.turn.id, saidIn(again), again.earlier], [turn.turn.id, ['@Andy go now'], []])
  })

test('a run that breaks off when all it was to answer is taken back is not repeated', async (t) => {
  const { say, remove, desk, claim, clock, store, taken } = room(t)
  say('1', '@Andy go')
  const turn = taken()
  await remove('1')
  desk.finish([turn], failed('overload'))
  clock.advance(60_000)
  assert.deepEqual([claim(), store.turns.find(turn.turn.id)?.turn.state], [undefined, 'stopped'])
})

test('what is answered stays in the history, changed or not', async (t) => {
  const { say, edit, remove, desk, claim, texts, taken } = room(t)
  say('1', '@Andy go')
  const turn = taken()
  desk.finish([turn], answered)
  await remove('1')
  await edit('1', '@Andy stay')
  assert.deepEqual([texts(), claim()], [['@Andy stay', 'ok'], undefined])
})

test("nobody changes another's message, or the assistant's, and a chat that is not registered has none", async (t) => {
  const { say, edit, inbox, desk, texts, woken, store, taken } = room(t)
  say('1', '@Andy go')
  const turn = taken()
  desk.finish([turn], answered)
  woken.length = 0
  await edit('1', 'mine', 'bob')
  const answer = `turn-${turn.turn.id}`
  await edit(answer, 'never said', 'assistant')
  await inbox.deleted({ jid: JID, id: answer, sender: 'ann' })
  await inbox.edited({ jid: 'tg:9', id: '1', sender: 'ann', text: 'x' })
  await inbox.deleted({ jid: 'tg:9', id: '1', sender: 'ann' })
  assert.deepEqual([texts(), woken], [['@Andy go', 'ok'], []])
  assert.deepEqual(store.messages.latest('tg:9', 9), [])
})

test('a change into a command is not carried out as one', async (t) => {
  const { say, edit, commands } = room(t)
  say('1', 'stop')
  await edit('1', '/stop')
  assert.deepEqual(commands, ['stop'])
})

test('messages with the same or an older time are in the order of their coming', (t) => {
  const { say, claim } = room(t)
  for (const [id, sentAt] of [
    ['a', 500],
    ['b', 500],
    ['c', 1],
  ] as const)
    say(id, `@Andy ${id}`, sentAt)
  assert.deepEqual(saidIn(claim()), ['@Andy a', '@Andy b', '@Andy c'])
})

test('chatter after a failed login does not try again, a new call does', (t) => {
  const { say, desk, taken } = room(t)
  say('1', '@Andy go')
  say('2', 'chatter')
  const turn = taken()
  desk.finish([turn], failed('login'))
  assert.equal(desk.look('family', 'chat').type, 'nothing')
  say('3', 'more chatter')
  assert.equal(desk.look('family', 'chat').type, 'nothing')
  say('4', '@Andy please')
  const again = taken()
  assert.deepEqual([again.turn.id, saidIn(again)], [turn.turn.id, ['@Andy go']])
  assert.deepEqual(saidIn(desk.claimFollowUp(again)), ['chatter', 'more chatter', '@Andy please'])
})

test('a turn that was taken up again after a failed login, and then fails of something else, is tried once more', (t) => {
  const { say, desk, claim, clock, taken } = room(t)
  say('1', '@Andy go')
  const turn = taken()
  desk.finish([turn], failed('login'))
  say('2', '@Andy please')
  const again = taken()
  const joined = desk.claimFollowUp(again) ?? assert.fail('there is no follow-up')
  desk.finish([again, joined], failed('overload'))
  clock.advance(60_000)
  assert.deepEqual([claim()?.turn.id, desk.look('family', 'chat').type], [turn.turn.id, 'nothing'])
})

test('a turn that waits for a login and whose messages are all taken back ends at once', async (t) => {
  const { say, remove, desk, claim, store, taken } = room(t)
  say('1', '@Andy go')
  const turn = taken()
  desk.finish([turn], failed('login'))
  await remove('1')
  assert.deepEqual([claim(), store.turns.find(turn.turn.id)?.turn.state], [undefined, 'stopped'])
})

test('what called nobody is not read again, until how the chat calls the assistant is changed', (t) => {
  const { say, desk, store, claim } = room(t)
  for (let n = 0; n < 50; n++) say(String(n), `Bob, ${n}`)
  desk.look('family', 'chat')
  const read: number[] = []
  const newest = store.messages.newestUnanswered.bind(store.messages)
  t.mock.method(store.messages, 'newestUnanswered', (stretch: Parameters<typeof newest>[0]) => {
    const page = newest(stretch)
    if (stretch.jid === JID) read.push(page.messages.length)
    return page
  })
  say('new', 'Bob, hi')
  assert.equal(desk.look('family', 'chat').type, 'nothing')
  assert.deepEqual(read, [1])
  const chat = store.groups.chat(JID)
  if (chat) store.groups.changeTrigger({ ...chat, trigger: 'Bob' })
  assert.equal(saidIn(claim()).length, 51)
})
