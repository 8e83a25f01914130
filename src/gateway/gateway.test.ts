import assert from 'node:assert/strict'
import { pbkdf2 } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { until } from '../../test/fakes/patience.ts'
import { socketFolder } from '../../test/fakes/socket-folder.ts'
import { type DemoModel, startDemoModel } from '../demo/server.ts'
import { AppError } from '../domain/errors.ts'
import { HostCredentials } from './credentials.ts'
import type { EgressRecord } from './egress.ts'
import { Gateway, type GatewayOptions } from './gateway.ts'
import type { RequestRecord } from './gateway-run.ts'
import { BOTTOMLESS } from './purse.ts'

const KEY = 'sk-ant-api03-the-real-key'
const MESSAGES = '/v1/messages'
const ANYWHERE = { policy: 'open', allow: [], bandwidth: { burst: 1e9, perSecond: 1e9 } } as const

type Setup = { upstream: string } & Partial<Pick<GatewayOptions, 'credentials' | 'timeouts' | 'resolve' | 'connect'>>

type Logged = { level: 'debug' | 'warn'; message: string; fields: Record<string, unknown> }

/** An open run with its socket in a folder of its own; all ends with the test. */
async function openRun(t: TestContext, { upstream, credentials = new HostCredentials({ apiKey: KEY }), ...rest }: Setup) {
  const socketPath = join(socketFolder(t), 'gateway.sock')
  const records: RequestRecord[] = []
  const egressRecords: EgressRecord[] = []
  const logged: Logged[] = []
  const log = {
    debug: (fields: Record<string, unknown>, message: string) => void logged.push({ level: 'debug', message, fields }),
    warn: (fields: Record<string, unknown>, message: string) => void logged.push({ level: 'warn', message, fields }),
  }
  const gateway = new Gateway({ upstream: new URL(upstream), credentials, log, ...rest })
  t.after(() => gateway.close())
  const run = await gateway.open({
    ...{ runId: 'a1', socketPath, purse: BOTTOMLESS, ...(rest.connect ? { egress: ANYWHERE } : {}) },
    onRequest: (record) => records.push(record),
    onEgress: (record) => egressRecords.push(record),
  })
  return { gateway, run, socketPath, records, egressRecords, logged }
}

async function withModel(t: TestContext, setup: Partial<Setup> = {}) {
  const model = await startDemoModel()
  t.after(() => model.close())
  return { model, ...(await openRun(t, { upstream: model.url, ...setup })) }
}

/** An upstream that does what the test says. */
async function startUpstream(t: TestContext, handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Ask = { path?: string; method?: string; headers?: http.OutgoingHttpHeaders; body?: string | Buffer }
type Answer = { status: number; headers: http.IncomingHttpHeaders; text: string }

async function ask(socketPath: string, request: Ask = {}): Promise<Answer> {
  const response = await head(socketPath, request)
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode ?? 0, headers: response.headers, text }
}

async function head(socketPath: string, { path = MESSAGES, method = 'POST', headers, body }: Ask): Promise<http.IncomingMessage> {
  const request = http.request({ socketPath, path, method, headers: { 'content-type': 'application/json', ...headers } })
  if (method === 'GET') request.end()
  else request.end(body ?? said('!echo hi'))
  const [response] = await once(request, 'response')
  return response
}

/** Bytes as they are, for requests that no HTTP client would send; what comes back until the other side ends. */
async function askRaw(socketPath: string, bytes: string): Promise<string> {
  const socket = net.connect(socketPath)
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (/\r\n\r\n/.test(text)) socket.end()
  }
  return text
}

function said(text: string, options: object = {}): string {
  return JSON.stringify({ model: 'claude', messages: [{ role: 'user', content: text }], ...options })
}

function errorOf({ text }: Answer): { type: string; message: string } {
  return JSON.parse(text).error
}

function lastHeaders(model: DemoModel): http.IncomingHttpHeaders {
  return model.requests.at(-1)?.headers ?? {}
}

test('a request reaches the model with the real key and without what the client says of itself', async (t) => {
  const { model, socketPath, records } = await withModel(t)
  const headers = {
    'x-api-key': 'sk-ant-forged',
    authorization: 'Bearer forged',
    cookie: 'a=b',
    'proxy-authorization': 'Basic x',
    'x-forwarded-for': '1.2.3.4',
    host: 'elsewhere.example',
    'anthropic-version': '2023-06-01',
    'anthropic-beta': 'one,two',
    'x-stainless-lang': 'js',
    'x-claude-code-session-id': 's1',
  }
  const answer = await ask(socketPath, { path: `${MESSAGES}?beta=true&x=%2e`, headers })
  assert.equal(answer.status, 200)
  assert.equal(JSON.parse(answer.text).content[0].text, 'hi')
  const { host, connection: _, ...seen } = lastHeaders(model)
  assert.deepEqual(seen, {
    'content-type': 'application/json',
    'anthropic-version': '2023-06-01',
    'anthropic-beta': 'one,two',
    'x-stainless-lang': 'js',
    'x-claude-code-session-id': 's1',
    'accept-encoding': 'identity',
    'content-length': String(said('!echo hi').length),
    'x-api-key': KEY,
  })
  assert.equal(`http://${host}`, model.url)
  assert.equal(model.requests[0]?.url, `${MESSAGES}?beta=true&x=%2e`)
  assert.deepEqual(records[0]?.outcome, { type: 'answered', status: 200, retryAt: undefined })
})

test('an OAuth token goes up as a bearer with its beta beside those of the client', async (t) => {
  const { model, socketPath } = await withModel(t, { credentials: new HostCredentials({ oauthToken: 'sk-ant-oat01-real' }) })
  await ask(socketPath, { headers: { 'anthropic-beta': 'one', 'x-api-key': 'forged' } })
  assert.equal(lastHeaders(model).authorization, 'Bearer sk-ant-oat01-real')
  assert.equal(lastHeaders(model)['anthropic-beta'], 'one,oauth-2025-04-20')
  assert.equal(lastHeaders(model)['x-api-key'], undefined)
})

test('token counts are answered, and a path in the upstream address is kept', async (t) => {
  const seen: string[] = []
  const upstream = await startUpstream(t, (request, response) => {
    seen.push(request.url ?? '')
    response.end('{"input_tokens":1}')
  })
  const { socketPath } = await openRun(t, { upstream: `${upstream}/proxy/` })
  assert.equal((await ask(socketPath, { path: `${MESSAGES}/count_tokens?beta=true` })).text, '{"input_tokens":1}')
  assert.deepEqual(seen, ['/proxy/v1/messages/count_tokens?beta=true'])
})

const REFUSED: [method: string, path: string, status: number][] = [
  ['GET', '/', 404],
  ['POST', '/v1/models', 404],
  ['POST', '/v1/messages/', 404],
  ['POST', '/v1/messages/batches', 404],
  ['POST', '//v1/messages', 404],
  ['POST', '/v1/./messages', 404],
  ['POST', '/v1/x/../messages', 404],
  ['POST', '/v1/%6dessages', 404],
  ['POST', '/v1%2fmessages', 404],
  ['POST', '/V1/messages', 404],
  ['POST', '/v1/messages;x', 404],
  ['GET', '/v1/messages', 405],
  ['PUT', '/v1/messages/count_tokens', 405],
]

test('anything but the two addresses, letter by letter, is refused and never reaches the model', async (t) => {
  const { model, socketPath } = await withModel(t)
  for (const [method, path, status] of REFUSED) {
    const answer = await ask(socketPath, { method, path })
    assert.equal(answer.status, status, `${method} ${path}`)
    assert.match(errorOf(answer).message, /gateway/)
  }
  assert.equal(model.requests.length, 0)
})

test('without a policy there is no way out, and nothing is upgraded', async (t) => {
  const { model, socketPath } = await withModel(t)
  const upgrade = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n`
  assert.match(await askRaw(socketPath, 'GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 403 /)
  assert.match(await askRaw(socketPath, 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 403 /)
  assert.match(await askRaw(socketPath, upgrade), /^HTTP\/1.1 405 /)
  assert.equal(model.requests.length, 0)
})

test('a request with two ideas of its length is refused', async (t) => {
  const { model, socketPath } = await withModel(t)
  const start = 'POST /v1/messages HTTP/1.1\r\nHost: x\r\n'
  const bodies = [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n',
    'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x',
    'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  ]
  for (const body of bodies) assert.match(await askRaw(socketPath, start + body), /^HTTP\/1.1 400 /, body)
  assert.equal(model.requests.length, 0)
})

test('a chunked body goes up whole, with a length of our own', async (t) => {
  const { model, socketPath } = await withModel(t)
  const answer = await ask(socketPath, { headers: { 'transfer-encoding': 'chunked' } })
  assert.equal(answer.status, 200)
  assert.equal(lastHeaders(model)['content-length'], String(said('!echo hi').length))
  assert.equal(lastHeaders(model)['transfer-encoding'], undefined)
})

test('encoded and too large bodies are refused with a reason, and the connection stays usable', async (t) => {
  const { model, socketPath } = await withModel(t)
  const encoded = await ask(socketPath, { headers: { 'content-encoding': 'gzip' } })
  assert.equal(encoded.status, 415)
  const large = await ask(socketPath, { body: Buffer.alloc(32 * 1024 * 1024 + 1) })
  assert.equal(large.status, 413)
  assert.deepEqual(errorOf(large), {
    type: 'request_too_large',
    message: 'The request is larger than 32 MiB, the most that the model API takes.',
  })
  assert.equal(large.headers.connection, 'keep-alive')
  assert.equal(model.requests.length, 0)
})

test('what was judged goes up byte by byte, as JSON whatever the client calls it', async (t) => {
  const seen: { body: string; type: string | undefined }[] = []
  const upstream = await startUpstream(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push({ body, type: request.headers['content-type'] })
    response.end('{}')
  })
  const { socketPath } = await openRun(t, { upstream })
  const body = '{ "model":"\\u0063laude", "messages" :[], "temperature":1.0e0 }\n'
  await ask(socketPath, { body, headers: { 'content-type': 'multipart/form-data; boundary=x' } })
  assert.deepEqual(seen, [{ body, type: 'application/json' }])
})

test('a request that would have the API reach out is refused, and nothing goes up', async (t) => {
  const { model, socketPath, records } = await withModel(t)
  const servers = { mcp_servers: [{ type: 'url', url: 'https://evil.example', name: 'x' }] }
  const refused = await ask(socketPath, { body: said('hi', servers) })
  assert.equal(refused.status, 400)
  assert.match(errorOf(refused).message, /mcp_servers: Extra inputs are not permitted/)
  const search = { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }
  assert.match(errorOf(await ask(socketPath, { body: said('hi', search) })).message, /rules of this group for the network/)
  assert.equal(model.requests.length, 0)
  assert.equal(records[0]?.outcome.type, 'refused')
})

test('a body of the largest size goes up whole', async (t) => {
  const largest = said('x'.repeat(32 * 1024 * 1024 - said('').length))
  let up = 0
  const upstream = await startUpstream(t, (request, response) => {
    request.on('data', (chunk) => (up += chunk.length)).once('end', () => response.end('{}'))
  })
  const { socketPath } = await openRun(t, { upstream })
  assert.equal((await ask(socketPath, { body: largest })).status, 200)
  assert.equal(up, 32 * 1024 * 1024)
})

test('an answer is passed on piece by piece', async (t) => {
  let finish = () => {}
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('first')
    finish = () => response.end('last')
  })
  const { socketPath } = await openRun(t, { upstream })
  const response = await head(socketPath, {})
  const pieces = response.setEncoding('utf8')[Symbol.asyncIterator]()
  assert.deepEqual(await pieces.next(), { done: false, value: 'first' })
  finish()
  assert.deepEqual(await pieces.next(), { done: false, value: 'last' })
  assert.equal((await pieces.next()).done, true)
})

test('headers arrive before the first word', async (t) => {
  const upstream = await startUpstream(t, (_, response) => response.writeHead(200).flushHeaders())
  const { socketPath } = await openRun(t, { upstream })
  assert.equal((await head(socketPath, {})).statusCode, 200)
})

test('the client gets what it needs of the headers, not cookies or what concerns one connection', async (t) => {
  const headers = {
    'request-id': 'req_1',
    'retry-after': '7',
    'x-should-retry': 'true',
    'anthropic-ratelimit-unified-status': 'allowed',
    'anthropic-organization-id': 'org',
    'set-cookie': 'a=b',
    'proxy-authenticate': 'x',
    connection: 'keep-alive, x-internal',
    'x-internal': 'secret',
  }
  const upstream = await startUpstream(t, (_, response) => response.writeHead(200, headers).end('{}'))
  const { socketPath } = await openRun(t, { upstream })
  const { date: _, ...seen } = (await ask(socketPath)).headers
  assert.deepEqual(seen, {
    'request-id': 'req_1',
    'retry-after': '7',
    'x-should-retry': 'true',
    'anthropic-ratelimit-unified-status': 'allowed',
    connection: 'keep-alive',
    'keep-alive': 'timeout=120',
    'transfer-encoding': 'chunked',
  })
})

for (const framing of [{ 'transfer-encoding': 'chunked' }, { 'content-length': '100' }])
  test(`an answer that breaks off (${Object.keys(framing)}) does not look whole to the client`, async (t) => {
    let cut = () => {}
    const upstream = await startUpstream(t, (_, response) => {
      response.writeHead(200, framing).write('partial')
      cut = () => response.destroy()
    })
    const { socketPath, records } = await openRun(t, { upstream })
    const response = await head(socketPath, {})
    await once(response, 'data')
    cut()
    await assert.rejects(once(response, 'end'), { code: 'ECONNRESET' })
    await until(() => records.length > 0, 'the request is recorded')
    assert.equal(records[0]?.outcome.type, 'broken')
  })

test('a client that leaves ends the request upstream', async (t) => {
  const { model, socketPath, records } = await withModel(t)
  const response = await head(socketPath, { body: said('!slow 1000 20', { stream: true }) })
  await once(response, 'data')
  response.destroy()
  await until(() => model.requests[0]?.aborted === true, 'the request upstream is ended')
  await until(() => records.length > 0, 'the request is recorded')
  assert.equal(records[0]?.outcome.type, 'client-left')
})

test('closing a run ends its requests on both sides and removes its socket', async (t) => {
  const { model, run, socketPath } = await withModel(t)
  const response = await head(socketPath, { body: said('!slow 1000 20', { stream: true }) })
  await once(response, 'data')
  const broken = assert.rejects(once(response, 'end'), { code: 'ECONNRESET' })
  await run.close()
  await broken
  await until(() => model.requests[0]?.aborted === true, 'the request upstream is ended')
  assert.equal(existsSync(socketPath), false)
})

test('closing a run ends its tunnels, also to a server that never ends one, and tells of each', async (t) => {
  const world = net.createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).resume())
  t.after(() => world.close())
  await once(world.listen(0, '127.0.0.1'), 'listening')
  const { port } = world.address() as AddressInfo
  const dialled: string[] = []
  const { run, socketPath, egressRecords } = await openRun(t, {
    upstream: 'http://127.0.0.1:9',
    resolve: async (host) => [host === 'silent.example' ? '93.184.216.35' : '93.184.216.34'],
    connect: ({ address }) => {
      dialled.push(address)
      return address.endsWith('.34') ? net.connect(port, '127.0.0.1') : new net.Socket()
    },
  })
  const connect = (host: string) => {
    const client = net.connect(socketPath).on('error', () => {})
    client.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: x\r\n\r\nhello`)
    return client
  }
  await once(connect('open.example'), 'data')
  const leaving = connect('left.example')
  await once(leaving, 'data')
  leaving.end()
  connect('silent.example')
  await until(() => dialled.length === 3, 'the last one is being connected')
  let told: EgressRecord[] | undefined
  void run.close().then(() => (told = [...egressRecords]))
  await until(() => told !== undefined, 'the run is closed')
  assert.deepEqual(told?.map(({ host, up, why }) => [host, up, why]).sort(), [
    ['left.example', 5, null],
    ['open.example', 5, null],
    ['silent.example', 0, 'nobody waited for it any more'],
  ])
})

const ONE_REQUEST = {
  'of a web server': 'GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n',
  'of the model': `POST ${MESSAGES} HTTP/1.1\r\nHost: x\r\nContent-Length: ${said('hi').length}\r\n\r\n${said('hi')}`,
}
for (const [what, one] of Object.entries(ONE_REQUEST))
  test(`who asks ${what} again and again without waiting for an answer is cut off`, async (t) => {
    let begun = 0
    const upstream = await startUpstream(t, () => begun++)
    const connect = () => {
      begun++
      return new net.Socket()
    }
    const { socketPath, logged } = await openRun(t, { upstream, resolve: async () => ['93.184.216.34'], connect })
    const client = net.connect(socketPath).on('error', () => {})
    client.resume().write(one.repeat(1_000))
    await until(() => client.closed, 'the connection is cut off')
    assert.ok(begun <= 1, `${begun} were begun`)
    assert.ok(logged.some(({ level, message }) => level === 'warn' && /asked again before it had its answer/.test(message)))
  })

test('a client that asks for a tunnel before it has the answer to its request is cut off', async (t) => {
  let begun = 0
  const connect = () => {
    begun++
    return new net.Socket()
  }
  const { socketPath, logged } = await openRun(t, {
    ...{ upstream: 'http://127.0.0.1:9', resolve: async () => ['93.184.216.34'], connect },
  })
  const client = net.connect(socketPath).on('error', () => {})
  client.resume().write(`${ONE_REQUEST['of a web server']}CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n`)
  await until(() => client.closed, 'the connection is cut off')
  assert.ok(begun <= 1, `${begun} were begun`)
  assert.ok(logged.some(({ message }) => /asked again before it had its answer/.test(message)))
})

test('a client that reads slowly slows the upstream down', async (t) => {
  const total = 32 * 1024 * 1024
  const piece = Buffer.alloc(64 * 1024)
  let written = 0
  const upstream = await startUpstream(t, async (_, response) => {
    response.writeHead(200, { 'content-length': total })
    while (written < total) {
      written += piece.length
      if (!response.write(piece)) await once(response, 'drain')
    }
    response.end()
  })
  const { socketPath } = await openRun(t, { upstream })
  const response = await head(socketPath, {})
  for (let before = -1, calm = 0; calm < 200; calm = written === before ? calm + 1 : 0, before = written) await nextTurn()
  assert.ok(written < total / 2, `${written} bytes were taken from the upstream while nobody read`)
  let read = 0
  for await (const chunk of response) read += chunk.length
  assert.equal(read, total)
})

test('without a credential the client is told what to do, once and for all, and nothing goes up', async (t) => {
  const credentials = new HostCredentials({ loginFile: '/nonexistent/credentials.json' })
  const { model, socketPath, records } = await withModel(t, { credentials })
  const answer = await ask(socketPath)
  assert.equal(answer.status, 401)
  assert.equal(answer.headers['x-should-retry'], 'false')
  assert.equal(errorOf(answer).type, 'authentication_error')
  assert.match(errorOf(answer).message, /^Invalid API key · .*ANTHROPIC_API_KEY=.*\.env/)
  assert.equal(model.requests.length, 0)
  assert.equal(records[0]?.outcome.type, 'refused')
})

test('an upstream that refuses the connection is a 502 without its address', async (t) => {
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  const { socketPath, records } = await openRun(t, { upstream: `http://127.0.0.1:${port}` })
  const answer = await ask(socketPath)
  assert.equal(answer.status, 502)
  assert.deepEqual(errorOf(answer), {
    type: 'api_error',
    message: 'NanoClaw could not reach the model API: the connection was refused.',
  })
  assert.equal(records[0]?.outcome.type, 'unreachable')
})

test('an upstream that drops the connection is a 502', async (t) => {
  const { socketPath } = await withModel(t)
  const answer = await ask(socketPath, { body: said('!drop') })
  assert.equal(answer.status, 502)
  assert.match(errorOf(answer).message, /closed before the answer was complete/)
})

test('an upstream that says nothing is given up', async (t) => {
  const upstream = await startUpstream(t, () => {})
  const { socketPath } = await openRun(t, { upstream, timeouts: { connect: 10_000, silence: 20 } })
  const answer = await ask(socketPath)
  assert.equal(answer.status, 502)
  assert.match(errorOf(answer).message, /did not answer in time/)
})

test('a redirect is neither followed nor passed on, and its connection is given up', async (t) => {
  let closed: Promise<unknown> | undefined
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(307, { location: 'http://elsewhere.example' }).write('never ends')
    closed = once(response, 'close')
  })
  const { socketPath } = await openRun(t, { upstream })
  const answer = await ask(socketPath)
  assert.equal(answer.status, 502)
  assert.match(errorOf(answer).message, /ANTHROPIC_BASE_URL/)
  assert.equal(answer.headers.location, undefined)
  await closed
})

test('an error of the model goes through, with the time to try again for the host', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 })
  const { socketPath, records } = await withModel(t)
  const answer = await ask(socketPath, { body: said('!error 429 rate_limit_error after=60') })
  assert.equal(answer.status, 429)
  assert.equal(answer.headers['retry-after'], '60')
  assert.deepEqual(errorOf(answer), { type: 'rate_limit_error', message: 'scripted 429' })
  assert.deepEqual(records[0]?.outcome, { type: 'answered', status: 429, retryAt: 1_800_000_060_000 })
})

test('an error that repeats the key arrives without it', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    const body = `{"error":{"message":"bad key ${request.headers['x-api-key']}, really"}}`
    response.writeHead(400, { 'content-length': Buffer.byteLength(body) }).end(body)
  })
  const { socketPath } = await openRun(t, { upstream, credentials: new HostCredentials({ apiKey: 'dummy-key-of-a-proxy' }) })
  const answer = await ask(socketPath)
  assert.equal(answer.status, 400)
  assert.equal(answer.text, '{"error":{"message":"bad key [redacted], really"}}')
})

test('connections to the upstream are kept', async (t) => {
  const ports = new Set<number | undefined>()
  const upstream = await startUpstream(t, (request, response) => {
    ports.add(request.socket.remotePort)
    response.end('{}')
  })
  const { socketPath } = await openRun(t, { upstream })
  for (let n = 0; n < 5; n += 1) await ask(socketPath)
  assert.equal(ports.size, 1)
})

test('the socket may be used by every user who reaches its folder', async (t) => {
  const { socketPath } = await withModel(t)
  assert.equal(statSync(socketPath).mode & 0o777, 0o666)
})

test('an opened run is reachable by every user at once, however busy the thread pool is', async (t) => {
  const { gateway, socketPath } = await withModel(t)
  const busy = Array.from({ length: 16 }, () => promisify(pbkdf2)('x', 'y', 50_000, 64, 'sha512'))
  const another = `${socketPath}2`
  await gateway.open({ runId: 'b2', socketPath: another, purse: BOTTOMLESS })
  assert.equal(statSync(another).mode & 0o777, 0o666)
  await Promise.all(busy)
})

test('a socket that cannot be made is an error for a person', async (t) => {
  const { gateway, socketPath } = await withModel(t)
  await assert.rejects(gateway.open({ runId: 'b2', socketPath, purse: BOTTOMLESS }), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'gateway.listen')
    return true
  })
  assert.equal((await ask(socketPath)).status, 200)
})

test('an agent that is refused for many things fills no log', async (t) => {
  const { socketPath, logged } = await openRun(t, { upstream: 'http://127.0.0.1:9' })
  for (let n = 0; n < 30; n++) await ask(socketPath, { body: said('x', { [`field${n}`]: 1 }) })
  const warnings = logged.filter(({ level }) => level === 'warn').map(({ message }) => message)
  assert.equal(warnings.length, 20)
  assert.equal(new Set(warnings).size, 20)
  assert.equal(logged.length, 30, 'the others are in the log of level debug')
})

test('a refusal that repeats is a warning once in a run, and names the run and the request', async (t) => {
  const { socketPath, logged, records } = await openRun(t, { upstream: 'http://127.0.0.1:9' })
  const long = `/${'x'.repeat(200)}`
  for (let n = 0; n < 3; n++) await ask(socketPath, { path: long })
  assert.deepEqual(
    logged.map(({ level }) => level),
    ['warn', 'debug', 'debug'],
  )
  const { message, fields } = logged[0] ?? assert.fail()
  assert.match(message, /^gateway: refused with 404: There is no such address here\./)
  const { durationMs, ...rest } = fields
  assert.deepEqual(rest, { method: 'POST', url: long.slice(0, 200), runId: 'a1' })
  assert.ok(Number.isInteger(durationMs))
  assert.deepEqual([records[0]?.method, records[0]?.url], ['POST', long], 'a record holds the whole address')
})

test('the log tells how each request ended', async (t) => {
  const { model, socketPath, logged } = await withModel(t)
  const ended = async (body: string) => {
    const before = logged.length
    await ask(socketPath, { body })
    await until(() => logged.length > before, 'the request is logged')
    const { level, message, fields } = logged.at(-1) ?? assert.fail()
    return [level, message, fields.status, fields.runId]
  }
  assert.deepEqual(await ended(said('!echo hi')), ['debug', 'gateway: answered', 200, 'a1'])
  assert.deepEqual(await ended(said('!error 529')), ['debug', 'gateway: answered', 529, 'a1'])
  const dropped = 'gateway: the model API is unreachable: socket hang up'
  assert.deepEqual(await ended(said('!drop')), ['warn', dropped, undefined, 'a1'])
  const response = await head(socketPath, { body: said('!slow 1000 20', { stream: true }) })
  await once(response, 'data')
  response.destroy()
  await until(() => logged.at(-1)?.message === 'gateway: the client left', 'it is logged that the client left')
  assert.equal(logged.at(-1)?.level, 'debug')
  await model.close()
  const [level, message] = await ended(said('hi'))
  assert.equal(level, 'warn')
  assert.match(String(message), /^gateway: the model API is unreachable: .*ECONNREFUSED/)
})

test('a connection to the web that is refused is a warning with its address', async (t) => {
  const { socketPath, logged } = await withModel(t)
  await askRaw(socketPath, 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.deepEqual(logged, [
    {
      level: 'warn',
      message: 'gateway: elsewhere.example:443 was not reached: this group may not use the network',
      fields: { runId: 'a1' },
    },
  ])
})

test('a search of the web is passed on for a group that may go everywhere', async (t) => {
  const { socketPath } = await withModel(t, { connect: () => new net.Socket() })
  const search = { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }
  assert.equal((await ask(socketPath, { body: said('!echo found', search) })).status, 200)
})

test('a listener that fails costs one request, and not the gateway', async (t) => {
  const warnings: unknown[] = []
  const log = { debug: () => {}, warn: (fields: object, message: string) => void warnings.push({ ...fields, message }) }
  const gateway = new Gateway({ upstream: new URL('http://127.0.0.1:9'), credentials: new HostCredentials({ apiKey: KEY }), log })
  t.after(() => gateway.close())
  const socketPath = join(socketFolder(t), 'gateway.sock')
  let told = 0
  const onRequest = () => {
    if (told++ === 0) throw new Error('the book is closed')
  }
  await gateway.open({ runId: 'a1', socketPath, purse: BOTTOMLESS, onRequest })
  await ask(socketPath, { path: '/elsewhere' })
  assert.equal((await ask(socketPath, { path: '/elsewhere' })).status, 404)
  const failed = { error: 'the book is closed', runId: 'a1', message: 'gateway: a request failed by a mistake of ours' }
  assert.deepEqual(warnings.at(-1), failed)
})

test('a listener that fails when a connection to the web ends ends nothing else, and the run can be closed', async (t) => {
  const warnings: string[] = []
  const log = { debug: () => {}, warn: (_: object, message: string) => void warnings.push(message) }
  const gateway = new Gateway({ upstream: new URL('http://127.0.0.1:9'), credentials: new HostCredentials({ apiKey: KEY }), log })
  t.after(() => gateway.close())
  const socketPath = join(socketFolder(t), 'gateway.sock')
  const onEgress = () => {
    throw new Error('the disk is full')
  }
  const run = await gateway.open({ runId: 'a1', socketPath, purse: BOTTOMLESS, onEgress })
  await askRaw(socketPath, 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n')
  await askRaw(socketPath, 'GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n')
  const failed = 'gateway: the end of a connection could not be written down'
  await until(() => warnings.filter((text) => text === failed).length === 1, 'it is said once', { seen: () => warnings })
  assert.equal((await ask(socketPath, { path: '/elsewhere' })).status, 404)
  await run.close()
})

test('a run has at most 256 connections, and one that ends makes room for another', async (t) => {
  const { socketPath } = await withModel(t)
  const open = async () => {
    const client = net.connect(socketPath).on('error', () => {})
    t.after(() => client.destroy())
    await once(client, 'connect')
    return client
  }
  const isServed = async (client: net.Socket) => {
    const over = new Promise<void>((resolve) => client.once('data', () => resolve()).once('close', () => resolve()))
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await over
    return client.bytesRead > 0
  }
  const [first] = await Promise.all(Array.from({ length: 255 }, open))
  assert.equal(await isServed(await open()), true, 'the last one')
  assert.equal(await isServed(await open()), false, 'one too many')
  first?.destroy()
  await until(async () => isServed(await open()), 'there is room again')
})

test('closing the gateway ends every run of it', async (t) => {
  const { gateway, socketPath } = await withModel(t)
  const client = net.connect(socketPath)
  await once(client, 'connect')
  const closed = once(client, 'close')
  await gateway.close()
  await closed
  assert.equal(existsSync(socketPath), false)
})
