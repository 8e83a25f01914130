import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { enginePlaces } from '../../runtimes/find-engine.ts'
import { askSockets, engineSockets, isListed } from './engine-facts.ts'

async function engine(t: TestContext, answer: RequestListener): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-facts-'))
  const socket = path.join(folder, 'engine.sock')
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  t.after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  return socket
}

const rootless = JSON.stringify({ SecurityOptions: ['name=seccomp,profile=builtin', 'name=rootless'] })

test('an engine that describes itself is ready; a rootless Docker is named as such, a rootless Podman is fine', async (t) => {
  assert.equal(
    await askSockets([await engine(t, (_, response) => response.end('{"SecurityOptions":["name=seccomp"]}'))]),
    'ready',
  )
  const docker = await engine(t, (_, response) => response.end(rootless))
  assert.equal(await askSockets([docker]), 'rootless-docker')
  const podman = await engine(t, (_, response) => response.setHeader('Libpod-API-Version', '4.9').end(rootless))
  assert.equal(await askSockets([podman]), 'ready')
  assert.equal(await askSockets([docker, podman]), 'ready')
})

test('a socket that is missing, broken or closed is no engine', async (t) => {
  const broken = await engine(t, (_, response) => response.writeHead(500).end())
  const silent = await engine(t, (_, response) => response.destroy())
  assert.equal(await askSockets(['/nonexistent/engine.sock', broken, silent]), 'none')
})

test('DOCKER_HOST is the only place that is asked when it is set', () => {
  assert.deepEqual(engineSockets({ DOCKER_HOST: 'unix:///tmp/x.sock' }), ['/tmp/x.sock'])
  assert.equal(engineSockets({ XDG_RUNTIME_DIR: '/run/user/7' }).includes('/run/user/7/podman/podman.sock'), true)
  assert.equal(engineSockets({ CONTAINER_RUNTIME: 'podman' }).includes('/var/run/docker.sock'), false)
})

test('membership is read from the file of groups, whole names only', () => {
  const groups = 'adm:x:4:ada\ndocker:x:999:adam,ada\n'
  assert.equal(isListed({ user: 'ada', groups }), true)
  assert.equal(isListed({ user: 'ad', groups }), false)
  assert.equal(isListed({ user: 'ada', groups: 'docker:x:999:\n' }), false)
})

test('an engine is looked for wherever the host would find one', () => {
  for (const CONTAINER_RUNTIME of ['docker', 'podman']) {
    const env = { CONTAINER_RUNTIME, DOCKER_CONFIG: '/nonexistent', XDG_RUNTIME_DIR: '/run/user/7' }
    const places = enginePlaces({ env, homedir: homedir() }).map(({ socketPath }) => socketPath)
    assert.deepEqual(
      places.filter((place) => !engineSockets(env).includes(place)),
      [],
    )
  }
})
