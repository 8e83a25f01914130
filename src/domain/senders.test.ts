import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayDo, type PersonalAct, type SenderList, type SenderPolicy, type SenderRule, standingOf } from './senders.ts'

const list = (fields: Partial<SenderList>): SenderPolicy => ({
  type: 'list',
  list: { default: { allow: '*', mode: 'trigger' }, chats: {}, owners: [], admins: [], ...fields },
})
/** What a stranger called `eve` is in a chat of a group. */
const eve = (policy: SenderPolicy, { jid = 'tg:1', isMain = false, fromMe = false } = {}) => {
  const standing = standingOf(policy, { jid, sender: 'Eve', fromMe }, { isMain })
  return standing.type === 'heard' ? standing.role : standing.type
}
const nobody: SenderRule = { allow: [], mode: 'trigger' }

test('without a policy everybody is heard as a member, and the assistant’s own account is the owner', () => {
  assert.equal(eve({ type: 'none' }), 'member')
  assert.equal(eve({ type: 'none' }, { fromMe: true }), 'owner')
})

test('a policy that cannot be read leaves main’s chats and the owner, and nobody else', () => {
  const broken: SenderPolicy = { type: 'broken', why: 'it is torn' }
  assert.deepEqual([eve(broken), eve(broken, { isMain: true }), eve(broken, { fromMe: true })], ['overheard', 'member', 'owner'])
})

test('a chat’s own rule goes before the default, and who is not named is overheard or dropped as the rule says', () => {
  const policy = list({
    default: nobody,
    chats: { 'tg:1': { allow: ['eve'], mode: 'drop' }, 'tg:2': { allow: ['bob'], mode: 'drop' } },
  })
  assert.deepEqual(
    ['tg:1', 'tg:2', 'tg:3'].map((jid) => eve(policy, { jid })),
    ['member', 'dropped', 'overheard'],
  )
})

test('the default does not lock main out; a rule with its name does', () => {
  assert.equal(eve(list({ default: nobody }), { isMain: true }), 'member')
  assert.equal(eve(list({ chats: { 'tg:1': nobody } }), { isMain: true }), 'overheard')
})

test('owners and admins are heard everywhere, an admin of a chat only there', () => {
  assert.equal(eve(list({ default: nobody, owners: ['eve'] })), 'owner')
  assert.equal(eve(list({ default: nobody, admins: [' EVE '] })), 'admin')
  const ofOne = list({ default: nobody, chats: { 'tg:1': { allow: [], mode: 'drop', admins: ['eve'] } } })
  assert.deepEqual([eve(ofOne), eve(ofOne, { jid: 'tg:2' })], ['admin', 'overheard'])
})

test('a chat with the name of something that JavaScript knows has no rule by that', () => {
  for (const jid of ['__proto__', 'constructor', 'toString']) assert.equal(eve(list({ default: nobody }), { jid }), 'overheard')
})

test('each role may do what the table says, and who is not heard nothing', () => {
  const acts: PersonalAct[] = ['stop', 'status', 'help', 'answer-question', 'new', 'compact', 'new hard']
  const may = (standing: Parameters<typeof mayDo>[0]) => acts.filter((act) => mayDo(standing, act)).length
  assert.deepEqual(
    (['owner', 'admin', 'member'] as const).map((role) => may({ type: 'heard', role })),
    [7, 6, 4],
  )
  assert.deepEqual([may({ type: 'overheard' }), may({ type: 'dropped' })], [0, 0])
  assert.ok(!mayDo({ type: 'heard', role: 'admin' }, 'new hard'))
  for (const act of ['new', 'compact', 'new hard'] as const) assert.ok(!mayDo({ type: 'heard', role: 'member' }, act), act)
})
