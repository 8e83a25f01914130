import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { agentCommandOf } from '../domain/command.ts'
import type { RegisteredChat } from '../domain/group.ts'
import { triggerOf } from '../domain/routing.ts'
import type { SenderJudge } from '../domain/senders.ts'
import { CallSearch, type Search } from './call-search.ts'

const JID = 'tg:1'
const GROUP = { folder: 'family', name: 'Family', isMain: false, config: {} }

/** Bob is not heard, and only Ann may command. `version` stands for the owner's file. */
function judgeWith(state: { deaf: boolean }): SenderJudge {
  const judge: SenderJudge = ({ sender }) => {
    if (sender === 'bob' || state.deaf) return { type: 'overheard' }
    return { type: 'heard', role: sender === 'ann' ? 'admin' : 'member' }
  }
  return Object.assign(judge, { version: () => String(state.deaf) })
}

/** A chat on a real store, and the rule in its simplest words, over all of its rows. */
function room(t: TestContext) {
  const { store, folder } = storeWith(t, ['main', 'family'])
  store.chats.see({ jid: JID })
  store.groups.register({ jid: JID, folder: 'family', trigger: null, requiresTrigger: true }, 0)
  const rows = new SQLite(path.join(folder, 'messages.db'), { readonly: true })
  t.after(() => rows.close())
  const owner = { deaf: false }
  const judge = judgeWith(owner)
  const chat = (): RegisteredChat => store.groups.chat(JID) ?? assert.fail('no chat')
  let count = 0
  const say = (text: string, sender = 'ann') => {
    const id = String(++count)
    return store.messages.add({ jid: JID, id, sender, senderName: sender, text, sentAt: count, fromMe: false }).seq
  }
  const sayAll = (texts: readonly string[]) => store.tx(() => void texts.map((text) => say(text)))
  const open = () =>
    rows
      .prepare(
        `SELECT seq, sender, content, is_bot_message AS bot FROM messages WHERE chat_jid = ? AND turn_id IS NULL AND is_deleted = 0
          AND is_notice = 0 AND seq > (SELECT answered_seq FROM chats WHERE jid = chat_jid) ORDER BY seq`,
      )
      .all(JID) as { seq: number; sender: string; content: string; bot: number }[]
  const trigger = () => chat().trigger ?? '@Andy'
  const heard = (sender: string) => judge({ jid: JID, sender, fromMe: false }, GROUP)
  const lastCall = (after: number) =>
    open().findLast((m) => m.seq > after && !m.bot && triggerOf(trigger())(m.content) && heard(m.sender).type === 'heard')?.seq
  const firstCommand = (through: number) =>
    open().find((m) => {
      const standing = heard(m.sender)
      const may = standing.type === 'heard' && standing.role !== 'member'
      return m.seq <= through && agentCommandOf(m.content, trigger()) !== undefined && may
    })?.seq
  const search = new CallSearch({ store, assistantName: 'Andy', judge })
  return { store, owner, chat, say, sayAll, open, lastCall, firstCommand, search }
}

/** Asks until there is nothing more to read; each step is one call. */
function settled(step: () => Search): { seq: number | undefined; steps: number } {
  for (let steps = 1; steps < 10_000; steps++) {
    const found = step()
    if (found.type !== 'looking') return { seq: found.type === 'found' ? found.seq : undefined, steps }
  }
  return assert.fail('it never ends')
}

/** The same numbers in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

const TEXTS = [
  'lunch?',
  '@Andy hi',
  'ok',
  '/compact',
  '@Andy /compact',
  'see you',
  'Bob, hi',
  'compact',
  '／ＣＯＭＰＡＣＴ',
  '@Andy ／compact',
]

for (const seed of [1, 2, 3, 4])
  test(`whatever happens in a chat, the search finds what a look at every row finds (seed ${seed})`, (t) => {
    const { store, owner, chat, say, open, lastCall, firstCommand, search } = room(t)
    const roll = dice(seed)
    const anybody = () => ['ann', 'bob', 'cid'][roll(3)] ?? 'ann'
    const text = () => TEXTS[roll(TEXTS.length)] ?? ''
    const idOf = (seq: number) => String(store.messages.latest(JID, 500).find((one) => one.seq === seq)?.id ?? '')
    const senderOf = (seq: number) => open().find((one) => one.seq === seq)?.sender ?? ''
    const someOpen = () => open().at(-1 - roll(Math.min(open().length, 400)))?.seq
    const happenings: (() => void)[] = [
      () => void say(text(), anybody()),
      () => void say(text(), anybody()),
      () => store.tx(() => void Array.from({ length: roll(1_300) }, () => say(roll(400) === 0 ? text() : 'chatter', anybody()))),
      () => {
        const seq = someOpen()
        if (seq !== undefined) store.messages.edit({ jid: JID, id: idOf(seq), sender: senderOf(seq), text: text() })
      },
      () => {
        const seq = someOpen()
        if (seq !== undefined) store.messages.takeBack(seq)
      },
      () => void store.messages.addAnswer({ jid: JID, id: `a${roll(1e9)}`, ...SAID_BY_ANDY, text: text() }, null),
      () => store.groups.changeTrigger({ ...chat(), trigger: roll(2) ? 'Bob' : null }),
      () => void Object.assign(owner, { deaf: roll(4) === 0 }),
      () => void search.newestCall({ group: GROUP, chat: chat() }, 0),
      () => {
        const through = lastCall(0) ?? 0
        store.chats.markAnswered(JID, through)
      },
    ]
    for (let round = 0; round < 90; round++) {
      happenings[roll(happenings.length)]?.()
      if (roll(3) === 0) continue
      const where = { group: GROUP, chat: chat() }
      const parked = roll(3) === 0 ? (someOpen() ?? 0) : 0
      const after = Math.max(parked, store.chats.cursors(JID).answeredSeq)
      const call = settled(() => search.newestCall(where, after)).seq
      assert.equal(call, lastCall(after), `round ${round}: the newest call after ${after}`)
      if (call === undefined) continue
      assert.equal(settled(() => search.firstCommand(where, call)).seq, firstCommand(call), `round ${round}: the first command`)
    }
  })

const SAID_BY_ANDY = { sender: 'assistant', senderName: 'Andy', sentAt: 0, fromMe: true }

test('a long silence is read a page at a time, and not again', (t) => {
  const { store, chat, say, sayAll, search } = room(t)
  sayAll(Array.from({ length: 5_500 }, (_, n) => `chatter ${n}`))
  const where = { group: GROUP, chat: chat() }
  assert.deepEqual(
    settled(() => search.newestCall(where, 0)),
    { seq: undefined, steps: 5 },
  )
  assert.deepEqual(
    settled(() => search.newestCall(where, 0)),
    { seq: undefined, steps: 1 },
  )
  const call = say('@Andy hi')
  assert.deepEqual(
    settled(() => search.newestCall(where, 0)),
    { seq: call, steps: 1 },
  )
  assert.deepEqual(
    settled(() => search.firstCommand(where, call)),
    { seq: undefined, steps: 1 },
  )
  store.messages.takeBack(call)
  assert.deepEqual(
    settled(() => search.newestCall(where, 0)),
    { seq: undefined, steps: 1 },
    'what was before it is known',
  )
})

test('texts of a million characters each are read a few at a time', (t) => {
  const { chat, sayAll, search } = room(t)
  sayAll(Array.from({ length: 8 }, () => 'x'.repeat(999_999)))
  const { steps } = settled(() => search.newestCall({ group: GROUP, chat: chat() }, 0))
  assert.ok(steps >= 3, `${steps} steps`)
})

test('commands that nobody may give are read a page at a time, and not again', (t) => {
  const { chat, say, store, search } = room(t)
  store.tx(() => void Array.from({ length: 2_500 }, () => say('/compact', 'cid')))
  const where = { group: GROUP, chat: chat() }
  const call = say('@Andy hi', 'cid')
  assert.equal(settled(() => search.newestCall(where, 0)).seq, call)
  assert.deepEqual(
    settled(() => search.firstCommand(where, call)),
    { seq: undefined, steps: 3 },
  )
  assert.deepEqual(
    settled(() => search.firstCommand(where, call)),
    { seq: undefined, steps: 1 },
  )
})

test('a claim that came to nothing leaves the commands before it to be found', (t) => {
  const { chat, say, store, search } = room(t)
  say('/compact')
  const call = say('@Andy hi')
  const where = { group: GROUP, chat: chat() }
  assert.throws(() =>
    store.tx(() => {
      store.chats.markAnswered(JID, call)
      search.newestCall(where, call)
      throw new Error('the disk is full')
    }),
  )
  assert.equal(settled(() => search.newestCall(where, 0)).seq, call)
  assert.equal(settled(() => search.firstCommand(where, call)).seq, call - 1)
})
