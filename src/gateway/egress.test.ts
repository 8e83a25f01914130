import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Bucket } from './bucket.ts'
import { Egress, type EgressPorts, type EgressRecord, type EgressRules, resolveHost } from './egress.ts'

type Setup = Partial<EgressRules> & Partial<Omit<EgressPorts, 'onEnd'>>

const AMPLE = { burst: 1e9, perSecond: 1e9 }

async function listen(t: TestContext, server: http.Server | net.Server): Promise<number> {
  t.after(() => {
    server.close()
    if (server instanceof http.Server) server.closeAllConnections()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** The proxy of a run in front of a world that is one local server, whatever is dialled. */
async function proxyTo(t: TestContext, world: http.Server | net.Server, setup: Setup = {}) {
  const { policy = 'open', allow = [], bandwidth = AMPLE, ...ports } = setup
  const worldPort = await listen(t, world)
  const records: EgressRecord[] = []
  const dialled: string[] = []
  const connect = ({ address, port }: { address: string; port: number }) => {
    dialled.push(`${address}:${port}`)
    return net.connect({ host: '127.0.0.1', port: worldPort })
  }
  const ended = Promise.withResolvers<EgressRecord>()
  const onEnd = (record: EgressRecord) => {
    records.push(record)
    ended.resolve(record)
  }
  const world4 = { resolve: async () => ['1.2.3.4'], arePublic: () => true, connect, ...ports, onEnd }
  const egress = new Egress({ policy, allow, bandwidth }, world4)
  const proxy = http.createServer((request, response) => void egress.forward(request, response))
  proxy.on('connect', (request, client, head) => void egress.tunnel({ request, client, head }))
  return { port: await listen(t, proxy), records, dialled, ended: ended.promise }
}

type Wish = { port: number; path: string; method?: string; headers?: http.OutgoingHttpHeaders; body?: string }

async function ask({
  port,
  body = '',
  ...wish
}: Wish): Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }> {
  const request = http.request({ host: '127.0.0.1', port, agent: false, ...wish }).end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) }
}

/** Opens a tunnel; the status of the proxy's answer, and the socket behind it. */
async function tunnel(port: number, authority: string): Promise<{ status: number; socket: net.Socket }> {
  const request = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: authority, agent: false }).end()
  const [response, socket] = (await once(request, 'connect')) as [http.IncomingMessage, net.Socket]
  return { status: response.statusCode ?? 0, socket }
}

const echoServer = () => net.createServer((socket) => socket.pipe(socket))
const hello = () => http.createServer((request, response) => response.end(`hello ${request.headers.host} ${request.url}`))

test('a request is passed on as it is, without what concerns the proxy alone', async (t) => {
  const seen: http.IncomingMessage[] = []
  const world = http.createServer(async (request, response) => {
    seen.push(request)
    response
      .setHeader('set-cookie', 'a=b')
      .setHeader('proxy-authenticate', 'x')
      .end(`got ${await text(request)}`)
  })
  const { port, dialled, ended } = await proxyTo(t, world)
  const headers = { 'proxy-authorization': 'secret', cookie: 'c=d', connection: 'x-mine', 'x-mine': '1', host: 'other.example' }
  const answer = await ask({ port, path: 'http://example.com/a?b=c', method: 'POST', headers, body: 'data' })
  assert.deepEqual([answer.status, answer.text, answer.headers['set-cookie']], [200, 'got data', ['a=b']])
  assert.equal(answer.headers['proxy-authenticate'], undefined)
  const [request] = seen
  assert.deepEqual([request?.method, request?.url, request?.headers.host], ['POST', '/a?b=c', 'example.com'])
  assert.deepEqual(
    [request?.headers['proxy-authorization'], request?.headers['x-mine'], request?.headers.cookie],
    [undefined, undefined, 'c=d'],
  )
  assert.deepEqual(dialled, ['1.2.3.4:80'])
  assert.deepEqual(await ended, { host: 'example.com', port: 80, address: '1.2.3.4', up: 4, down: 8, refused: false, why: null })
})

test('a tunnel carries bytes both ways and is recorded when it ends', async (t) => {
  const { port, dialled, ended } = await proxyTo(t, echoServer())
  const { status, socket } = await tunnel(port, 'example.com:443')
  assert.equal(status, 200)
  socket.end('ping')
  assert.equal(await text(socket), 'ping')
  assert.deepEqual(dialled, ['1.2.3.4:443'])
  assert.deepEqual(await ended, { host: 'example.com', port: 443, address: '1.2.3.4', up: 4, down: 4, refused: false, why: null })
})

test('what is no public name is refused before anything is resolved or dialled', async (t) => {
  const { port, dialled, records } = await proxyTo(t, hello(), { resolve: () => assert.fail('it was resolved') })
  for (const host of ['127.0.0.1', '2130706433', 'localhost', '[::1]', 'user@example.com'])
    assert.equal((await ask({ port, path: `http://${host}/` })).status, 403, host)
  for (const authority of ['169.254.169.254:80', '[::1]:443', 'example.com:22', 'example.com'])
    assert.equal((await tunnel(port, authority)).status, 403, authority)
  assert.deepEqual(dialled, [])
  assert.ok(records.length === 9 && records.every(({ refused, why }) => refused && why !== null))
})

test('a name with one address that is not public is refused, and the container is told no address', async (t) => {
  const resolve = async () => ['1.2.3.4', '10.0.0.1']
  const { port, dialled } = await proxyTo(t, hello(), {
    resolve,
    arePublic: (all) => !all.some((address) => address.startsWith('10.')),
  })
  const answer = await ask({ port, path: 'http://rebind.example.com/' })
  assert.deepEqual([answer.status, dialled], [403, []])
  assert.ok(!answer.text.includes('10.0.0.1'))
})

test('a name is resolved once for each connection, and what was judged is what is dialled', async (t) => {
  let resolved = 0
  const resolve = async () => (resolved++ === 0 ? ['1.2.3.4'] : ['127.0.0.1'])
  const { port, dialled } = await proxyTo(t, hello(), { resolve })
  assert.equal((await ask({ port, path: 'http://rebind.example.com/' })).status, 200)
  assert.deepEqual([resolved, dialled], [1, ['1.2.3.4:80']])
})

test("a group's policy decides", async (t) => {
  const off = await proxyTo(t, hello(), { policy: 'off' })
  assert.match((await ask({ port: off.port, path: 'http://example.com/' })).text, /may not use the network/)
  const list = await proxyTo(t, hello(), { policy: 'allowlist', allow: ['example.com'] })
  assert.equal((await ask({ port: list.port, path: 'http://example.com/' })).status, 200)
  assert.equal((await ask({ port: list.port, path: 'http://example.org/' })).status, 403)
})

test('a host that is not there is said in words, without addresses', async (t) => {
  const gone = await proxyTo(t, hello(), { resolve: () => Promise.reject(new Error('ENOTFOUND 9.9.9.9')) })
  const answer = await ask({ port: gone.port, path: 'http://example.com/' })
  assert.deepEqual([answer.status, answer.text], [502, "NanoClaw's gateway: the name example.com could not be resolved.\n"])
  const closed = await proxyTo(t, hello(), { connect: () => net.connect({ host: '127.0.0.1', port: 1 }) })
  assert.equal((await tunnel(closed.port, 'example.com:443')).status, 502)
})

test('names that only this machine knows are not resolved', async () => {
  assert.deepEqual(await resolveHost('localhost', new AbortController().signal), [])
})

test('what was moved before an answer broke off is recorded', async (t) => {
  const world = http.createServer((_, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('12345', () => response.destroy())
  })
  const { port, ended } = await proxyTo(t, world)
  await assert.rejects(ask({ port, path: 'http://example.com/' }))
  const { down, why } = await ended
  assert.deepEqual([down, why !== null], [5, true])
})

test('a client that leaves takes its connection to the world with it', async (t) => {
  const left = Promise.withResolvers<void>()
  const world = net.createServer((socket) =>
    socket
      .on('close', () => left.resolve())
      .on('error', () => {})
      .resume(),
  )
  const { port, ended } = await proxyTo(t, world)
  const { socket } = await tunnel(port, 'example.com:443')
  socket.destroy()
  await left.promise
  await ended
})

for (const where of ['while its name is looked up', 'while it is connected'] as const)
  test(`a client that leaves ${where} takes that with it, and it is recorded`, async (t) => {
    const asked = Promise.withResolvers<void>()
    const sockets: net.Socket[] = []
    const resolve: EgressPorts['resolve'] = async (_, signal) => {
      if (where === 'while it is connected') return ['1.2.3.4']
      asked.resolve()
      await once(signal, 'abort')
      return ['1.2.3.4']
    }
    const connect = () => {
      const silent = new net.Socket()
      sockets.push(silent)
      asked.resolve()
      return silent
    }
    const { port, ended } = await proxyTo(t, echoServer(), { resolve, connect })
    const client = net.connect(port, '127.0.0.1').on('error', () => {})
    client.write('GET http://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n')
    await asked.promise
    client.destroy()
    const { host, refused, why } = await ended
    assert.deepEqual([host, refused, why], ['example.com', false, 'nobody waited for it any more'])
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      where === 'while it is connected' ? [true] : [],
    )
  })

test('a client that leaves while a server says nothing takes its connection with it', async (t) => {
  const asked = Promise.withResolvers<net.Socket>()
  const world = net.createServer((socket) => void socket.once('data', () => asked.resolve(socket)))
  const { port, ended } = await proxyTo(t, world)
  const client = net.connect(port, '127.0.0.1').on('error', () => {})
  client.write('GET http://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n')
  const server = await asked.promise
  client.destroy()
  assert.notEqual((await ended).why, null)
  if (!server.closed) await once(server, 'close')
})

test('a bucket lets a burst through at once, and the rest at its pace', () => {
  let now = 0
  const bucket = new Bucket({ burst: 1_000, perSecond: 100 }, () => now)
  assert.equal(bucket.take(1_000), 0)
  assert.equal(bucket.take(50), 500)
  now = 500
  assert.equal(bucket.take(10), 100)
  now = 60_000
  assert.equal(bucket.take(1_000), 0)
})
