import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import SQLite from 'better-sqlite3'
import { removeOrphans } from '../../src/app/recovery.ts'
import { ControlClient } from '../../src/cli/control-client.ts'
import { writeDist } from '../../src/cli/setup/build.ts'
import { PROJECT, pathsOf } from '../../src/config.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import { at, V1Database, v1Folders } from '../fakes/v1-root.ts'

const FAMILY = '120363@g.us'
const OWNER = '49151@s.whatsapp.net'
const docker = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8' })

const query = (host: TestHost, sql: string, ...values: unknown[]) => {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  try {
    return db.prepare(sql).all(...values) as Record<string, unknown>[]
  } finally {
    db.close()
  }
}
const answers = (host: TestHost, jid: string) =>
  query(host, 'SELECT content FROM messages WHERE chat_jid = ? AND is_bot_message = 1 ORDER BY seq', jid).map((row) =>
    String(row.content),
  )

/** A session that the real SDK kept, as v1's containers left it: its id and its `.claude` folder. */
async function realSession(t: TestContext): Promise<{ id: string; folder: string }> {
  const earlier = await TestHost.create(t)
  await earlier.start()
  await earlier.say('!echo the lighthouse is blue')
  const [{ sessionId }] = (await earlier.status()).groups
  await earlier.stop()
  assert.ok(sessionId)
  return { id: sessionId, folder: path.join(earlier.root, 'data/sessions/main/.claude') }
}

/** A root of v1: main, and a group whose folder has capitals. */
function v1Root(root: string): V1Database {
  for (const folder of ['main', 'Family', 'global']) v1Folders(root, folder)
  writeFileSync(path.join(root, 'logs', 'nanoclaw.log'), 'a line of v1\n')
  return new V1Database(root)
    .group({ jid: OWNER, folder: 'main', is_main: 1 })
    .group({ jid: FAMILY, folder: 'Family', name: 'Family', requires_trigger: 0, container_config: '{"timeout":600000}' })
    .messages(FAMILY, ['f1', 1, 'tell me about the lighthouse'], ['f2', 2, 'it is blue', 'bot'])
    .messages(OWNER, ['m1', 1, 'hello'], ['m2', 2, 'hi', 'bot'])
}

test('a root of v1 goes on: same session, same history, what came in meanwhile is answered', async (t) => {
  const session = await realSession(t)
  const host = await TestHost.create(t)
  const database = v1Root(host.root).add('sessions', { group_folder: 'Family', session_id: session.id })
  database
    .messages(FAMILY, ['f3', 9, '!history'])
    .answered({ [FAMILY]: at(1), [OWNER]: at(1) })
    .close()
  const claude = path.join(host.root, 'data/sessions/Family/.claude')
  rmSync(claude, { recursive: true })
  renameSync(session.folder, claude)

  await host.start()
  await until(() => answers(host, FAMILY).length === 2, 'the message that came while v1 was down is answered')
  assert.match(answers(host, FAMILY)[1] ?? '', /the lighthouse is blue/)
  const client = new ControlClient({ socketPath: pathsOf(host.root, host.env).controlSocket })
  await client.send(FAMILY, '!echo and the next message')
  await until(() => answers(host, FAMILY).length === 3, 'the next message is answered')
  assert.deepEqual(answers(host, FAMILY).at(-1), 'and the next message')

  const status = await host.status()
  const family = status.groups.find(({ folder }) => folder === 'Family')
  assert.deepEqual([family?.sessionId, family?.chats], [session.id, [FAMILY]])
  assert.deepEqual(status.groups[0].chats.sort(), [OWNER, 'local:main'].sort())
  const initialized = host.file('logs', 'nanoclaw.log').match(/Session initialized: \S+$/gm)
  assert.deepEqual(new Set(initialized), new Set([`Session initialized: ${session.id}`]))
  assert.match(host.file('logs', 'nanoclaw.log'), /^a line of v1$/m)
  assert.match(await host.say('!echo main works too'), /main works too/)
  assert.equal(answers(host, OWNER).length, 1, 'what v1 answered is not answered again')

  const { name } = status.containers.find(({ group }) => group === 'Family') ?? assert.fail('no container of Family')
  assert.match(name, /^nanoclaw-Family-\d+$/)
  const [{ Mounts }] = JSON.parse(docker('inspect', name))
  const sources = new Map<string, string>(
    Mounts.map((mount: { Destination: string; Source: string }) => [mount.Destination, mount.Source]),
  )
  assert.equal(sources.get('/workspace/group'), path.join(host.root, 'groups/Family'))
  assert.equal(sources.get('/home/node/.claude'), claude)
  assert.match(host.file('groups/Family/CLAUDE.md'), /memory that v1 left/)
  assert.equal(host.file('groups/Family/logs/container-2026-02-10T18-00-00-000Z.log'), 'a run of v1\n')
  const copy = new SQLite(path.join(host.root, 'store/messages.db.v1-backup'), { readonly: true })
  t.after(() => copy.close())
  assert.equal(copy.prepare('SELECT count(*) FROM messages').pluck().get(), 5)
})

test('links that were planted in a root of v1 stop their group alone, with a word in its chat, and nothing is touched behind them', async (t) => {
  const host = await TestHost.create(t)
  const outside = temporaryFolder(t)
  const database = v1Root(host.root).answered({ [FAMILY]: at(9), [OWNER]: at(9) })
  const planted = {
    LogsLink: ['groups', 'LogsLink', 'logs'],
    SkillsLink: ['data', 'sessions', 'SkillsLink', '.claude', 'skills'],
    ClaudeLink: ['data', 'sessions', 'ClaudeLink', '.claude'],
    IpcLink: ['data', 'ipc', 'IpcLink', 'messages'],
    GroupLink: ['groups', 'GroupLink'],
  }
  for (const [folder, parts] of Object.entries(planted)) {
    v1Folders(host.root, folder)
    const link = path.join(host.root, ...parts)
    const target = path.join(outside, folder)
    mkdirSync(target, { mode: 0o750 })
    writeFileSync(path.join(target, 'private'), 'untouched')
    rmSync(link, { recursive: true })
    symlinkSync(target, link)
    database.group({ jid: `${folder}@g.us`, folder, requires_trigger: 0 }).messages(`${folder}@g.us`, [folder, 1, 'hello'])
  }
  database.close()
  const before = stateOf(outside)

  await host.start()
  for (const [folder, parts] of Object.entries(planted)) {
    const told = () => query(host, 'SELECT text FROM outbox WHERE jid = ?', `${folder}@g.us`).map((row) => String(row.text))
    await until(() => told().length > 0, `${folder} is told`)
    assert.ok(told()[0]?.includes(`${path.join(host.root, ...parts)} must be a folder`), told()[0])
  }
  assert.match(await host.say('!echo main works'), /main works/)
  const client = new ControlClient({ socketPath: pathsOf(host.root, host.env).controlSocket })
  await client.send(FAMILY, '!echo the family too')
  await until(() => answers(host, FAMILY).includes('the family too'), 'another group works')
  assert.deepEqual(stateOf(outside), before)
})

test('a link in place of a group’s logs does not lead what main is shown over its own programs', async (t) => {
  const host = await TestHost.create(t)
  const database = v1Root(host.root).answered({ [FAMILY]: at(9), [OWNER]: at(9) })
  v1Folders(host.root, 'Sly')
  rmSync(path.join(host.root, 'groups/Sly/logs'), { recursive: true })
  symlinkSync('/usr/local/bin', path.join(host.root, 'groups/Sly/logs')) // where the image has node and claude
  database.group({ jid: 'sly@g.us', folder: 'Sly' }).close()
  assert.match(await host.say('!echo main works'), /main works/)
})

/** Every path below, with its owner, mode and content. */
function stateOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const stat = lstatSync(path.join(folder, name))
      const content = stat.isFile() ? readFileSync(path.join(folder, name), 'utf8') : ''
      return `${name} ${stat.uid}:${stat.gid} ${stat.mode.toString(8)} ${content}`
    })
}

test('containers that v1 left are removed when they hold a folder of this root, and only then', async (t) => {
  const [root, elsewhere] = [temporaryFolder(t), temporaryFolder(t)]
  const start = (name: string, folder: string, ...options: string[]) => {
    const sleep = ['--entrypoint', 'sleep', '--network', 'none', 'nanoclaw-agent:latest', '600']
    docker('run', '-d', '--rm', '--name', name, '-v', `${folder}:/workspace/group`, ...options, ...sleep)
    t.after(() => execFileSync('sh', ['-c', `docker rm -f ${name} >/dev/null 2>&1 || true`]))
    return name
  }
  const id = `${process.pid}-${Date.now()}`
  const group = path.join(root, 'groups', 'Family')
  mkdirSync(group, { recursive: true })
  const orphan = start(`nanoclaw-Family-${id}`, group)
  const others = [
    start(`nanoclaw-other-${id}`, elsewhere),
    start(`my-nanoclaw-${id}`, group),
    start(`nanoclaw-labelled-${id}`, group, '--label', 'nanoclaw.install=another'),
  ]
  const log: string[] = []
  const note = (text: string) => void log.push(text)
  const runtime = await engineRuntime({ env: process.env })
  await removeOrphans({ runtime, installId: `none-${id}`, root, log: { info: note, warn: note } })
  const running = docker('ps', '--format', '{{.Names}}').split('\n')
  assert.ok(!running.includes(orphan))
  for (const other of others) assert.ok(running.includes(other), other)
  assert.deepEqual(log, [`Removed the container ${orphan} of an earlier run`])
})

for (const { name, flags } of [
  { name: 'this Node', flags: [] },
  { name: 'a Node without execve', flags: ['--import', 'data:text/javascript,delete process.execve'] },
])
  test(`dist/index.js, started by v1's unit with ${name}, runs the host, and each line of its log stands there once`, async (t) => {
    const host = await TestHost.create(t)
    v1Root(host.root)
      .answered({ [FAMILY]: at(9), [OWNER]: at(9) })
      .close()
    const project = projectWithDist(t)
    const [log, errors] = ['nanoclaw.log', 'nanoclaw.error.log'].map((file) => path.join(host.root, 'logs', file)) as [
      string,
      string,
    ]
    appendFileSync(errors, '')
    // StandardOutput=append:.../logs/nanoclaw.log and StandardError=append:.../logs/nanoclaw.error.log
    const stdio = ['ignore' as const, openSync(log, 'a'), openSync(errors, 'a')]
    const unit = spawn(process.execPath, [...flags, path.join(project, 'dist', 'index.js')], {
      cwd: project,
      env: host.env,
      stdio,
    })
    const ended = new Promise((resolve) => unit.on('exit', resolve))
    t.after(() => unit.kill('SIGKILL'))
    await until(() => / Ready$/m.test(readFileSync(log, 'utf8')), 'the host is ready')
    assert.match(await host.say('!echo under the old unit'), /under the old unit/)
    unit.kill('SIGTERM')
    assert.equal(await ended, 0)
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
    assert.deepEqual(lines, [...new Set(lines)])
    for (const once of [/^a line of v1$/, / Ready$/, / Stopped$/])
      assert.equal(lines.filter((line) => once.test(line)).length, 1, String(once))
    assert.ok(existsSync(path.join(host.root, 'store/messages.db.v1-backup')))
    assert.equal(readFileSync(errors, 'utf8'), '')
  })

/** A project folder after `npm run build`, whose launcher needs to install nothing. */
function projectWithDist(t: TestContext): string {
  const project = temporaryFolder(t)
  writeFileSync(path.join(project, 'package.json'), '{"type":"module"}')
  const main = path.join(PROJECT, 'src', 'cli', 'main.ts')
  writeFileSync(path.join(project, 'nanoclaw'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 })
  writeDist(project)
  return project
}
