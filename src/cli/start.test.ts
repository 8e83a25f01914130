import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeEngine, untilKilled } from '../../test/fakes/engine.ts'
import { EngineSocket } from '../../test/fakes/engine-socket.ts'
import { DUMMY_KEY, TestHost } from '../../test/fakes/host-process.ts'
import { until } from '../../test/fakes/patience.ts'
import { StoppableEngine } from '../../test/fakes/stoppable-engine.ts'
import { PROJECT } from '../config.ts'
import { CRASHED } from './last-resort.ts'

// The host as a process of its own, with an engine of the test behind a socket: what becomes of it when something hangs or
// breaks.

const MAIN = 'local:main'
const FAULTY = path.join(PROJECT, 'test', 'fakes', 'faulty-host.ts')

async function engineOf(t: TestContext) {
  const images = { 'nanoclaw-agent:latest': { labels: {} } }
  const program = async (inside: Parameters<typeof untilKilled>[0]) => {
    await untilKilled(inside)
    return 0
  }
  return EngineSocket.listen(t, { engine: new FakeEngine({ images, program }) })
}

/** A host whose engine falls silent just before it is to start a container. */
async function hanging(t: TestContext, env: NodeJS.ProcessEnv) {
  const engine = await engineOf(t)
  const way = await StoppableEngine.start(t, engine.socketPath)
  const host = await TestHost.create(t, { DOCKER_HOST: `unix://${way.socketPath}`, ...env })
  await host.start()
  way.stop()
  await host.client.send(MAIN, 'hello')
  await until(() => host.file('logs', 'nanoclaw.log').includes('Starting container'), 'a container is started')
  return { host, way, engine }
}

test('a host ends within its grace and a few seconds, though the engine does not answer a start', async (t) => {
  const { host } = await hanging(t, { SHUTDOWN_GRACE: '1000' })
  process.kill(host.pid ?? 0, 'SIGTERM')
  // The engine would be waited for a minute.
  await until(() => host.dead, 'it ends', { limitMs: 25_000, seen: () => host.file('logs', 'nanoclaw.log') })
  assert.equal(await host.stop(), 0)
  assert.match(host.file('logs', 'nanoclaw.log'), / Stopped$/m)
})

test('a second signal ends a host at once, though the engine does not answer a start', async (t) => {
  const { host } = await hanging(t, { SHUTDOWN_GRACE: '600000' })
  process.kill(host.pid ?? 0, 'SIGTERM')
  await until(() => host.file('logs', 'nanoclaw.log').includes('Stopping'), 'it is stopping')
  process.kill(host.pid ?? 0, 'SIGTERM')
  await until(() => host.dead, 'it ends', { limitMs: 25_000, seen: () => host.file('logs', 'nanoclaw.log') })
  assert.equal(await host.stop(), 0)
})

for (const fault of ['throw', 'reject', 'throw and hang'])
  test(`an error that nothing caught is told, and ends a host in order: ${fault}`, async (t) => {
    const engine = await engineOf(t)
    const host = await TestHost.create(t, { DOCKER_HOST: `unix://${engine.socketPath}` }, { entry: FAULTY })
    const file = path.join(host.root, 'fault')
    await host.start({ FAULT: file })
    writeFileSync(file, fault)
    await until(() => host.dead, 'it ends', { limitMs: 60_000 })
    assert.equal(await host.stop(), CRASHED)
    const log = host.file('logs', 'nanoclaw.error.log')
    const story = fault === 'reject' ? 'nobody waits for this' : 'a timer fails'
    assert.match(
      log,
      new RegExp(`An error that nothing caught ends NanoClaw \\(exit code 70\\); .*Error: ${story}.*\\n +at .*faulty-host`),
    )
    assert.ok(!log.includes(DUMMY_KEY))
    assert.match(host.file('logs', 'nanoclaw.log'), / Stopped$/m)
    await host.start({ FAULT: '' })
    assert.equal(await host.stop(), 0, 'and it can be started again')
  })

test('a console that nobody reads any more ends no host, and its log goes on', async (t) => {
  const engine = await engineOf(t)
  const host = await TestHost.create(t, { DOCKER_HOST: `unix://${engine.socketPath}` })
  const command = [path.join(PROJECT, 'src', 'cli', 'main.ts'), 'start']
  // Where systemd cannot be told, the host says so on stderr.
  const env = { ...host.env, NOTIFY_SOCKET: path.join(host.root, 'nobody'), WATCHDOG_USEC: '300000' }
  const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  child.stdout.destroy()
  child.stderr.destroy()
  const log = () => host.file('logs', 'nanoclaw.log')
  await until(() => / Ready$/m.test(log()), 'it is ready', { seen: log })
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.deepEqual([code, / Stopped$/m.test(log())], [0, true], log())
})
