import assert from 'node:assert/strict'
import { test } from 'node:test'
import { office } from '../../test/fakes/ipc-office.ts'
import { until } from '../../test/fakes/patience.ts'
import type { TestContext } from '../../test/fakes/rooms.ts'

const QUESTION = { type: 'ask_user', question: 'Which colour?', options: ['Red', 'Blue'], timeoutMinutes: 10 }

function asking(t: TestContext) {
  const o = office(t)
  let n = 0
  const say = (text: string, jid = 'local:family') =>
    o.inbox.receive({ jid, id: String(n++), sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false }) ?? assert.fail()
  const open = () => o.store.questions.open('local:family', o.clock.now())
  /** The question is asked and waits. */
  const asked = async (run = o.attach('family'), request: object = QUESTION) => {
    const before = o.posted.length
    const id = o.drop('family', request, { box: 'messages' })
    await until(() => o.posted.length > before || run.paused > 0 || run.replies.has(id), 'the question is taken')
    return { run, id, reply: () => run.replies.get(id) }
  }
  return { ...o, say, open, asked }
}

test('a question is posted with numbers, and the time of the turn stands still until it is answered', async (t) => {
  const { asked, say, posted, store, desk, deliveries } = asking(t)
  const { run, reply } = await asked()
  assert.equal(deliveries(), 1)
  assert.equal(posted[0]?.text, 'Which colour?\n\n1. Red\n2. Blue\n\nAnswer with a number or a label.')
  assert.deepEqual([run.paused, reply()], [1, undefined])
  const seq = say('2')
  assert.deepEqual(reply(), { status: 'done', text: 'Ann chose "Blue".', answer: 'Blue', by: 'Ann' })
  assert.deepEqual([run.paused, deliveries()], [0, 2])
  assert.deepEqual(store.messages.answersOf(store.messages.turnOf(seq) ?? assert.fail()), ['You chose "Blue".'])
  assert.equal(desk.look('family', 'chat').type, 'nothing', 'the answer is no turn of the agent')
  say('and now?')
  assert.doesNotMatch((desk.claim('family', 'chat') ?? assert.fail('there is no work')).prompt, /<answer/)
})

test('two agents that wait for the same answer both get it', async (t) => {
  const { asked, say, posted, attach, watcher } = asking(t)
  const first = await asked()
  const second = await asked(attach('family'))
  await until(() => second.run.paused > 0, 'both wait')
  say('1')
  const answers = [first, second].map(({ run, id }) => run.replies.get(id)?.answer)
  assert.deepEqual([answers, posted.length, first.run.paused, second.run.paused], [['Red', 'Red'], 1, 0, 0])
  await watcher.stop()
})

test('an agent that works on another turn by now waits no more for the answer', async (t) => {
  const { asked, say, desk } = asking(t)
  const { run, reply } = await asked()
  run.turn = { uuid: 'another', chatJid: 'local:family' }
  say('2')
  assert.deepEqual([reply(), desk.look('family', 'chat').type], [undefined, 'work'])
})

for (const text of ['blue', ' BLUE ', '2.', '2)', '#2', '@Andy 2', '@andy, Blue'])
  test(`"${text}" is an answer`, async (t) => {
    const { asked, say } = asking(t)
    const { reply } = await asked()
    say(text)
    assert.equal(reply()?.answer, 'Blue')
  })

for (const text of ['3', '0', 'blueish', 'I think 2', '', '22', '@Andy what do you think?'])
  test(`"${text}" is no answer and goes its way; the question stays open`, async (t) => {
    const { asked, say, desk, open } = asking(t)
    const { reply } = await asked()
    say(text)
    assert.deepEqual([reply(), open().length, desk.look('family', 'chat').type], [undefined, 1, 'work'])
  })

test('an answer in another chat is none', async (t) => {
  const { asked, say } = asking(t)
  const { reply } = await asked()
  say('2', 'local:main')
  assert.equal(reply(), undefined)
})

test('a question has its own time, and the agent hears that nobody answered', async (t) => {
  const { asked, say, clock, desk } = asking(t)
  const { run, reply } = await asked()
  clock.advance(10 * 60_000 - 1)
  assert.deepEqual([reply(), run.paused], [undefined, 1])
  clock.advance(1)
  assert.deepEqual(reply(), { status: 'done', text: 'Nobody answered within 10 minutes.', answer: null })
  assert.equal(run.paused, 0)
  say('2')
  assert.equal(desk.look('family', 'chat').type, 'work', 'it is a message like any other now')
})

test('an answer to an agent that is gone is in the prompt of the next turn, again when that is tried again, and then no more', async (t) => {
  const { asked, say, desk, clock } = asking(t)
  const { run } = await asked()
  run.turn = undefined
  say('Blue')
  const first = desk.claim('family', 'chat') ?? assert.fail('the message goes its way')
  assert.ok(first.prompt.includes('<answer to="Which colour?">Blue</answer>'), first.prompt)
  desk.finish([first], { type: 'failed', reason: 'crash', detail: 'x' })
  clock.advance(600_000)
  const second = desk.claim('family', 'chat') ?? assert.fail('it is tried again')
  assert.ok(second.prompt.includes('<answer to='))
  desk.finish([second], { type: 'answered', text: 'ok', usage: undefined })
  say('and now?')
  const third = desk.claim('family', 'chat') ?? assert.fail('there is no work')
  assert.ok(!third.prompt.includes('<answer to='), third.prompt)
})

test('an agent that asks again after a crash does not post the question again, and gets the answer that came meanwhile', async (t) => {
  const { asked, say, posted, watcher, attach } = asking(t)
  const first = await asked()
  first.run.turn = undefined
  const again = await asked(attach('family'))
  assert.deepEqual([posted.length, again.reply()], [1, undefined])
  again.run.turn = undefined
  say('Red')
  const third = await asked(attach('family'))
  await until(() => third.reply() !== undefined, 'it is answered')
  assert.deepEqual(third.reply(), { status: 'done', text: 'Somebody chose "Red".', answer: 'Red' })
  assert.deepEqual([posted.length, third.run.paused], [1, 0])
  await watcher.stop()
})

test('a question that is asked again has its time anew', async (t) => {
  const { asked, say, clock, attach, watcher } = asking(t)
  const first = await asked()
  first.run.turn = undefined
  clock.advance(9 * 60_000)
  const again = await asked(attach('family'))
  clock.advance(10 * 60_000 - 1)
  say('Red')
  assert.equal(again.reply()?.answer, 'Red')
  await watcher.stop()
})

test('a question that came by hand, with no agent that waits, is still answered for the next turn', async (t) => {
  const { drop, watcher, say, desk, posted } = asking(t)
  drop('family', QUESTION)
  watcher.readAll(['family'])
  await until(() => posted.length === 1, 'it is posted')
  say('1')
  assert.ok(desk.claim('family', 'chat')?.prompt.includes('>Red</answer>'))
})

test('options that cannot be told apart are refused', async (t) => {
  const { ask, attach } = asking(t)
  const result = await ask('family', attach('family'), { ...QUESTION, options: ['Yes', 'yes'] })
  assert.deepEqual([result.status, /options must differ/.test(result.text)], ['malformed', true])
})
