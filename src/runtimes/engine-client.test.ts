import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import http, { type RequestListener, type ServerResponse } from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { StoppableEngine } from '../../test/fakes/stoppable-engine.ts'
import { apiToSpeak, EngineClient } from './engine-client.ts'
import { connectionError } from './engine-error.ts'

async function engine(t: TestContext, listener: RequestListener, onUpgrade?: (socket: Duplex) => void): Promise<EngineClient> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-engine-'))
  const socketPath = path.join(folder, 'engine.sock')
  const server = http.createServer(listener)
  if (onUpgrade) server.on('upgrade', (_request, socket) => onUpgrade(socket))
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return new EngineClient({ socketPath, engine: { name: 'docker', version: '28', apiVersion: '1.44' } })
}

test('an engine is spoken to in a version that it knows', () => {
  assert.equal(apiToSpeak({ newest: '1.41', oldest: '1.12' }), '1.41')
  assert.equal(apiToSpeak({ newest: '1.51', oldest: '1.24' }), '1.44')
  assert.equal(apiToSpeak({ newest: '1.100', oldest: '1.60' }), '1.60')
})

test('an engine that speaks just what we were written for, or the oldest that we can use, is spoken to in that', () => {
  assert.equal(apiToSpeak({ newest: '1.44', oldest: '1.44' }), '1.44')
  assert.equal(apiToSpeak({ newest: '1.45', oldest: '1.45' }), '1.45')
  assert.equal(apiToSpeak({ newest: '1.40', oldest: '1.12' }), '1.40')
})

test('an engine that cannot do what we need is refused', () => {
  assert.throws(() => apiToSpeak({ newest: '1.39', oldest: '1.12' }), { code: 'engine.too-old' })
  assert.throws(() => apiToSpeak({ newest: '1.9', oldest: '1.9' }), { code: 'engine.too-old', message: /Docker 20\.10/ })
})

test('a request carries the version, its query and its body', async (t) => {
  const client = await engine(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    response.writeHead(201).end(JSON.stringify({ url: request.url, method: request.method, body }))
  })
  const answer = await client.send({ method: 'POST', path: '/x', query: { name: 'a b' }, body: { Image: 'i' } })
  assert.deepEqual(answer, { status: 201, body: { url: '/v1.44/x?name=a+b', method: 'POST', body: '{"Image":"i"}' } })
})

test('an answer that breaks off is an engine that is gone', async (t) => {
  const client = await engine(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{"Id":')
    setImmediate(() => response.destroy())
  })
  await assert.rejects(client.send({ method: 'GET', path: '/x' }), { code: 'engine.gone', fault: 'engine' })
})

test('a request that nobody waits for any more is dropped', async (t) => {
  const abort = new AbortController()
  const client = await engine(t, () => abort.abort())
  await assert.rejects(client.send({ method: 'GET', path: '/x', signal: abort.signal }), { code: 'engine.aborted' })
})

test('a refused upgrade gives the reason of the engine', async (t) => {
  const client = await engine(t, (_request, response) => {
    response.writeHead(409).end('{"message":"container is paused"}')
  })
  const { signal } = new AbortController()
  const upgrade = client.upgrade({ method: 'POST', path: '/x', query: {}, signal, what: 'attach to a container' })
  await assert.rejects(upgrade, { code: 'engine.refused', message: /attach to a container.*container is paused/ })
})

test('what an engine sends with its consent to an upgrade is the beginning of the connection', async (t) => {
  const client = await engine(
    t,
    () => {},
    (socket) => {
      socket.end('HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\nfirst bytes')
    },
  )
  const { signal } = new AbortController()
  const socket = await client.upgrade({ method: 'POST', path: '/x', query: {}, signal, what: 'attach to a container' })
  assert.equal(await text(socket), 'first bytes')
})

test('an engine that is silent for too long does not answer, but an answer that has begun may take its time', async (t) => {
  const opened = Promise.withResolvers<ServerResponse>()
  const client = await engine(t, (request, response) => {
    if (!request.url?.includes('events')) return // silent
    response.writeHead(200).flushHeaders()
    opened.resolve(response)
  })
  const impatient = new EngineClient({ socketPath: client.socketPath, engine: client.engine, patienceMs: 50 })
  const { signal } = new AbortController()
  const events = await impatient.open({ method: 'GET', path: '/events', query: {}, signal, what: 'tell its events' })
  for (let n = 0; n < 2; n++)
    await assert.rejects(impatient.send({ method: 'GET', path: '/x' }), {
      code: 'engine.unreachable',
      message: /it does not answer/,
    })
  ;(await opened.promise).end('an event')
  assert.equal(await text(events), 'an event')
})

test('an answer that comes a byte now and then is waited for no longer than one that never ends', async (t) => {
  const dripping = new Set<NodeJS.Timeout>()
  t.after(() => dripping.forEach(clearInterval))
  const client = await engine(t, (_request, response) => {
    response.writeHead(200)
    dripping.add(setInterval(() => response.write(' '), 10))
  })
  const impatient = new EngineClient({ socketPath: client.socketPath, engine: client.engine, patienceMs: 200 })
  await assert.rejects(impatient.send({ method: 'GET', path: '/x' }), { code: 'engine.unreachable', message: /does not answer/ })
})

test('a head that comes a byte now and then is waited for no longer, either', async (t) => {
  const socketPath = path.join(temporaryFolder(t), 'engine.sock')
  const dripping = new Set<NodeJS.Timeout>()
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ')
    dripping.add(setInterval(() => socket.write('x'), 10))
  })
  t.after(() => {
    dripping.forEach(clearInterval)
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const impatient = new EngineClient({
    socketPath,
    engine: { name: 'docker', version: '28', apiVersion: '1.44' },
    patienceMs: 200,
  })
  await assert.rejects(impatient.send({ method: 'GET', path: '/x' }), { code: 'engine.unreachable', message: /does not answer/ })
})

test('a stopped engine is waited for no longer than one that is silent', async (t) => {
  const client = await engine(t, (_request, response) => void response.end('{}'))
  const way = await StoppableEngine.start(t, client.socketPath)
  const impatient = new EngineClient({ socketPath: way.socketPath, engine: client.engine, patienceMs: 500 })
  assert.equal((await impatient.send({ method: 'GET', path: '/x' })).status, 200)
  way.stop()
  await assert.rejects(impatient.send({ method: 'GET', path: '/x' }), { code: 'engine.unreachable', message: /does not answer/ })
  const { signal } = new AbortController()
  const attach = { method: 'POST', path: '/x', query: {}, signal, what: 'attach to a container' } as const
  await assert.rejects(impatient.upgrade(attach), { code: 'engine.unreachable' })
  await assert.rejects(impatient.open(attach), { code: 'engine.unreachable' })
})

test('an answer that nobody waits for any more is dropped in its middle, too', async (t) => {
  const abort = new AbortController()
  const client = await engine(t, (_request, response) => {
    response.writeHead(200).write('{')
    setImmediate(() => abort.abort())
  })
  await assert.rejects(client.send({ method: 'GET', path: '/x', signal: abort.signal }), { code: 'engine.aborted' })
})

test('a socket that may not be opened points to the group of Docker, also when it was joined just now', () => {
  const error = connectionError({ error: Object.assign(new Error('no'), { code: 'EACCES' }), socketPath: '/var/run/docker.sock' })
  assert.equal(error.code, 'engine.denied')
  assert.match(error.message, /from your next login/)
  assert.match(error.message, /usermod -aG docker/)
})
