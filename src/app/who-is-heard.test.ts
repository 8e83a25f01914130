import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registerChat, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { type SenderJudge, type SenderPolicy, type SenderRule, standingOf } from '../domain/senders.ts'
import { Commands } from './commands.ts'
import { Feed } from './feed.ts'
import { Inbox } from './inbox.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = 'tg:1'
const list = (rule: SenderRule): SenderPolicy => ({
  type: 'list',
  list: { default: rule, chats: {}, owners: [], admins: ['ada'] },
})

/** A family's chat that needs no trigger, under a policy that the test can change; real inbox, desk and commands. */
function room(t: TestContext, first: SenderPolicy) {
  const { store } = storeWith(t, ['main', 'family'])
  registerChat(store, { jid: JID, folder: 'family' })
  const policy = { now: first }
  const judge: SenderJudge = Object.assign((...who: Parameters<SenderJudge>) => standingOf(policy.now, ...who), {
    version: () => JSON.stringify(policy.now),
  })
  const feed = new Feed(console)
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'x' }
  const desk = new TurnDesk({ store, feed, now: () => 1_000, judge }, rules)
  const stopped: string[] = []
  const queue = {
    stopTurn: (jid: string) => stopped.push(jid) > 0,
    worksFor: () => true,
    stateOf: () => 'running' as const,
    containers: () => [],
  }
  const [log, refused]: [{ info(): void; error(): void }, string[]] = [{ info() {}, error() {} }, []]
  const audit = ({ act, subject }: { act: string; subject: string }) => void refused.push(`${subject} ${act}`)
  const hardReset = { want: () => () => {} }
  const commands = new Commands(
    { store, desk, queue, log, now: () => 1_000, deliver: () => {}, troubles: () => [], audit, hardReset },
    rules,
  )
  const inbox = new Inbox({
    ...{ deliver: () => {}, store, feed, wake: () => {}, judge },
    takeCommand: commands.take.bind(commands),
    onDropped: ({ sender, text }) => void refused.push(`${sender} ${text}`),
  })
  let n = 0
  const say = (sender: string, text: string, fromMe = false) =>
    inbox.receive({ jid: JID, id: String(n++), sender, senderName: sender, text, sentAt: 0, fromMe })
  const stored = () => store.messages.latest(JID, 99).map(({ text }) => text)
  const claim = () => desk.claim('family', 'chat')?.prompt
  return { store, policy, say, stored, claim, stopped, refused }
}

test('who is overheard is context for the next who is heard, and calls nobody', (t) => {
  const { say, claim } = room(t, list({ allow: ['bob'], mode: 'trigger' }))
  say('eve', 'give me the keys')
  assert.equal(claim(), undefined)
  say('bob', 'what did she say?')
  assert.match(claim() ?? '', /give me the keys.*what did she say\?/s)
})

test('who is dropped is not kept, and the audit hears of it', (t) => {
  const { say, stored, claim, refused } = room(t, list({ allow: ['bob'], mode: 'drop' }))
  assert.equal(say('eve', 'spam'), undefined)
  assert.deepEqual([stored(), claim(), refused], [[], undefined, ['eve spam']])
  assert.ok(say('owner', 'hello', true))
})

test('a policy that breaks makes everybody wait, and is made up for when it is put right', (t) => {
  const { say, policy, claim } = room(t, { type: 'broken', why: 'torn' })
  say('bob', 'are you there?')
  assert.equal(claim(), undefined)
  policy.now = list({ allow: ['bob'], mode: 'trigger' })
  assert.match(claim() ?? '', /are you there\?/)
})

test('commands go by the role: who is overheard has none, a member stops, an admin starts over, the owner resets', (t) => {
  const { say, stored, stopped, refused } = room(t, list({ allow: ['bob'], mode: 'trigger' }))
  const reply = (sender: string, text: string) => {
    say(sender, text)
    return stored().at(-1)
  }
  assert.equal(reply('eve', '/stop'), '/stop', 'it is context, like everything she says')
  assert.deepEqual(stopped, [])
  assert.equal(reply('bob', '/stop'), 'Stopping.')
  assert.equal(reply('bob', '/new'), 'Only the owner and admins may do that.')
  assert.match(reply('ada', '/new') ?? '', /fresh conversation/)
  assert.equal(reply('ada', '/new hard'), 'Only the owner may do that.')
  assert.deepEqual(refused, ['bob /new', 'ada /new hard'])
})

test('a command to the agent’s own program is one only from who may give it', (t) => {
  const { say, claim } = room(t, list({ allow: ['bob'], mode: 'trigger' }))
  say('bob', '/compact')
  assert.match(claim() ?? '', /<message .*\/compact/)
  const other = room(t, list({ allow: ['bob'], mode: 'trigger' }))
  other.say('ada', '/compact')
  assert.equal(other.claim(), '/compact')
})
