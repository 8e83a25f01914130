import assert from 'node:assert/strict'
import os from 'node:os'
import { test } from 'node:test'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { findEngine } from '../../src/runtimes/find-engine.ts'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { StoppableEngine } from '../fakes/stoppable-engine.ts'

// The real engine behind a proxy that is stopped: to the host it is an engine that takes connections and answers nothing.

test('a host whose engine falls silent at a start ends on its second signal, and the next one answers the message', async (t) => {
  const { socketPath } = await findEngine({ env: process.env, homedir: os.homedir() })
  const way = await StoppableEngine.start(t, socketPath)
  const host = await TestHost.create(t, { DOCKER_HOST: `unix://${way.socketPath}` })
  const log = () => host.file('logs', 'nanoclaw.log')
  await host.start()
  way.stop()
  const { seq } = await host.client.send('local:main', '!echo after the silence')
  await until(() => log().includes('Starting container'), 'a container is started', { seen: log })
  for (const text of ['Stopping', 'Stopped']) {
    process.kill(host.pid ?? 0, 'SIGTERM')
    await until(() => log().includes(text), text, { limitMs: 25_000, seen: log })
  }
  await until(() => host.dead, 'it ends', { limitMs: 25_000, seen: log })
  assert.equal(await host.stop(), 0)

  way.goOn()
  await host.start()
  const answered = async () =>
    (await host.client.history('local:main', 10)).some(
      ({ text, fromAssistant }) => fromAssistant && text.includes('after the silence'),
    )
  await until(answered, 'it is answered', { seen: log })
  await host.stop()
  const runtime = await engineRuntime({ env: process.env })
  const install = host.file('data', 'install-id').trim()
  assert.deepEqual(await runtime.list({ label: `nanoclaw.install=${install}` }), [], `nothing is left of message ${seq}`)
})
