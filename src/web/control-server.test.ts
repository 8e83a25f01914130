import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Hono } from 'hono'
import { socketFolder } from '../../test/fakes/socket-folder.ts'
import { serveControl } from './control-server.ts'

const app = new Hono().get('/hello', (c) => c.text('hi')).get('/stream', (c) => c.body(new ReadableStream()))

async function served(t: TestContext) {
  const socket = path.join(socketFolder(t), 'nanoclaw.sock')
  writeFileSync(socket, 'what a dead host left')
  const control = await serveControl({ app, socket })
  t.after(() => control.close())
  const ask = async (address: string) => {
    const [response] = await once(http.get({ socketPath: socket, path: address, agent: false }), 'response')
    return response as http.IncomingMessage
  }
  return { socket, control, ask }
}

test('the API is served on a socket that takes the place of a dead one, and is for its owner alone', async (t) => {
  const before = process.umask(0)
  t.after(() => process.umask(before))
  const { socket, ask } = await served(t)
  assert.ok(statSync(socket).isSocket())
  assert.equal(statSync(socket).mode & 0o777, 0o600)
  assert.equal(await text(await ask('/hello')), 'hi')
  assert.equal(process.umask(), 0, 'files that are made later keep their modes')
})

test('closing ends what is still being answered, and removes the socket', async (t) => {
  const { socket, control, ask } = await served(t)
  const stream = await ask('/stream')
  const broken = assert.rejects(text(stream))
  await control.close()
  await broken
  assert.ok(!existsSync(socket))
})

test('a socket that cannot be made is an error', async (t) => {
  const socket = path.join(socketFolder(t), 'missing', 'nanoclaw.sock')
  await assert.rejects(serveControl({ app, socket }), { code: /EACCES|ENOENT/ })
})
