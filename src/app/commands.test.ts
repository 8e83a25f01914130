import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody } from '../../test/fakes/senders.ts'
import type { RegisteredChat } from '../domain/group.ts'
import { Commands } from './commands.ts'
import { Feed } from './feed.ts'
import type { GroupQueue } from './group-queue.ts'
import { Inbox } from './inbox.ts'
import type { Trouble } from './troubles.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = 'local:main'

type Containers = ReturnType<GroupQueue['containers']>
type RoomOptions = { works?: boolean; jid?: string; containers?: Containers }

/** Real store, inbox, desk and commands; the queue only notes what it is asked for. */
function room(t: TestContext, { works = false, jid = JID, containers = [] }: RoomOptions = {}) {
  const { store } = storeWith(t, ['main', 'family'])
  const feed = new Feed(console)
  const asked: string[] = []
  const troubles: Trouble[] = []
  const desk = new TurnDesk(
    { store, feed, now: () => 1_000, judge: everybody },
    { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' },
  )
  const queue = {
    stopTurn: (jid: string) => asked.push(`stop ${jid}`) > 0,
    worksFor: () => works,
    stateOf: () => (works ? ('running' as const) : ('idle' as const)),
    containers: () => containers,
  }
  const hardReset = {
    want: ({ folder }: RegisteredChat) => {
      asked.push(`want ${folder}`)
      return () => void asked.push(`reset ${folder}`)
    },
  }
  const log = { info() {} }
  let deliveries = 0
  const commands = new Commands(
    {
      store,
      desk,
      queue,
      hardReset,
      log,
      now: () => 1_000,
      deliver: () => void deliveries++,
      troubles: () => troubles,
      audit() {},
    },
    { assistantName: 'Andy', timeZone: 'UTC' },
  )
  const inbox = new Inbox({
    deliver: () => {},
    store,
    feed,
    wake: () => asked.push('wake'),
    takeCommand: commands.take.bind(commands),
    judge: everybody,
    onDropped() {},
  })
  let n = 0
  const say = (text: string, { fromMe = true, id = String(n++) } = {}) =>
    inbox.receive({ jid, id, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe }) ?? assert.fail('not stored')
  const replies = () => store.outbox.due(Number.MAX_SAFE_INTEGER)
  const lastReply = () => store.messages.latest(jid, 1)[0]?.text ?? ''
  return { store, feed, desk, say, asked, replies, lastReply, troubles, deliveries: () => deliveries }
}

test('a command is answered by the host, never reaches the agent, and moves no cursor', (t) => {
  const { store, feed, desk, say, asked, lastReply, deliveries } = room(t)
  const first = say('hello')
  const seen: string[] = []
  feed.subscribe(JID, (event) => seen.push(event.type === 'turn' ? event.state : event.type))
  const seq = say('/status')
  assert.deepEqual([lastReply(), deliveries(), seen], ['I am idle.', 1, ['message', 'message', 'done']])
  assert.deepEqual(store.messages.answersOf(store.messages.turnOf(seq) ?? assert.fail()), ['I am idle.'])
  assert.equal(store.chats.cursors(JID).answeredSeq, 0)
  assert.deepEqual(asked, ['wake'])
  const turn = desk.claim('main', 'chat') ?? assert.fail('the message before it still waits')
  assert.equal(turn.throughSeq, first)
  assert.ok(!turn.prompt.includes('/status'))
})

test('the status names the container that works for the group, since when, and the conversation', (t) => {
  const container = (folder: string, name: string) => ({ folder, lane: 'chat', run: { name, startedAt: 60_000 }, working: true })
  const containers = [container('family', 'nanoclaw-f'), container('main', 'nanoclaw-m')] as unknown as Containers
  const { store, say, lastReply } = room(t, { works: true, containers })
  store.sessions.set('main', 's1')
  say('/status')
  assert.equal(lastReply(), 'I am working. Container nanoclaw-m, since 1970-01-01 00:01. Session s1.')
})

test('the owner is told in main what is wrong anywhere, in another group what is wrong there, and others are not', (t) => {
  const found: Trouble[] = [
    { kind: 'channel', where: 'fake', folder: null, since: 0, why: 'retrying: no\nnetwork' },
    { kind: 'turn', where: 'local:family', folder: 'family', since: 60_000, why: 'crash' },
  ]
  const family = '- turn local:family, since 1970-01-01 00:01: crash'
  for (const [jid, fromMe, lines] of [
    [JID, true, [family, '- channel fake, since 1970-01-01 00:00: retrying: no network']],
    ['local:family', true, [family]],
    ['local:family', false, []],
  ] as const) {
    const { say, lastReply, troubles } = room(t, { jid })
    troubles.push(...found)
    say('/status', { fromMe })
    assert.deepEqual(lastReply().split('\n'), ['I am idle.', ...lines])
  }
})

test('of many troubles the newest are told, and how many more there are', (t) => {
  const { say, lastReply, troubles } = room(t)
  for (let n = 0; n < 13; n++) troubles.push({ kind: 'task', where: `t${n}`, folder: 'main', since: n, why: 'x' })
  say('/status')
  const lines = lastReply().split('\n')
  assert.deepEqual([lines.length, lines[1]?.slice(0, 10), lines.at(-1)], [12, '- task t12', '- and 3 more: ./nanoclaw status'])
  troubles.splice(0, 2)
  say('/status')
  assert.equal(lastReply().split('\n').at(-1), '- and 1 more: ./nanoclaw status')
  troubles.pop()
  say('/status')
  assert.deepEqual([lastReply().split('\n').length, /more/.test(lastReply())], [11, false], 'ten are all told')
})

test('why something is wrong is told in 300 characters', (t) => {
  const { say, lastReply, troubles } = room(t)
  troubles.push({ kind: 'task', where: 't', folder: 'main', since: 0, why: 'x'.repeat(301) })
  say('/status')
  assert.equal(lastReply().split('\n')[1], `- task t, since 1970-01-01 00:00: ${'x'.repeat(300)}`)
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
  const { store, say, asked, lastReply } = room(t)
  store.sessions.set('main', 's1')
  say('/new', { fromMe: false })
  assert.deepEqual([store.sessions.get('main'), asked], ['s1', []])
  assert.match(lastReply(), /Only the owner/)
  say('/new')
  assert.deepEqual([store.sessions.get('main'), asked], [undefined, [`stop ${JID}`]])
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

test('a hard reset is begun after its commit, and the chat is told that it goes on', (t) => {
  const { store, say, asked, lastReply } = room(t)
  store.sessions.set('main', 's1')
  say('/new hard')
  assert.deepEqual([store.sessions.get('main'), asked], [undefined, ['want main', `stop ${JID}`, 'reset main']])
  assert.match(lastReply(), /^A fresh conversation starts .* is being reset; I say when that is done\.$/)
  say('/new hard', { fromMe: false })
  assert.deepEqual([asked.length, lastReply()], [3, 'Only the owner may do that.'])
})

test('a command is answered and delivered, and its message counts as stored, whoever watches', (t) => {
  const { feed, say, lastReply, deliveries } = room(t)
  feed.subscribe(JID, () => {
    throw new Error('broken')
  })
  assert.equal(say('/status'), 1)
  assert.deepEqual([lastReply(), deliveries()], ['I am idle.', 1])
})
