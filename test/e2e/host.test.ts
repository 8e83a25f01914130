import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { Relay } from '../../src/cli/bench/relay.ts'
import { DUMMY_KEY, TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'

const docker = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
const query = (host: TestHost, sql: string) => {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  try {
    return db.prepare(sql).all()
  } finally {
    db.close()
  }
}

const change = (host: TestHost, sql: string) => {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'))
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}

test('two messages are answered by the real SDK in one session, and the container holds no key', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  assert.match(await host.say('!echo first'), /first/)
  const [container] = (await host.status()).containers
  assert.match(container.name, /^nanoclaw-main-\d+$/)
  assert.match(await host.say('!history'), /first/, 'the second message goes on with the first')

  const { stdout } = await host.run(['status', '--json'])
  const [{ sessionId }] = JSON.parse(stdout).groups
  const sessions = [...host.file('logs', 'nanoclaw.log').matchAll(/Session initialized: (\S+)$/gm)].map((match) => match[1])
  assert.deepEqual(new Set(sessions), new Set([sessionId]))
  const log = readdirSync(path.join(host.root, 'groups/main/logs'))
  assert.match(log.join(), /^container-\d{8}-\d{6}\.log$/)

  const grep = ['grep', '-rlsaFf', '-', '--exclude-dir=proc', '--exclude-dir=sys', '/']
  const inFiles = spawnSync('docker', ['exec', '-i', '-u', '0', container.name, ...grep], { input: DUMMY_KEY, encoding: 'utf8' })
  assert.equal(inFiles.stdout, '', 'no file has the key')
  const processes = docker(
    'exec',
    '-u',
    '1000',
    container.name,
    'sh',
    '-c',
    'cat /proc/*/environ /proc/*/cmdline 2>/dev/null || true',
  )
  assert.ok(processes.includes('placeholder') && !processes.includes(DUMMY_KEY), 'no process has the key')
  assert.ok(host.model.requests.every((request) => request.headers['x-api-key'] === DUMMY_KEY))
  assert.ok(!host.file('logs', 'nanoclaw.log').includes(DUMMY_KEY))
})

test('the container has no network, no capability, a read-only root and only its own mounts', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('hello')
  const [{ name }] = (await host.status()).containers
  const [{ HostConfig, Config, Mounts }] = JSON.parse(docker('inspect', name))
  assert.equal(HostConfig.NetworkMode, 'none')
  assert.equal(HostConfig.ReadonlyRootfs, true)
  assert.deepEqual(HostConfig.CapDrop, ['ALL'])
  assert.ok(HostConfig.SecurityOpt.some((option: string) => option.startsWith('no-new-privileges')))
  assert.equal(HostConfig.Privileged, false)
  assert.ok(HostConfig.Memory > 0 && HostConfig.PidsLimit > 0)
  assert.equal(Config.User.split(':')[0], process.getuid?.() === 0 ? '1000' : String(process.getuid?.()))
  const writable = Mounts.filter((mount: { RW: boolean }) => mount.RW).map((mount: { Destination: string }) => mount.Destination)
  assert.deepEqual(writable.sort(), [
    '/home/node/.claude',
    '/workspace/group',
    '/workspace/ipc/files',
    '/workspace/ipc/messages',
    '/workspace/ipc/tasks',
    '/workspace/project/groups/global',
  ])
  const inside = (command: string, uid = '1000') => docker('exec', '-u', uid, name, 'sh', '-c', `${command} 2>&1 || true`)
  assert.equal(inside('cat /workspace/project/.env').trim(), '')
  assert.match(inside('touch /workspace/project/README.md', '0'), /Read-only/)
  assert.match(inside('mv /workspace/group/logs /workspace/group/x'), /busy|Read-only/i)
  assert.match(inside('ls /workspace/project/store'), /No such file/)
})

test('a host that is killed in mid-answer gives the answer after its restart, once', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('hello')
  const asked = host.run(['chat', '--once', '!slow 50 100'])
  await host.modelWasAsked('!slow 50')
  await host.kill()
  await host.start()
  assert.equal((await asked).code, 0, 'who was waiting gets the answer, too')
  const answers = query(host, 'SELECT content FROM messages WHERE is_bot_message = 1 ORDER BY seq')
  assert.equal(answers.length, 2)
  assert.deepEqual(query(host, 'SELECT DISTINCT state FROM outbox'), [{ state: 'sent' }])
  const containers = docker(
    'ps',
    '--format',
    '{{.Names}} {{.Label "nanoclaw.group"}}',
    '--filter',
    `label=nanoclaw.install=${host.file('data', 'install-id')}`,
  )
  assert.equal(containers.trim().split('\n').length, 1, 'the orphan is gone')
})

test('an answer that was finished while the host was dead is reported, not made again', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('hello')
  await host.say('!echo only once')
  await host.stop()
  // As if the host had died after the agent answered and before the commit.
  change(host, "UPDATE turns SET state = 'running', answer_id = NULL WHERE id = 2")
  change(host, 'DELETE FROM outbox WHERE turn_id = 2; DELETE FROM messages WHERE turn_id = 2 AND is_bot_message = 1')
  change(host, 'UPDATE chats SET answered_seq = (SELECT min(seq) FROM messages WHERE turn_id = 2) - 1')
  const asked = host.model.requests.length
  await host.start()
  await until(() => query(host, "SELECT 1 FROM turns WHERE id = 2 AND state = 'done'").length === 1, 'the turn is done')
  assert.equal(host.model.requests.length, asked, 'the model was not asked again')
  assert.deepEqual(query(host, 'SELECT content FROM messages WHERE turn_id = 2 AND is_bot_message = 1'), [
    { content: 'only once' },
  ])
})

test('clearing a session by hand takes effect on the next message, also while the container is warm', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo before')
  const [before] = (await host.status()).groups
  rmSync(path.join(host.root, 'data/sessions/main/.claude'), { recursive: true })
  change(host, "DELETE FROM sessions WHERE group_folder = 'main'")
  assert.doesNotMatch(await host.say('!history'), /before/)
  const [after] = (await host.status()).groups
  assert.notEqual(after.sessionId, before.sessionId)
})

test('of two hosts on one root the second refuses and names the first, also when both start after a kill -9', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const second = await host.run(['start'])
  assert.equal(second.code, 1)
  assert.match(second.stderr, new RegExp(`already running.*process ${host.pid}`))
  await host.kill()
  const racers = await Promise.allSettled([host.start(), host.start()])
  assert.deepEqual(racers.map((racer) => racer.status).sort(), ['fulfilled', 'rejected'])
  await until(async () => (await host.status()).ready, 'one of them answers')
})

test('several that ask at once with no host running share one, and it ends after the last answer', async (t) => {
  const host = await TestHost.create(t)
  const answers = await Promise.all([host.say('!echo a'), host.say('!echo b')])
  assert.ok(answers.every((answer) => /a|b/.test(answer)))
  assert.equal((await host.run(['status'])).code, 3)
})

test('a crash of the agent is survived: the turn goes on in a fresh container', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const answer = await host.say('!tool Bash {"command":"pkill -9 -f app/dist/main.mjs"}')
  assert.ok(answer.length > 0)
  assert.deepEqual(query(host, 'SELECT tries, state FROM turns'), [{ tries: 2, state: 'done' }])
})

test('a missing image and a missing login are told as what they are, and the next message works again', async (t) => {
  const host = await TestHost.create(t)
  const noImage = await host.run(['chat', '--once', 'hi'], { env: { CONTAINER_IMAGE: 'nanoclaw-no-such-image:latest' } })
  assert.equal(noImage.code, 1)
  assert.match(noImage.stderr, /container\/build\.sh/)
  const noLogin = await host.run(['chat', '--once', 'hi'], { env: { ANTHROPIC_API_KEY: '', HOME: host.root } })
  assert.equal(noLogin.code, 1)
  assert.match(noLogin.stderr, /Invalid API key[\s\S]*\.env/)
  assert.match(await host.say('!echo works'), /works/)
})

test('an agent that runs out of memory is told as that, and the group works again with the next message', async (t) => {
  const host = await TestHost.create(t, { MAX_TURN_RETRIES: '0' })
  await host.say('hello')
  const limit = (config: string) => change(host, `UPDATE groups SET container_config = '${config}'`)
  limit('{"limits":{"memoryMb":256}}')
  // Many small eaters, so that the kernel takes the largest process of the container: the agent's.
  const eaters = 'for i in 1 2 3 4 5 6 7 8; do head -c 30m /dev/zero | tail > /dev/null & done; wait'
  const { code, stderr } = await host.run(['chat', '--once', `!tool Bash ${JSON.stringify({ command: eaters })}`])
  assert.equal(code, 1)
  assert.match(stderr, /ran out of memory/)
  limit('{}')
  assert.match(await host.say('!echo enough'), /enough/)
})

test('an engine that goes away in mid-answer is told as that, and the answer comes when it is back', async (t) => {
  const folder = temporaryFolder(t)
  const relay = new Relay({ path: path.join(folder, 'engine.sock'), target: '/var/run/docker.sock' })
  await relay.connect()
  t.after(() => relay.cut())
  const host = await TestHost.create(t, { DOCKER_HOST: `unix://${relay.path}` })
  await host.start()
  const model = host.hold('!slow 30')
  const asked = host.run(['chat', '--once', '!slow 30 10'])
  await host.modelWasAsked('!slow 30')
  await relay.cut()
  await until(() => query(host, "SELECT 1 FROM outbox WHERE text LIKE '%container engine%'").length === 1, 'the chat is told')
  model.release()
  await relay.connect()
  const { code, stdout, stderr } = await asked
  assert.equal(code, 0, stderr)
  assert.ok(stdout.length > 0)
  assert.deepEqual(query(host, 'SELECT state FROM turns'), [{ state: 'done' }])
})

test('a host that finds no engine says so and starts nothing', async (t) => {
  const host = await TestHost.create(t, { DOCKER_HOST: 'unix:///nowhere/engine.sock' })
  const { code, stderr } = await host.run(['start'])
  assert.equal(code, 1)
  assert.match(stderr, /engine[\s\S]*\/nowhere\/engine\.sock/i)
})

test('settings that cannot be used are named all at once, and nothing is started', async (t) => {
  const host = await TestHost.create(t)
  const { code, stderr } = await host.run(['start'], {
    env: { CONTAINER_TIMEOUT: 'soon', NETWORK: 'wlan', MAX_CONCURRENT_CONTAINERS: '0' },
  })
  assert.equal(code, 2)
  for (const name of ['CONTAINER_TIMEOUT', 'NETWORK', 'MAX_CONCURRENT_CONTAINERS']) assert.ok(stderr.includes(name), stderr)
  assert.deepEqual(readdirSync(host.root), [])
})

test('a broken database is refused with what to do, and left as it is', async (t) => {
  const host = await TestHost.create(t)
  const file = path.join(host.root, 'store', 'messages.db')
  mkdirSync(path.dirname(file))
  writeFileSync(file, `SQLite format 3\0${'garbage'.repeat(1000)}`)
  const before = readFileSync(file)
  const { code, stderr } = await host.run(['start'])
  assert.equal(code, 1)
  assert.match(stderr, /messages\.db cannot be used[\s\S]*backup/)
  assert.deepEqual(readFileSync(file), before)
  assert.deepEqual(readdirSync(path.dirname(file)), ['messages.db'])
})

test('a root that cannot be written is refused with its name', async (t) => {
  const host = await TestHost.create(t)
  const blocker = path.join(host.root, 'file')
  writeFileSync(blocker, '')
  const { code, stderr } = await host.run(['start'], { env: { NANOCLAW_HOME: path.join(blocker, 'home') } })
  assert.equal(code, 2)
  assert.ok(stderr.includes(blocker), stderr)
})

test('a root on a read-only disk is refused with what to do', async (t) => {
  const host = await TestHost.create(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', host.root])
  try {
    const { code, stderr } = await host.run(['start'])
    assert.equal(code, 2)
    assert.match(stderr, /cannot be made[\s\S]*read-only/)
    assert.doesNotMatch(stderr, /bug/)
  } finally {
    execFileSync('umount', ['-l', host.root])
  }
})

test('a full disk is told, loses nothing, and work goes on when there is room', async (t) => {
  const host = await TestHost.create(t)
  // A small file system of its own: root mounts one, anybody else can in a namespace of theirs, which this test is not.
  assert.equal(process.getuid?.(), 0, 'mounting a small disk takes root')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', host.root])
  try {
    await host.start()
    await host.say('!echo before')
    const ballast = path.join(host.root, 'ballast')
    execFileSync('sh', ['-c', `dd if=/dev/zero of=${ballast} bs=64k 2>/dev/null || true`])
    const full = await host.run(['chat', '--once', `x${'y'.repeat(100_000)}`])
    assert.equal(full.code, 1)
    assert.match(full.stderr, /disk is full/i)
    rmSync(ballast)
    assert.match(await host.say('!echo after'), /after/)
    await host.stop()
  } finally {
    execFileSync('umount', ['-l', host.root])
  }
})

test('SIGTERM ends the host gracefully and leaves no container', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('hello')
  const label = `label=nanoclaw.install=${host.file('data', 'install-id')}`
  assert.equal(docker('ps', '-q', '--filter', label).trim().split('\n').length, 1)
  assert.equal(await host.stop(), 0)
  assert.equal(docker('ps', '-aq', '--filter', label).trim(), '')
})

test('at debug level the log has the mounts and the run as a command that a shell understands', async (t) => {
  const host = await TestHost.create(t, { LOG_LEVEL: 'debug' })
  await host.start()
  await host.say('hello')
  const line =
    /as a command: (docker run .*)$/m.exec(host.file('logs', 'nanoclaw.log'))?.[1] ?? assert.fail('there is no such line')
  const words = execFileSync('sh', ['-c', `set -- ${line}; for word; do printf '%s\\n' "$word"; done`], {
    encoding: 'utf8',
  }).split('\n')
  assert.ok(words.includes('--cap-drop') && words.some((word) => word.endsWith('target=/workspace/group')))
})
