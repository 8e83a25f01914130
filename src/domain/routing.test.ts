import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAside } from '../../test/fakes/hostile-texts.ts'
import { everybody } from '../../test/fakes/senders.ts'
import { visibleAnswer } from './answer.ts'
import { folderProblem } from './group.ts'
import type { Message } from './message.ts'
import { callsOf, triggerOf, triggerProblem } from './routing.ts'

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
/** The numbers of those that make a turn. */
const seqs = (messages: Message[], over: object = {}) => {
  const calls = callsOf({ chat, isMain: false, assistantName: 'Andy', judge: everybody, ...over })
  return messages.slice(0, messages.findLastIndex(calls) + 1).map((m) => m.seq)
}

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

/** Which of the texts call the trigger. */
const calling = (trigger: string, ...texts: string[]) => texts.filter(triggerOf(trigger))
const allCall = (trigger: string, ...texts: string[]) => assert.deepEqual(calling(trigger, ...texts), texts)
const noneCalls = (trigger: string, ...texts: string[]) => assert.deepEqual(calling(trigger, ...texts), [])

test('where words are not separated by spaces, a name may be followed by anything', () => {
  allCall('@安迪', '@安迪你好', '@安迪', '@安迪hello', '@安迪,在吗')
  allCall('@アンディ', '@アンディさん、元気?')
  allCall('@แอนดี้', '@แอนดี้สวัสดี')
  noneCalls('@แอน', '@แอนี')
  noneCalls('@ふじ', '@ふじ\u3099')
})

test('a name of a script with spaces ends at a word boundary; a script without spaces, or Korean particles, make one', () => {
  noneCalls('@Andy', '@Andyman hi', '@Andy2', '@Andy_x', '@Andyé', '@Andy\u0302 hi')
  noneCalls('@Ольга', '@Ольгаша')
  noneCalls('@앤디', '@앤디야 안녕')
  allCall('@Andy', '@Andy你好', '@Andyさん', '@Andy야 뭐해', "@Andy's", '@Andy-', '@Andy\u200bhi', '@Andy…')
})

test('an emoji is a name, but a part of a joined or coloured one is not', () => {
  allCall('@🤖', '@🤖 hi', '@🤖hi', '@🤖🤖')
  allCall('👨‍👩‍👧', '👨‍👩‍👧 hi')
  noneCalls('👨', '👨‍👩‍👧 hi', '👨🏽 hi')
  allCall('@❤️', '@❤ hi')
  allCall('@❤', '@❤️ hi')
})

test('the same letters call in any form: case, accents, wide letters, several i', () => {
  allCall('@José', '@jose\u0301 hi', '@JOSÉ')
  allCall('@Jose\u0301', '@José')
  noneCalls('@Jose', '@José hi', '@Jose\u0301 hi')
  allCall('@Groß', '@GROSS hi', '@groß', '@GROẞ')
  allCall('@İrem', '@irem', '@İREM', '@Irem')
  allCall('@Ilgaz', '@ılgaz', '@ILGAZ', '@ilgaz')
  allCall('@Νίκος', '@ΝΊΚΟΣ', '@νίκος γεια')
  allCall('@Andy', '＠Ａｎｄｙ　hi')
  allCall('@Andy Smith', '@andy\u00a0 smith, hi', '@Andy\nSmith')
})

test('characters without width do not hide a trigger, and make none', () => {
  allCall('@Andy', '\u200b\ufeff@Andy hi', '@\u2068Andy\u2069 hi', '\u200f@An\u200bdy hi', '@\ufe0fAndy', '@An\u200ddy')
  allCall('\u200b@Andy\u200b', '@Andy hi')
  noneCalls('\u200b', 'x', '\u200b')
})

test('a trigger is looked for behind the markers of media', () => {
  allCall('@Andy', '[Photo] @Andy what is this', '[Image: a [1].png]\n[Image: b.png]@Andy', ' [Voice] \n@andy')
  allCall('[bot]', '[bot] hi', '[Photo] [bot] hi')
  noneCalls('@Andy', '[Photo] look @Andy', '[Photo @Andy]', '[Photo', '[[[@Andy', '')
})

test('a trigger is looked for in the first 4,000 characters', () => {
  allCall('@Andy', `${' '.repeat(3_995)}@Andy`, `[${'x'.repeat(3_993)}]@Andy, and ${'more '.repeat(9_000)}`)
  noneCalls('@Andy', `${' '.repeat(3_996)}@Andy`, `[${'x'.repeat(3_994)}]@Andy`)
})

test('hostile texts are looked at in one pass', async () => {
  const pieces = ['[', '[]', '[a', '@', ' ', '[b]', '@And', '\u200b'].map((piece) => ({ piece, bytes: 10_000_000 }))
  const texts = [...pieces, { front: '[', piece: '[b]', bytes: 10_000_000 }]
  assert.deepEqual(await readAside('calls', texts), Array(texts.length).fill(false))
})

test('a trigger that nobody could see or would type is refused', () => {
  for (const good of ['@Andy', '安', '🤖', '!', 'Hey Andy', '@'.repeat(100)]) assert.equal(triggerProblem(good), undefined, good)
  for (const bad of ['', '  ', '\u200b', '\ufe0f']) assert.match(triggerProblem(bad) ?? '', /can be seen/, bad)
  assert.match(triggerProblem('@'.repeat(101)) ?? '', /at most 100/)
})

test('what is compared of a trigger counts for its length, and not how it is written', () => {
  assert.equal(triggerProblem(`  ${'\u200b@'.repeat(100)} `), undefined)
})

test('who is not heard does not call, and is context for who is', () => {
  const judge = ({ sender }: { sender: string }) =>
    sender === 'eve' ? { type: 'overheard' as const } : { type: 'heard' as const, role: 'member' as const }
  const said = [{ ...message(1, '@Andy a'), sender: 'eve' }, message(2, '@Andy b'), { ...message(3, '@Andy c'), sender: 'eve' }]
  assert.deepEqual(seqs(said, { judge }), [1, 2])
})

test('internal notes are not seen, and an answer of nothing else is none', () => {
  assert.equal(visibleAnswer('a <internal>x\ny</internal> b'), 'a  b')
  assert.equal(visibleAnswer('<internal>quiet</internal>\n'), null)
  assert.equal(visibleAnswer('said <internal>never closed'), 'said')
  assert.equal(visibleAnswer(null), null)
})

test('nothing of an internal note gets out: nested, in any case, with blanks or attributes in the tag', () => {
  assert.equal(visibleAnswer('a<internal>1<internal>2</internal>3</internal>b'), 'ab')
  assert.equal(visibleAnswer('a<INTERNAL kind="x">1</Internal >b'), 'ab')
  assert.equal(visibleAnswer('a<internal>1<internal>2</internal>3'), 'a')
  assert.equal(visibleAnswer('a</internal>b'), 'ab')
  assert.equal(visibleAnswer('about <internals> and <internal-x>'), 'about <internals> and <internal-x>')
})

test('where an internal note stood between paragraphs, one empty line stays', () => {
  assert.equal(visibleAnswer('one\n\n<internal>x</internal>\n\ntwo'), 'one\n\ntwo')
  assert.equal(visibleAnswer('one\n<internal>x</internal>\n  indented'), 'one\n  indented')
  assert.equal(visibleAnswer('code:\n\n\n\nkept'), 'code:\n\n\n\nkept')
})

test('a tag of a note has at most 200 characters of attributes', () => {
  assert.equal(visibleAnswer(`a<internal ${'x'.repeat(200)}>b`), 'a')
  assert.equal(visibleAnswer(`a<internal ${'x'.repeat(201)}>b`), `a<internal ${'x'.repeat(201)}>b`)
})

test('an answer full of opened notes is read in one pass', async () => {
  const bytes = 5_000_000
  const texts = [
    { front: 'a', piece: '<internal>', bytes },
    { front: 'a', piece: '<internal ', bytes },
    { piece: '\n<internal></internal>', bytes },
    { front: '<internal></internal>', piece: '\n', bytes },
    { front: '<internal', piece: ' ', bytes },
  ]
  const [opened, halfOpened, notes, breaks, blanks] = await readAside('visible', texts)
  assert.deepEqual([opened, halfOpened?.length, notes, breaks, blanks], ['a', 5_000_000, null, null, '<internal'])
})

test('folder names are plain, and reserved ones are refused', () => {
  for (const good of ['main', 'family-2', 'a_b', '9']) assert.equal(folderProblem(good), undefined, good)
  for (const bad of ['', 'A', '-a', '../x', 'a/b', 'global', 'nul', 'x'.repeat(65)]) assert.ok(folderProblem(bad), bad)
})
