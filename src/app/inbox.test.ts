import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { registerChat, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { Feed, type FeedEvent } from './feed.ts'
import { Inbox } from './inbox.ts'
import { noteLeaving } from './leaving.ts'

function inbox(t: TestContext) {
  const { store, folder } = storeWith(t, ['main'])
  registerChat(store, { jid: 'tg:1', folder: 'main' })
  const feed = new Feed(console)
  const events: FeedEvent[] = []
  for (const jid of ['tg:1', 'tg:2']) feed.subscribe(jid, (event) => events.push(event))
  const woken: string[] = []
  let deliveries = 0
  const inbox = new Inbox({
    deliver: () => void deliveries++,
    store,
    feed,
    wake: (group) => woken.push(group),
    takeCommand: () => undefined,
    judge: everybody,
    onDropped() {},
  })
  const file = path.join(folder, 'messages.db')
  const onDisk = () => ['', '-wal'].map((suffix) => readFileSync(file + suffix, 'latin1')).join('')
  return { store, inbox, events, woken, onDisk, deliveries: () => deliveries }
}

const message = (jid: string, text: string, id = text) => ({
  jid,
  id,
  sender: 'ann@example',
  senderName: 'Ann Secret',
  text,
  sentAt: 5,
  fromMe: false,
})

test('a message of a registered chat is stored before it is shown, and wakes its group', (t) => {
  const { store, inbox: i, events, woken } = inbox(t)
  const seq = i.receive(message('tg:1', 'hello'))
  assert.equal(store.messages.latest('tg:1', 1)[0]?.seq, seq)
  assert.deepEqual([events.map(({ type }) => type), woken], [['message'], ['main']])
})

test('a redelivered message has its first number, and is shown once', (t) => {
  const { inbox: i, events } = inbox(t)
  assert.equal(i.receive(message('tg:1', 'hello', 'x')), i.receive(message('tg:1', 'changed', 'x')))
  assert.equal(events.length, 1)
})

test('of a chat that is not registered only its existence is kept, nothing that was said or who said it', (t) => {
  const { store, inbox: i, events, woken, onDisk } = inbox(t)
  assert.equal(i.receive(message('tg:2', 'a private matter')), undefined)
  assert.equal(i.receive(message('tg:2', 'x'.repeat(2_000_000))), undefined, 'its length is nobody’s business')
  assert.deepEqual([store.messages.latest('tg:2', 9), events, woken], [[], [], []])
  assert.ok(onDisk().includes('tg:2'))
  for (const secret of ['private matter', 'xxxxxxxx', 'Ann Secret', 'ann@example']) assert.ok(!onDisk().includes(secret), secret)
})

test('a chat that is being removed counts as not registered', (t) => {
  const { store, inbox: i, woken } = inbox(t)
  noteLeaving(store, 'tg:1')
  assert.equal(i.receive(message('tg:1', 'hello')), undefined)
  assert.deepEqual([store.messages.latest('tg:1', 9), woken], [[], []])
})

test('a message that nobody could have written is refused, and nothing of it is kept', (t) => {
  const { store, inbox: i, woken } = inbox(t)
  assert.throws(() => i.receive(message('tg:1', 'x'.repeat(1_000_001))), { code: 'message.too-long', fault: 'user' })
  assert.deepEqual([store.messages.latest('tg:1', 9), woken], [[], []])
})

test('a text that a platform lets through is cut rather than refused, or it would come again and again', async (t) => {
  const { store, inbox: i } = inbox(t)
  await i.message(message('tg:1', 'x'.repeat(1_000_001), 'id'))
  const text = store.messages.latest('tg:1', 1)[0]?.text ?? ''
  assert.deepEqual([text.length, text.endsWith('[cut: it was too long]')], [1_000_000, true])
  const newest = () => store.messages.latest('tg:1', 1)[0]?.text ?? ''
  await i.edited({ jid: 'tg:1', id: 'id', sender: 'ann@example', text: 'y'.repeat(1_000_001) })
  assert.deepEqual([newest().length, newest().endsWith('[cut: it was too long]')], [1_000_000, true])
  await i.message(message('tg:1', `x${'😀'.repeat(500_000)}`, 'emoji'))
  assert.deepEqual([newest().length, newest().isWellFormed()], [1_000_000, true])
})

test('a text of exactly a million characters is whole', async (t) => {
  const { store, inbox: i } = inbox(t)
  const text = 'x'.repeat(1_000_000)
  i.receive(message('tg:1', text, 'a'))
  await i.message(message('tg:1', text, 'b'))
  assert.deepEqual(
    store.messages.latest('tg:1', 2).map((said) => said.text === text),
    [true, true],
  )
})

test('a chat that a channel names is known by that name, and one that comes back is delivered to', async (t) => {
  const { store, inbox: i, deliveries } = inbox(t)
  await i.chat({ jid: 'tg:9', name: 'Club', isGroup: true })
  await i.chat({ jid: 'tg:9', isGroup: true })
  const known = store.chats.all().find(({ jid }) => jid === 'tg:9')
  assert.equal(known?.name, 'Club', 'a name is not lost where none is given')
  assert.equal(deliveries(), 0)
  i.stateChanged()
  assert.equal(deliveries(), 1)
})

test('a message that is stored is accepted, changed or taken back, whatever fails behind it', async (t) => {
  const { store, inbox: i, woken } = inbox(t)
  woken.push = () => {
    throw new Error('broken')
  }
  assert.equal(i.receive(message('tg:1', 'one')), 1)
  await i.edited({ jid: 'tg:1', id: 'one', sender: 'ann@example', text: 'two' })
  assert.deepEqual(
    store.messages.latest('tg:1', 9).map(({ text }) => text),
    ['two'],
  )
  await i.deleted({ jid: 'tg:1', id: 'one', sender: 'ann@example', asAdmin: false })
})
