import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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
  return { file, problems, senders, write, eve }
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

test('a list is read with its defaults, and in the words of v1', (t) => {
  const { senders, write } = allowlist(t)
  const listOf = (text: object) => {
    write(text)
    const policy = senders.policy()
    return policy.type === 'list' ? policy.list : assert.fail(policy.type)
  }
  const nobody = { chats: {}, owners: [], admins: [] }
  assert.deepEqual(listOf({}), { default: { allow: '*', mode: 'trigger' }, ...nobody })
  assert.deepEqual(listOf({ logDenied: true }), { default: { allow: '*', mode: 'trigger' }, ...nobody, logDenied: true })
  const chat = { allow: [' ann '], mode: 'drop', admins: ['ann'] }
  assert.deepEqual(listOf({ chats: { 'tg:1': chat }, owners: ['o'], admins: ['a'] }), {
    default: { allow: '*', mode: 'trigger' },
    chats: { 'tg:1': { ...chat, allow: ['ann'] } },
    ...{ owners: ['o'], admins: ['a'] },
  })
})

test('a list that names nobody where it names somebody is broken, and it is said where', (t) => {
  const { problems, write, eve, file } = allowlist(t)
  const broken: [object, string][] = [
    [{ owners: [''] }, 'owners.0'],
    [{ admins: ['a', ' '] }, 'admins.1'],
    [{ default: { allow: [''] } }, 'default.allow'],
    [{ default: { allow: '*', mode: 'ignore' } }, 'default.mode'],
    [{ default: { allow: '*', admins: 'ann' } }, 'default.admins'],
    [{ chats: { x: {} } }, 'chats.x.allow'],
  ]
  for (const [list, where] of broken) {
    write(list)
    assert.equal(eve(), 'overheard', where)
    assert.ok(
      problems.at(-1)?.startsWith(`${file} cannot be used, so nobody is heard but main's chats: ${where}`),
      problems.at(-1),
    )
  }
  assert.equal(problems.length, broken.length)
  write('[]')
  eve()
  assert.match(problems.at(-1) ?? '', /chats: it: /)
})

test('the version of a policy changes with its file, and names one that cannot be looked at', (t) => {
  const { file, write, senders } = allowlist(t)
  const version = () => senders.judge.version?.()
  assert.equal(version(), 'none')
  write({})
  const first = version()
  assert.equal(version(), first)
  write({ default: { allow: [] } })
  assert.notEqual(version(), first)
  rmSync(file)
  symlinkSync(file, file)
  assert.match(version() ?? '', /^unreadable: .*ELOOP/)
  assert.equal(senders.policy().type, 'broken', 'it is not taken for a missing one')
})

const STARVED = `
  import { closeSync, openSync } from 'node:fs'
  import { SenderAllowlist } from ${JSON.stringify(path.join(import.meta.dirname, 'sender-allowlist.ts'))}
  const broken = []
  const senders = new SenderAllowlist({ file: process.argv[1], onBroken: (why) => broken.push(why) })
  const held = []
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch {}
  const said = []
  try {
    senders.policy()
  } catch (error) {
    said.push(error.code)
  }
  for (const one of held) closeSync(one)
  console.log(JSON.stringify([...said, senders.policy().type, broken]))
`

test('a file that cannot be read for want of descriptors is no broken policy, and is read when there are some', (t) => {
  const { file, write } = allowlist(t)
  write({ default: { allow: ['bob'] } })
  const args = ['-c', 'ulimit -n 60 && exec "$0" "$@"', process.execPath, '--input-type=module', '-e', STARVED, file]
  const { stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(stdout || assert.fail(stderr)), ['host.failed', 'list', []])
})
