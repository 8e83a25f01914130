import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { Commands } from './commands.ts'
import { Feed } from './feed.ts'
import { Inbox } from './inbox.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = 'local:main'

/** Real store, inbox, desk and commands; the queue only notes what it is asked for. */
function room(t: TestContext, { works = false } = {}) {
  const { store, folder } = storeWith(t, ['main'])
  const feed = new Feed()
  const asked: string[] = []
  const desk = new TurnDesk(
    { store, feed, now: () => 1_000 },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const queue = {
    stopTurn: (jid: string) => asked.push(`stop ${jid}`) > 0,
    worksFor: () => works,
    stateOf: () => (works ? ('running' as const) : ('idle' as const)),
    containers: () => [],
    closeGroup: async (name: string) => void asked.push(`close ${name}`),
  }
  const log = { info() {}, error() {} }
  const commands = new Commands(
    { store, desk, queue, log, now: () => 1_000, deliver: () => {} },
    { root: folder, assistantName: 'Andy', timeZone: 'UTC' },
  )
  const inbox = new Inbox({
    deliver: () => {},
    store,
    feed,
    wake: () => asked.push('wake'),
    takeCommand: commands.take.bind(commands),
  })
  let n = 0
  const say = (text: string, { fromMe = true, id = String(n++) } = {}) =>
    inbox.receive({ jid: JID, id, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe }) ?? assert.fail('not stored')
  const replies = () => store.outbox.due(Number.MAX_SAFE_INTEGER)
  const lastReply = () => store.messages.latest(JID, 1)[0]?.text ?? ''
  return { store, desk, say, asked, replies, lastReply }
}

test('a command is answered by the host, never reaches the agent, and moves no cursor', (t) => {
  const { store, desk, say, asked, lastReply } = room(t)
  const first = say('hello')
  const seq = say('/status')
  assert.equal(lastReply(), 'I am idle.')
  assert.deepEqual(store.messages.answersOf(store.messages.turnOf(seq) ?? assert.fail()), ['I am idle.'])
  assert.equal(store.chats.cursors(JID).answeredSeq, 0)
  assert.deepEqual(asked, ['wake'])
  const turn = desk.claim('main', 'chat') ?? assert.fail('the message before it still waits')
  assert.equal(turn.throughSeq, first)
  assert.ok(!turn.prompt.includes('/status'))
})

test('stop interrupts what runs, and says so when nothing does', (t) => {
  const busy = room(t, { works: true })
  busy.say('/stop')
  assert.deepEqual(busy.asked, [`stop ${JID}`])
  const idle = room(t)
  idle.say('/stop')
  assert.deepEqual([idle.asked, idle.lastReply()], [[], 'I am not working on anything.'])
})

test('a command that is delivered twice is carried out once', (t) => {
  const { say, replies } = room(t)
  say('/help', { id: 'same' })
  say('/help', { id: 'same' })
  assert.equal(replies().length, 1)
})

test('starting over forgets the session; others than the owner are told that they may not', (t) => {
  const { store, say, lastReply } = room(t)
  store.sessions.set('main', 's1')
  say('/new', { fromMe: false })
  assert.equal(store.sessions.get('main'), 's1')
  assert.match(lastReply(), /Only the owner/)
  say('/new')
  assert.equal(store.sessions.get('main'), undefined)
})

test('/compact is a turn of its own, and what was said before it is answered first', (t) => {
  const { desk, say } = room(t)
  say('one')
  say('/compact')
  say('two')
  const first = desk.claim('main', 'chat') ?? assert.fail()
  assert.ok(first.prompt.includes('>one<') && !first.prompt.includes('compact'))
  desk.finish([first], { type: 'answered', text: '1', usage: undefined })
  const second = desk.claim('main', 'chat') ?? assert.fail()
  assert.equal(second.prompt, '/compact')
  desk.finish([second], { type: 'answered', text: null, usage: undefined })
  assert.ok(desk.claim('main', 'chat')?.prompt.includes('>two<'))
})
