import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Act, may, type Who } from './authority.ts'

const MAIN: Who = { folder: 'main', isMain: true }
const FAMILY: Who = { folder: 'family', isMain: false }

type Row = [
  act: Act,
  group: { own: boolean; others: boolean; nobodys: boolean },
  main: { own: boolean; others: boolean; nobodys: boolean },
]
const [yes, no] = [true, false]

/** Written out, and not taken from the code: this is the promise. */
const PROMISED: Row[] = [
  ['speak', { own: yes, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['schedule-task', { own: yes, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['see-task', { own: yes, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['change-task', { own: yes, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['see-group', { own: yes, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['search-history', { own: yes, others: no, nobodys: no }, { own: yes, others: no, nobodys: no }],
  ['register-group', { own: no, others: no, nobodys: no }, { own: no, others: no, nobodys: yes }],
  ['update-group', { own: no, others: no, nobodys: no }, { own: yes, others: yes, nobodys: no }],
  ['refresh-groups', { own: no, others: no, nobodys: no }, { own: no, others: no, nobodys: yes }],
]

for (const [act, group, main] of PROMISED) {
  for (const [who, rights] of [[FAMILY, group] as const, [MAIN, main] as const]) {
    const name = who.isMain ? 'main' : 'another group'
    const other = who.isMain ? 'family' : 'main'
    test(`${name} ${rights.own ? 'may' : 'may not'} ${act} of its own`, () => assert.equal(may(who, act, who.folder), rights.own))
    test(`${name} ${rights.others ? 'may' : 'may not'} ${act} of another group`, () =>
      assert.equal(may(who, act, other), rights.others))
    test(`${name} ${rights.nobodys ? 'may' : 'may not'} ${act} of no group`, () =>
      assert.equal(may(who, act, undefined), rights.nobodys))
  }
}

test('names that mean something to JavaScript are groups like any other', () => {
  for (const folder of ['__proto__', 'constructor', 'toString', '']) {
    assert.equal(may({ folder, isMain: false }, 'speak', 'main'), false)
    assert.equal(may(FAMILY, 'speak', folder), false)
  }
})
