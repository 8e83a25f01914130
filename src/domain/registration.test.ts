import assert from 'node:assert/strict'
import { test } from 'node:test'
import { existingFolderProblem, folderProblem } from './group.ts'
import { isFolder, isTerminal, nameProblem, registrationProblem } from './registration.ts'

test('a chat is named by a channel and an id, or by an address, in one word of at most 255 characters', () => {
  const good = ['tg:1', 'tg:-1001234567890', '120363041234567890@g.us', 'x-y2:z', `tg:${'1'.repeat(252)}`]
  for (const jid of good) assert.equal(registrationProblem({ jid, folder: 'a' }), undefined, jid)
  const bad = ['', 'tg', 'tg:', ':1', '@x', 'x@', '2tg:1', 'TG:1', 'tg: 1', 'tg:1\n', 'tg:\u200b1', `tg:${'1'.repeat(253)}`]
  for (const jid of bad) assert.match(registrationProblem({ jid, folder: 'a' }) ?? '', /does not name a chat/, jid)
})

test('the terminal of a group is a chat of that group and of no other', () => {
  assert.equal(registrationProblem({ jid: 'local:a', folder: 'a' }), undefined)
  assert.match(registrationProblem({ jid: 'local:a', folder: 'b' }) ?? '', /is called local:b/)
  assert.deepEqual(['local:a', 'local:', 'localhost:1', 'tg:local:a'].map(isTerminal), [true, true, false, false])
})

test('the name and the trigger of a wish are looked at where it has them', () => {
  const wish = { jid: 'tg:1', folder: 'a' }
  assert.match(registrationProblem({ ...wish, name: '' }) ?? '', /can be seen/)
  assert.match(registrationProblem({ ...wish, trigger: '' }) ?? '', /a trigger needs/)
  assert.match(registrationProblem({ ...wish, name: 'ok', trigger: ' ' }) ?? '', /a trigger needs/)
  assert.equal(registrationProblem({ ...wish, name: 'ok', trigger: '@a' }), undefined)
})

test('a name is one line of at most 100 characters with something to see in it', () => {
  for (const good of ['x', '…', '🎉', 'x'.repeat(100), 'a b']) assert.equal(nameProblem(good), undefined, good)
  assert.match(nameProblem('x'.repeat(101)) ?? '', /at most 100/)
  for (const bad of ['', ' ', '\u200b']) assert.match(nameProblem(bad) ?? '', /can be seen/)
  for (const bad of ['a\nb', 'a\u0007']) assert.match(nameProblem(bad) ?? '', /one line/)
})

test('a target with a colon or an at sign is a chat, and anything else a folder', () => {
  assert.deepEqual(['main', 'tg:1', 'a@b', 'a_b-1'].map(isFolder), [true, false, false, true])
})

test('a new folder has 1 to 64 plain characters, and neither a reserved name nor one of a device', () => {
  for (const good of ['main', 'family-2', 'a_b', '9', 'x'.repeat(64), 'con1', 'com', 'com10'])
    assert.equal(folderProblem(good), undefined, good)
  for (const bad of ['', 'A', '-a', '_a', '../x', 'a/b', 'a.b', 'a\n', 'x'.repeat(65)])
    assert.match(folderProblem(bad) ?? '', /1 to 64/, bad)
  const reserved = ['global', 'messages', 'tasks', 'files', 'replies', 'input', 'errors']
  for (const bad of [...reserved, 'con', 'prn', 'aux', 'nul', 'com1', 'lpt9'])
    assert.match(folderProblem(bad) ?? '', /reserved/, bad)
})

test('a folder of v1 may have capitals and the name of a device, and is else no other', () => {
  for (const good of ['Family', 'con', 'a_B-9', 'X'.repeat(64)]) assert.equal(existingFolderProblem(good), undefined, good)
  for (const bad of ['', '-a', '../x', 'a\n', 'X'.repeat(65)]) assert.match(existingFolderProblem(bad) ?? '', /1 to 64/, bad)
  for (const bad of ['global', 'Global', 'TASKS']) assert.match(existingFolderProblem(bad) ?? '', /reserved/, bad)
})
