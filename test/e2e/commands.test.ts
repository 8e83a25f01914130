import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'

const asked = (host: TestHost, text: string) => host.model.requests.some((request) => JSON.stringify(request.body).includes(text))

test('/stop interrupts a tool at once, what was said stays, and the group works on', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const running = host.run(['chat', '--once', '!tool Bash {"command":"tail -f /dev/null"}'])
  await until(() => asked(host, 'tail -f'), 'the tool was called')
  assert.match(await host.say('/status'), /^I am working\. Container nanoclaw-main-\d+, since .*Session /)
  assert.equal(await host.say('/stop'), 'Stopping.')
  const { code, stderr } = await running
  assert.equal(code, 1)
  assert.match(stderr, /stopped/)
  assert.match(await host.say('!echo on we go'), /on we go/)
})

test('/stop works also when the agent hangs and does not listen any more', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const running = host.run(['chat', '--once', '!tool Bash {"command":"pkill -STOP -f dist/main.mjs; tail -f /dev/null"}'])
  await until(() => asked(host, 'pkill -STOP'), 'the tool was called')
  assert.equal(await host.say('/stop'), 'Stopping.')
  assert.match((await running).stderr, /stopped/)
  assert.match(await host.say('!echo still here'), /still here/)
})

test('/new starts a fresh session and keeps the memory; /new hard resets what Claude Code kept as well', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo the old days')
  const session = async () => (await host.status()).groups[0].sessionId
  const first = await session()
  const memory = path.join(host.root, 'groups/main/CLAUDE.md')
  await host.say('/new')
  assert.equal(await session(), null)
  assert.doesNotMatch(await host.say('!history'), /old days/)
  assert.notEqual(await session(), first)
  assert.ok(existsSync(memory))

  const claude = path.join(host.root, 'data/sessions/main/.claude')
  const isolated = path.join(host.root, 'data/sessions/main/isolated/.claude')
  mkdirSync(isolated, { recursive: true })
  for (const folder of [claude, isolated]) writeFileSync(path.join(folder, 'left-behind'), '')
  assert.match(await host.say('/new hard'), /is being reset; I say when that is done\.$/)
  const told = async () => (await host.client.history('local:main', 1))[0]?.text ?? ''
  const reset = async () => (await told()) === 'Everything Claude Code kept for this group is reset.'
  await until(reset, 'it is told', { seen: () => host.file('logs', 'nanoclaw.log') })
  assert.deepEqual(
    [claude, isolated].filter((folder) => existsSync(folder)),
    [],
  )
  assert.match(await host.say('!echo again'), /again/)
  const left = () => readdirSync(path.join(host.root, 'data/sessions/main')).sort()
  await until(() => left().join() === '.claude,isolated', 'what was kept is removed', { seen: left })
  assert.deepEqual(readdirSync(path.dirname(isolated)), [])
  assert.ok(existsSync(memory))
})

test('/compact shortens the conversation and archives it first', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo the blue door')
  await host.say('/compact')
  assert.equal(readdirSync(path.join(host.root, 'groups/main/conversations')).length, 1)
  assert.match(await host.say('!echo after'), /after/)
})

test('/help lists the commands, without an agent', async (t) => {
  const host = await TestHost.create(t, { ANTHROPIC_API_KEY: '', HOME: '/nonexistent' })
  assert.match(await host.say('/help'), /\/stop[\s\S]*\/new hard/)
  assert.equal(host.model.requests.length, 0)
})
