import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { SenderAllowlist } from './sender-allowlist.ts'

function allowlist(t: TestContext) {
  const file = path.join(temporaryFolder(t), 'sender-allowlist.json')
  const problems: string[] = []
  const senders = new SenderAllowlist({ file, onBroken: (why) => problems.push(why) })
  const write = (text: string | object) => writeFileSync(file, typeof text === 'string' ? text : JSON.stringify(text))
  const eve = () => senders.judge({ jid: 'tg:1', sender: 'eve', fromMe: false }, { isMain: false }).type
  return { file, problems, write, eve }
}

test('an edit takes effect with the next question, and a missing file lets everybody in', (t) => {
  const { file, write, eve } = allowlist(t)
  assert.equal(eve(), 'heard')
  write({ default: { allow: ['bob'], mode: 'drop' } })
  assert.equal(eve(), 'dropped')
  write({ default: { allow: ['eve'], mode: 'drop' } })
  assert.equal(eve(), 'heard')
  write({ default: { allow: [] } })
  assert.equal(eve(), 'overheard')
  rmSync(file)
  assert.equal(eve(), 'heard')
})

test('what cannot be read, or says what nobody knows, keeps everybody out and is told once', (t) => {
  const { file, problems, write, eve } = allowlist(t)
  const broken = [
    '{',
    'null',
    '[]',
    { defaults: {} },
    { default: { allow: 'eve' } },
    { chats: { 'tg:1': { allow: '*', modus: 'drop' } } },
  ]
  for (const text of broken) {
    write(text)
    assert.deepEqual([eve(), eve()], ['overheard', 'overheard'], JSON.stringify(text))
  }
  assert.equal(problems.length, broken.length)
  assert.match(problems.at(-1) ?? '', /modus/)
  rmSync(file)
  mkdirSync(file)
  assert.equal(eve(), 'overheard', 'a folder in its place')
})
