import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { problemText, Upstream, UpstreamProblem } from './upstream.ts'

const AMPLE = { connect: 600_000, silence: 600_000 }
const NOT_IN_TIME = { message: 'it did not answer in time' }

async function listening(t: TestContext, server: net.Server): Promise<string> {
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function upstreamAt(t: TestContext, base: string, timeouts = AMPLE): Upstream {
  const upstream = new Upstream({ base: new URL(base), timeouts })
  t.after(() => upstream.close())
  return upstream
}

function send(upstream: Upstream, target = '/v1/messages'): Promise<http.IncomingMessage> {
  return upstream.send({ target, headers: {}, body: Buffer.from('{}'), signal: new AbortController().signal })
}

test('a server that accepts the connection and never begins with TLS is given up after the time to connect', async (t) => {
  const silent = net.createServer((socket) => socket.on('error', () => {}).resume())
  const upstream = upstreamAt(t, `https://${await listening(t, silent)}`, { ...AMPLE, connect: 20 })
  await assert.rejects(send(upstream), NOT_IN_TIME)
})

test('a server that falls silent on a kept connection is given up after the time of silence', async (t) => {
  let asked = 0
  const sockets = new Set<net.Socket>()
  const server = http.createServer((request, response) => {
    sockets.add(request.socket)
    if (++asked === 1) response.end('first')
  })
  const upstream = upstreamAt(t, `http://${await listening(t, server)}`, { ...AMPLE, silence: 50 })
  assert.equal(await text(await send(upstream)), 'first')
  await assert.rejects(send(upstream), NOT_IN_TIME)
  assert.deepEqual([asked, sockets.size], [2, 1], 'both went over one connection')
})

test('slashes at the end of the base address are not doubled', async (t) => {
  const urls: (string | undefined)[] = []
  const server = http.createServer((request, response) => {
    urls.push(request.url)
    response.end()
  })
  const address = await listening(t, server)
  for (const base of ['', '/', '//', '/a/b', '/a/b//']) await text(await send(upstreamAt(t, `http://${address}${base}`)))
  assert.deepEqual(urls, ['/v1/messages', '/v1/messages', '/v1/messages', '/a/b/v1/messages', '/a/b/v1/messages'])
})

test('a failure of the network is told in words without an address', () => {
  const failed = (code: string) => problemText(Object.assign(new Error(`${code} 10.0.0.1:443`), { code }))
  assert.equal(failed('EAI_AGAIN'), 'its name could not be resolved')
  assert.equal(failed('ENOTFOUND'), 'its name could not be resolved')
  assert.equal(failed('ECONNREFUSED'), 'the connection was refused')
  assert.equal(failed('ECONNRESET'), 'the connection was closed before the answer was complete')
  assert.equal(failed('EHOSTUNREACH'), 'there is no way to it from here')
  assert.equal(failed('ENETUNREACH'), 'there is no way to it from here')
  assert.equal(failed('ETIMEDOUT'), 'it did not answer in time')
  assert.equal(failed('EPROTO'), 'the connection failed (EPROTO)')
  assert.equal(problemText(new Error('10.0.0.1')), 'the connection failed (unknown reason)')
  assert.equal(problemText('10.0.0.1'), 'the connection failed (unknown reason)')
  assert.equal(problemText(new UpstreamProblem('it is odd')), 'it is odd')
})
