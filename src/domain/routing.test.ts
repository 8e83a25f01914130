import assert from 'node:assert/strict'
import { test } from 'node:test'
import { visibleAnswer } from './answer.ts'
import { folderProblem } from './group.ts'
import type { Message } from './message.ts'
import { nextBatch, triggerOf } from './routing.ts'

const message = (seq: number, text: string, fromAssistant = false): Message => ({
  seq,
  jid: 'tg:1',
  id: String(seq),
  sender: 'x',
  senderName: 'Ann',
  text,
  sentAt: 0,
  fromMe: false,
  fromAssistant,
})
const chat = { trigger: null, requiresTrigger: true }
const seqs = (messages: Message[], over: object = {}) =>
  nextBatch({ messages, chat, isMain: false, assistantName: 'Andy', ...over }).map((m) => m.seq)

test('messages without the trigger wait and become context of the next triggered one', () => {
  assert.deepEqual(seqs([message(1, 'lunch?'), message(2, 'yes')]), [])
  assert.deepEqual(seqs([message(1, 'lunch?'), message(2, '@Andy where?'), message(3, 'later')]), [1, 2])
})

test('main and groups without a trigger answer to everything', () => {
  assert.deepEqual(seqs([message(1, 'hi')], { isMain: true }), [1])
  assert.deepEqual(seqs([message(1, 'hi')], { chat: { trigger: null, requiresTrigger: false } }), [1])
})

test("the assistant's own words never call it", () => {
  assert.deepEqual(seqs([message(1, '@Andy hi', true)], { isMain: true }), [])
})

test('a trigger stands at the start, in any case, as a whole word, and is no pattern', () => {
  const andy = triggerOf('@Andy')
  assert.ok(andy('@andy hi') && andy('  @ANDY, hi') && andy('@Andy'))
  assert.ok(!andy('hi @Andy') && !andy('@Andyman hi'))
  assert.ok(triggerOf('@A.(b)')('@a.(b) x') && !triggerOf('@A.(b)')('@axb x'))
})

test('internal notes are not seen, and an answer of nothing else is none', () => {
  assert.equal(visibleAnswer('a <internal>x\ny</internal> b'), 'a  b')
  assert.equal(visibleAnswer('<internal>quiet</internal>\n'), null)
  assert.equal(visibleAnswer('said <internal>never closed'), 'said')
  assert.equal(visibleAnswer(null), null)
})

test('folder names are plain, and reserved ones are refused', () => {
  for (const good of ['main', 'family-2', 'a_b', '9']) assert.equal(folderProblem(good), undefined, good)
  for (const bad of ['', 'A', '-a', '../x', 'a/b', 'global', 'nul', 'x'.repeat(65)]) assert.ok(folderProblem(bad), bad)
})
