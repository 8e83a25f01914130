import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { ControlClient } from '../../src/cli/control-client.ts'
import { pathsOf } from '../../src/config.ts'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'

const client = (host: TestHost) => new ControlClient({ socketPath: pathsOf(host.root, host.env).controlSocket })

/** A command that must succeed; what it said. */
async function run(host: TestHost, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(args)
  assert.equal(code, 0, stderr)
  return stdout + stderr
}

/** Says something in any registered chat, as the dashboard does; the answer of its turn. */
async function sayIn(host: TestHost, jid: string, text: string): Promise<string | null> {
  const { seq } = await client(host).send(jid, text)
  for await (const event of client(host).outcome(jid, seq, new AbortController().signal)) {
    if (event.type === 'answer') return event.text
    if (event.type === 'failed') assert.fail(event.message)
  }
  return assert.fail('the outcome ended without one')
}

const groupsOf = async (host: TestHost) => JSON.parse((await host.run(['groups', 'list', '--json'])).stdout)
const containersOf = (host: TestHost, group: string) => {
  const filters = [`label=nanoclaw.install=${host.file('data', 'install-id')}`, `label=nanoclaw.group=${group}`]
  const args = filters.flatMap((filter) => ['--filter', filter])
  return execFileSync('docker', ['ps', '--format', '{{.Names}}', ...args], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
}
const asked = (host: TestHost, words: string) =>
  host.model.requests.filter((request) => JSON.stringify(request.body).includes(words))

test('in a group with a trigger, what was said before is context of the message that calls', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  assert.match(
    await run(host, 'groups', 'register', 'local:family', '--folder', 'family', '--trigger', '@安迪'),
    /start with @安迪/,
  )
  const waiting = host.run(['chat', '--once', 'we eat at eight', '--group', 'family'])
  await until(async () => (await client(host).history('local:family', 1)).length === 1, 'the message is stored')
  assert.match(await host.say('[Photo] @安迪你好', ['--group', 'family']), /./)
  assert.equal((await waiting).code, 0, 'one turn answers both')
  const [request] = asked(host, 'we eat at eight')
  assert.match(JSON.stringify(request?.body), />we eat at eight<.*>\[Photo\] @安迪你好</)
  assert.match(containersOf(host, 'family').join(), /^nanoclaw-family-\d+$/)
  assert.ok(existsSync(path.join(host.root, 'groups', 'family', 'logs')))
  assert.deepEqual(containersOf(host, 'main'), [])
})

test('two chats of a group share a conversation, and each gets its own answers', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await run(host, 'groups', 'register', 'tg:1', '--folder', 'family', '--no-trigger')
  assert.match(await run(host, 'groups', 'register', 'tg:2', '--folder', 'family', '--no-trigger'), /tg:1, tg:2 share one memory/)
  assert.equal(await sayIn(host, 'tg:1', '!echo from the first'), 'from the first')
  assert.match((await sayIn(host, 'tg:2', '!history')) ?? '', /from the first/)
  const texts = async (jid: string) => (await client(host).history(jid, 9)).map(({ text }) => text.split('\n')[0])
  assert.deepEqual(await texts('tg:1'), ['!echo from the first', 'from the first'])
  assert.equal((await texts('tg:2')).length, 2)
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  assert.deepEqual(db.prepare("SELECT jid FROM outbox WHERE jid <> 'local:main' ORDER BY seq").pluck().all(), ['tg:1', 'tg:2'])
  db.close()
  assert.match(JSON.stringify(asked(host, '!history').at(-1)?.body), /chat=\\?"tg:2/, 'the agent knows who speaks')
  assert.match(await host.say('!history', ['--group', 'family']), /from the first/, 'so does the terminal, when it is asked')
})

test('new instructions, and what all groups are to know, reach a conversation that goes on', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await run(host, 'groups', 'set', 'main', '--config', '{"systemPrompt":"Rhyme always."}')
  await host.say('!echo first')
  await run(host, 'groups', 'set', 'main', '--config', '{"systemPrompt":"Never rhyme."}')
  writeFileSync(path.join(host.root, 'groups', 'global', 'CLAUDE.md'), 'The cat is called Miez.')
  assert.match(await host.say('!history'), /first/)
  const asked = JSON.stringify(host.model.requests.at(-1)?.body)
  for (const words of ['Never rhyme.', 'The cat is called Miez.']) assert.ok(asked.includes(words), words)
  assert.ok(!asked.includes('Rhyme always.'))
})

test('groups that do not share a folder share no conversation', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  for (const folder of ['one', 'two']) await run(host, 'groups', 'register', `local:${folder}`, '--folder', folder)
  await host.say('!echo secret of one', ['--group', 'one'])
  assert.doesNotMatch(await host.say('!history', ['--group', 'two']), /secret/)
  const [, one, two] = (await host.status()).groups
  assert.notEqual(one.sessionId, two.sessionId)
})

test('a group that is removed in mid-turn answers, then it is gone with its container, and its files stay', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await run(host, 'groups', 'register', 'local:family', '--folder', 'family')
  const model = host.hold('!slow 30')
  const answer = host.run(['chat', '--once', '!slow 30 10', '--group', 'family'])
  await host.modelWasAsked('!slow 30')
  writeFileSync(path.join(host.root, 'groups', 'family', 'notes.md'), 'mine')
  assert.match(await run(host, 'groups', 'remove', 'family'), /takes no more messages[\s\S]*No file was deleted: groups\/family/)
  assert.equal((await host.run(['chat', '--once', 'too late', '--group', 'family'])).code, 2)
  model.release()
  const { code, stdout } = await answer
  assert.deepEqual([code, /w0 .*w29/.test(stdout)], [0, true])
  await until(async () => (await groupsOf(host)).length === 1, 'the group is gone')
  await until(() => containersOf(host, 'family').length === 0, 'its container is gone')
  assert.equal(host.file('groups', 'family', 'notes.md'), 'mine')
  const late = await host.run(['chat', '--once', 'hello', '--group', 'family'])
  assert.deepEqual([late.code, /no group "family"/.test(late.stderr)], [2, true])
})

test('a removal that the host did not live to finish is finished by the next one', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await run(host, 'groups', 'register', 'tg:1', '--folder', 'family', '--no-trigger')
  const model = host.hold('!slow 30')
  const { seq } = await client(host).send('tg:1', '!slow 30 10')
  await host.modelWasAsked('!slow 30')
  await run(host, 'groups', 'remove', 'tg:1')
  await host.kill()
  assert.equal((await groupsOf(host))[1].chats[0].leaving, true)
  model.release()
  await host.start()
  await until(async () => (await groupsOf(host)).length === 1, 'the group is gone')
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  assert.equal(db.prepare('SELECT state FROM turns JOIN messages ON turn_id = turns.id WHERE seq = ?').pluck().get(seq), 'done')
  db.close()
})

test('clearing a session starts a fresh conversation, also while the container is warm', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo before')
  const [{ sessionId }] = JSON.parse((await host.run(['sessions', 'list', '--json'])).stdout)
  assert.ok((await run(host, 'sessions', 'clear', 'main')).includes(sessionId))
  assert.doesNotMatch(await host.say('!history'), /before/)
})

test('settings of a group reach its next container, also while one is warm', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await run(host, 'groups', 'register', 'local:family', '--folder', 'family')
  await host.say('!echo before', ['--group', 'family'])
  await run(host, 'groups', 'set', 'family', '--config', '{"limits":{"memoryMb":700}}')
  assert.match(await host.say('!history', ['--group', 'family']), /before/, 'the conversation goes on')
  const [name = ''] = containersOf(host, 'family')
  const [{ HostConfig }] = JSON.parse(execFileSync('docker', ['inspect', name], { encoding: 'utf8' }))
  assert.equal(HostConfig.Memory, 700 * 1024 * 1024)
})

test('without a host groups are read and changed all the same, and the next host knows them', async (t) => {
  const host = await TestHost.create(t)
  assert.deepEqual(await groupsOf(host), [])
  await run(host, 'groups', 'register', 'local:family', '--folder', 'family', '--name', 'Us')
  const before = await groupsOf(host)
  assert.deepEqual(
    before.map(({ folder, isMain }: { folder: string; isMain: boolean }) => [folder, isMain]),
    [
      ['main', true],
      ['family', false],
    ],
  )
  const refused = await host.run(['groups', 'remove', 'main'])
  assert.deepEqual([refused.code, /is main/.test(refused.stderr)], [2, true])
  await host.start()
  assert.match(await host.say('!echo hi', ['--group', 'family']), /hi/)
  const [, { sessionId, ...group }] = await groupsOf(host)
  assert.deepEqual({ ...group, sessionId: null }, before[1])
  assert.ok(sessionId)
})

test('several that register at once, with no host running, all succeed', async (t) => {
  const host = await TestHost.create(t)
  const folders = ['a', 'b', 'c', 'd']
  await Promise.all(folders.map((folder) => run(host, 'groups', 'register', `tg:${folder}`, '--folder', folder)))
  assert.deepEqual(
    (await groupsOf(host)).map(({ folder }: { folder: string }) => folder),
    ['main', ...folders],
  )
})
