import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { until } from '../../test/fakes/patience.ts'
import { NO_TOKENS } from '../domain/model-price.ts'
import { RunMemory } from './body.ts'
import { HostCredentials } from './credentials.ts'
import { Judging } from './judging.ts'
import { exchangeWithModel, type Outcome } from './model-exchange.ts'
import type { CallUse, Purse } from './purse.ts'
import { Upstream } from './upstream.ts'

const MIB = 1024 * 1024
const USED = { input_tokens: 3, output_tokens: 4 }

async function listen(t: TestContext, handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

type Setup = { upstream: http.RequestListener; memory?: RunMemory; begin?: Purse['begin'] }

/** A server that carries every request to this upstream, with what became of each. */
async function exchange(t: TestContext, { upstream: handler, memory = new RunMemory(), begin }: Setup) {
  const upstream = new Upstream({
    base: new URL(`http://127.0.0.1:${await listen(t, handler)}`),
    timeouts: { connect: 600_000, silence: 600_000 },
  })
  t.after(() => upstream.close())
  const [outcomes, settled]: [Outcome[], CallUse[]] = [[], []]
  const purse: Purse = { begin: begin ?? (async () => ({ type: 'granted', settle: (use) => settled.push(use) })) }
  const credentials = new HostCredentials({ apiKey: 'sk-ant-api03-real' })
  const ports = { upstream, credentials, memory, judging: new Judging(), rules: { webSearch: false }, purse }
  const begun: http.IncomingMessage[] = []
  const port = await listen(t, async (request, response) => {
    begun.push(request)
    outcomes.push(await exchangeWithModel({ request, response, target: '/v1/messages', ports }))
  })
  const send = (body: string) => {
    const options = {
      host: '127.0.0.1',
      port,
      method: 'POST',
      agent: false,
      headers: { 'content-length': Buffer.byteLength(body) },
    }
    return http.request(options)
  }
  const ask = async (words = 'hi') => {
    const body = JSON.stringify({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: words }] })
    const [response] = (await once(send(body).end(body), 'response')) as [http.IncomingMessage]
    return { status: response.statusCode ?? 0, text: await text(response) }
  }
  return { ask, send, begun, outcomes, settled }
}

const answering =
  (
    status: number,
    { body = JSON.stringify({ usage: USED }), headers = {} as http.OutgoingHttpHeaders } = {},
  ): http.RequestListener =>
  (request, response) =>
    void request.resume().once('end', () => response.writeHead(status, headers).end(body))

test('the memory of a body is given back when its request is over, whatever the end of it', async (t) => {
  let status = 200
  const upstream: http.RequestListener = (request, response) => answering(status)(request, response)
  const { ask } = await exchange(t, { upstream, memory: new RunMemory(1_000) })
  const statuses = []
  for (status of [200, 200, 200, 300, 200, 500, 200]) statuses.push((await ask('x'.repeat(800))).status)
  assert.deepEqual(statuses, [200, 200, 200, 502, 200, 500, 200])
})

test('a body that is no JSON, and a client that leaves in the middle of one, leave no memory taken', async (t) => {
  const memory = new RunMemory(1_000)
  const { send, begun, outcomes } = await exchange(t, { upstream: answering(200), memory })
  const [refused] = (await once(send('{'.repeat(900)).end('{'.repeat(900)), 'response')) as [http.IncomingMessage]
  refused.resume()
  assert.deepEqual([refused.statusCode, memory.used], [400, 0])
  const leaving = send('x'.repeat(900)).on('error', () => {})
  leaving.write('x')
  await until(() => begun.length === 2 && memory.used === 900, 'room is made for what was announced')
  leaving.destroy()
  await until(() => outcomes.length === 2, 'its end is known')
  assert.deepEqual([outcomes[1]?.type, memory.used], ['client-left', 0])
})

test('bodies that are too much together are refused while they are there together', async (t) => {
  const waiting: http.ServerResponse[] = []
  const { ask } = await exchange(t, {
    upstream: (request, response) => void request.resume().once('end', () => waiting.push(response)),
    memory: new RunMemory(1_000),
  })
  const first = ask('x'.repeat(800))
  await until(() => waiting.length === 1, 'the first request is with the model')
  assert.deepEqual(await ask('x'.repeat(800)), {
    status: 529,
    text: JSON.stringify({
      type: 'error',
      error: {
        type: 'overloaded_error',
        message: 'Too many large requests of this agent are under way at once. Wait for one to end.',
      },
    }),
  })
  waiting[0]?.end('{}')
  assert.equal((await first).status, 200)
})

test('an answer is passed on up to status 299, refused from 300 to 399, and passed on as an error from 400 on', async (t) => {
  let status = 200
  const { ask, settled, outcomes } = await exchange(t, {
    upstream: (request, response) => answering(status)(request, response),
  })
  const statuses = []
  for (status of [200, 299, 300, 399, 400, 599]) statuses.push((await ask()).status)
  assert.deepEqual(statuses, [200, 299, 502, 502, 400, 599])
  const paid = { ...NO_TOKENS, input: 3, output: 4 }
  assert.deepEqual(
    settled.map(({ tokens }) => tokens),
    [paid, paid, NO_TOKENS, NO_TOKENS, NO_TOKENS, NO_TOKENS],
  )
  assert.deepEqual(
    outcomes.map(({ type }) => type),
    ['answered', 'answered', 'unreachable', 'unreachable', 'answered', 'answered'],
  )
})

test('an error of up to 1 MiB is passed on, and a longer one is no error message', async (t) => {
  let bytes = MIB
  const { ask } = await exchange(t, {
    upstream: (request, response) => answering(400, { body: 'e'.repeat(bytes) })(request, response),
  })
  const whole = await ask()
  assert.deepEqual([whole.status, whole.text.length], [400, MIB])
  bytes++
  const { status, text: words } = await ask()
  assert.deepEqual(
    [status, JSON.parse(words).error.message],
    [502, 'NanoClaw could not reach the model API: its error message is too long to be one.'],
  )
})

test('an answer with a content-encoding is refused, and paid for', async (t) => {
  let encoding = 'identity'
  const { ask, settled } = await exchange(t, {
    upstream: (request, response) => answering(200, { headers: { 'content-encoding': encoding } })(request, response),
  })
  assert.equal((await ask()).status, 200)
  encoding = 'gzip'
  const { status, text: words } = await ask()
  assert.equal(status, 502)
  assert.match(words, /a content-encoding that was not asked for/)
  assert.equal(settled[1]?.tokens.output, 9, 'all that was asked for may have been written')
})

test('a client that breaks off its body has left, and nothing goes up', async (t) => {
  let asked = 0
  const { send, begun, outcomes } = await exchange(t, { upstream: () => asked++ })
  const request = send('{"model":"m"}')
  request.on('error', () => {}).write('{"model"')
  await until(() => begun.length === 1, 'the request has begun')
  request.destroy()
  await until(() => outcomes.length === 1, 'the request is over')
  assert.deepEqual([outcomes, asked], [[{ type: 'client-left' }], 0])
})

test('a client that leaves while it waits for its budget begins no call', async (t) => {
  let asked = 0
  const waiting = Promise.withResolvers<void>()
  const begin: Purse['begin'] = async (_, signal) => {
    waiting.resolve()
    await once(signal, 'abort')
    throw signal.reason
  }
  const { send, outcomes } = await exchange(t, { upstream: () => asked++, begin })
  const body = JSON.stringify({ model: 'm' })
  const request = send(body)
  request.on('error', () => {}).end(body)
  await waiting.promise
  request.destroy()
  await until(() => outcomes.length === 1, 'the request is over')
  assert.deepEqual([outcomes, asked], [[{ type: 'client-left' }], 0])
})

test('a purse that fails is told to the client as a failure, and the next request is served', async (t) => {
  let fails = true
  const begin: Purse['begin'] = async () => {
    if (fails) throw new Error('the disk is full')
    return { type: 'granted', settle: () => {} }
  }
  const { ask, outcomes } = await exchange(t, { upstream: answering(200), begin })
  assert.equal((await ask()).status, 502)
  fails = false
  assert.equal((await ask()).status, 200)
  assert.deepEqual(
    outcomes.map(({ type }) => type),
    ['unreachable', 'answered'],
  )
})
