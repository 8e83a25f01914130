import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { enginePlaces, findEngine } from './find-engine.ts'

function temporaryHome(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-home-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function listen(t: TestContext, { socketPath, answer }: { socketPath: string; answer: unknown }): Promise<void> {
  mkdirSync(path.dirname(socketPath), { recursive: true })
  const server = http.createServer((_request, response) => response.end(JSON.stringify(answer)))
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.after(() => server.close())
}

const VERSION = { Version: '28.0.1', ApiVersion: '1.48', MinAPIVersion: '1.24', Components: [{ Name: 'Engine' }] }

function useContext(homedir: string, { name, host }: { name: string; host?: string }): void {
  const id = createHash('sha256').update(name).digest('hex')
  const meta = path.join(homedir, '.docker/contexts/meta', id)
  mkdirSync(meta, { recursive: true })
  writeFileSync(path.join(homedir, '.docker/config.json'), JSON.stringify({ currentContext: name }))
  if (host) writeFileSync(path.join(meta, 'meta.json'), JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }))
}

test('the engine named by DOCKER_HOST is used, and no other', async (t) => {
  const homedir = temporaryHome(t)
  const socketPath = path.join(homedir, 'mine.sock')
  const env = { DOCKER_HOST: `unix://${socketPath}` }
  await assert.rejects(findEngine({ env, homedir }), { code: 'engine.unreachable', message: /mine\.sock.*DOCKER_HOST/ })
  await listen(t, { socketPath, answer: VERSION })
  const { client, ...place } = await findEngine({ env, homedir })
  assert.deepEqual(place, { socketPath, why: 'DOCKER_HOST' })
  assert.deepEqual(client.engine, { name: 'docker', version: '28.0.1', apiVersion: '1.44' })
})

test('an engine of another machine is refused before it is asked', async (t) => {
  const homedir = temporaryHome(t)
  const env = { DOCKER_HOST: 'tcp://10.0.0.1:2375' }
  await assert.rejects(findEngine({ env, homedir }), { code: 'config.docker-host', message: /tcp:\/\/10\.0\.0\.1.*unix:\/\// })
})

test('the current Docker context is used, and no guess in its place', async (t) => {
  const homedir = temporaryHome(t)
  const socketPath = path.join(homedir, 'colima.sock')
  useContext(homedir, { name: 'colima', host: `unix://${socketPath}` })
  assert.deepEqual(enginePlaces({ env: {}, homedir }), [{ socketPath, why: 'the Docker context colima' }])
})

test('a Docker context that does not exist is named', (t) => {
  const homedir = temporaryHome(t)
  useContext(homedir, { name: 'lost' })
  assert.throws(() => enginePlaces({ env: {}, homedir }), {
    code: 'config.docker-context',
    message: /context lost, which does not/,
  })
  assert.throws(() => enginePlaces({ env: { DOCKER_CONTEXT: 'gone' }, homedir }), /context gone, which does not/)
})

test('a broken Docker configuration is named, not passed over', (t) => {
  const homedir = temporaryHome(t)
  mkdirSync(path.join(homedir, '.docker'))
  writeFileSync(path.join(homedir, '.docker/config.json'), '{')
  assert.throws(() => enginePlaces({ env: {}, homedir }), {
    code: 'config.docker-context',
    message: /config\.json cannot be read/,
  })
})

test('without a choice the usual places are tried, Docker before Podman', () => {
  const places = enginePlaces({ env: { XDG_RUNTIME_DIR: '/run/user/1000' }, homedir: '/home/me' })
  assert.deepEqual(
    places.map(({ socketPath }) => socketPath),
    [
      '/var/run/docker.sock',
      '/home/me/.docker/run/docker.sock',
      '/home/me/.docker/desktop/docker.sock',
      '/home/me/.colima/default/docker.sock',
      '/run/user/1000/podman/podman.sock',
      '/run/podman/podman.sock',
    ],
  )
})

test('CONTAINER_RUNTIME=podman leaves Docker alone', async (t) => {
  const XDG_RUNTIME_DIR = temporaryHome(t)
  const socketPath = path.join(XDG_RUNTIME_DIR, 'podman/podman.sock')
  await listen(t, { socketPath, answer: { ...VERSION, ApiVersion: '1.41', Components: [{ Name: 'Podman Engine' }] } })
  const env = { CONTAINER_RUNTIME: 'podman', XDG_RUNTIME_DIR }
  const { client } = await findEngine({ env, homedir: '/nonexistent' })
  assert.deepEqual(client.engine, { name: 'podman', version: '28.0.1', apiVersion: '1.41' })
  assert.equal(
    enginePlaces({ env, homedir: '/home/me' }).some(({ socketPath }) => socketPath.includes('docker')),
    false,
  )
})

test('when nothing answers, every place is named with its reason, and what to do', async (t) => {
  const XDG_RUNTIME_DIR = temporaryHome(t)
  const env = { CONTAINER_RUNTIME: 'podman', XDG_RUNTIME_DIR }
  await assert.rejects(findEngine({ env, homedir: '/nonexistent' }), (error: Error) => {
    assert.match(error.message, /podman\/podman\.sock \(usual for Podman\): there is no such socket/)
    assert.match(error.message, /\n {2}\/run\/podman\/podman\.sock/)
    assert.match(error.message, /systemctl --user start podman\.socket/)
    return true
  })
})

test('something that answers but is no engine is said to be that', async (t) => {
  const socketPath = path.join(temporaryHome(t), 'web.sock')
  await listen(t, { socketPath, answer: { hello: 'world' } })
  const env = { DOCKER_HOST: `unix://${socketPath}` }
  await assert.rejects(findEngine({ env, homedir: '/nonexistent' }), { code: 'engine.not-understood' })
})
