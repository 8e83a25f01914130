import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { until } from '../../test/fakes/patience.ts'
import { Bucket, Meter } from './bucket.ts'
import { connectTo, Egress, type EgressPorts, type EgressRecord, type EgressRules, resolveHost } from './egress.ts'

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
  const clients: net.Socket[] = []
  proxy.on('connection', (client) => clients.push(client))
  return { port: await listen(t, proxy), clients, records, dialled, ended: ended.promise }
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

type Raw = { proxy: { port: number; clients: net.Socket[] }; pieces: readonly string[]; thenEnd?: boolean }

/** Sends raw bytes, each piece after the proxy has read the one before; resolves with everything that came back. */
async function exchange({ proxy, pieces, thenEnd = true }: Raw): Promise<string> {
  const client = net.connect({ port: proxy.port, host: '127.0.0.1', noDelay: true })
  const answer = text(client)
  let sent = 0
  for (const piece of pieces) {
    client.write(piece)
    sent += Buffer.byteLength(piece)
    await until(() => proxy.clients[0]?.bytesRead === sent, `the proxy reads ${sent} bytes`)
  }
  if (thenEnd) client.end()
  return answer
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

const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n'
const CONNECT = 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n'

for (const [how, cut] of [
  ['in one piece', (bytes: string) => [bytes]],
  ['one at a time', (bytes: string) => [...bytes]],
] as const) {
  for (const early of ['!', 'early words'])
    test(`bytes that a client sends together with its CONNECT (${early.length}, ${how}) reach the host and are counted`, async (t) => {
      const proxy = await proxyTo(t, echoServer())
      assert.equal(await exchange({ proxy, pieces: cut(CONNECT + early) }), ESTABLISHED + early)
      const { up, down, why } = await proxy.ended
      assert.deepEqual([up, down, why], [early.length, early.length, null])
    })

  test(`a request whose body is sent together with its head, ${how}, is passed on whole`, async (t) => {
    const world = http.createServer(async (request, response) => response.end(`got ${request.url} ${await text(request)}`))
    const proxy = await proxyTo(t, world)
    const request = 'POST http://example.com/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly'
    const answer = await exchange({ proxy, pieces: cut(request), thenEnd: false })
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*got \/a early/s)
    assert.equal((await proxy.ended).up, 5)
  })
}

test('bytes that a client sends during the lookup reach the host after those sent with the CONNECT', async (t) => {
  const [asked, found] = [Promise.withResolvers<void>(), Promise.withResolvers<string[]>()]
  const resolve = () => {
    asked.resolve()
    return found.promise
  }
  const { port } = await proxyTo(t, echoServer(), { resolve })
  const client = net.connect(port, '127.0.0.1').setEncoding('utf8')
  client.write(`${CONNECT}one `)
  await asked.promise
  client.end('two')
  found.resolve(['1.2.3.4'])
  assert.equal(await text(client), `${ESTABLISHED}one two`)
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

test('a host that cannot be reached is recorded with the reason, and not as refused', async (t) => {
  const gone = await proxyTo(t, hello(), { resolve: async () => [] })
  await ask({ port: gone.port, path: 'http://example.com/' })
  assert.deepEqual(await gone.ended, {
    ...{ host: 'example.com', port: 80, address: null, up: 0, down: 0, refused: false },
    why: 'the name example.com could not be resolved',
  })
  const closed = await proxyTo(t, hello(), { connect: () => net.connect({ host: '127.0.0.1', port: 1 }) })
  await tunnel(closed.port, 'example.com:443')
  const { address, refused, why } = await closed.ended
  assert.deepEqual([address, refused, why], ['1.2.3.4', false, 'example.com could not be reached'])
})

/** A local name server that answers every query with these addresses, and with "no such name" where there is none. */
async function nameServer(
  t: TestContext,
  { a, aaaa }: { a?: string; aaaa?: string },
): Promise<{ server: string; asked: string[] }> {
  const socket = dgram.createSocket('udp4')
  t.after(() => socket.close())
  const asked: string[] = []
  socket.on('message', (query, { port, address }) => {
    const labels = []
    let at = 12
    for (; query[at] !== 0; at += 1 + (query[at] ?? 0)) labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)))
    const kind = query.readUInt16BE(at + 1)
    asked.push(`${labels.join('.')} ${kind === 1 ? 'A' : 'AAAA'}`)
    const found = kind === 1 ? a?.split('.').map(Number) : aaaa?.split(':').flatMap((part) => [...Buffer.from(part, 'hex')])
    const head = Buffer.from([...query.subarray(0, 2), 0x81, found ? 0x80 : 0x83, 0, 1, 0, found ? 1 : 0, 0, 0, 0, 0])
    const answer = found ? [0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, found.length, ...found] : []
    socket.send(Buffer.concat([head, query.subarray(12, at + 5), Buffer.from(answer)]), port, address)
  })
  await once(socket.bind(0, '127.0.0.1'), 'listening')
  return { server: `127.0.0.1:${socket.address().port}`, asked }
}

const patient = new AbortController().signal

test('a name resolves to its IPv4 and IPv6 addresses, and one family is enough', async (t) => {
  const both = await nameServer(t, { a: '93.184.216.34', aaaa: '2606:2800:0220:0001:0248:1893:25c8:1946' })
  const addresses = ['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946']
  assert.deepEqual(await resolveHost('example.com', patient, [both.server]), addresses)
  assert.deepEqual(both.asked.sort(), ['example.com A', 'example.com AAAA'])
  const onlyOld = await nameServer(t, { a: '93.184.216.34' })
  assert.deepEqual(await resolveHost('example.com', patient, [onlyOld.server]), ['93.184.216.34'])
  const onlyNew = await nameServer(t, { aaaa: '2606:2800:0220:0001:0248:1893:25c8:1946' })
  assert.deepEqual(await resolveHost('example.com', patient, [onlyNew.server]), addresses.slice(1))
})

test('a name in the hosts file of this machine is asked of DNS like any other', async (t) => {
  const { server } = await nameServer(t, { a: '93.184.216.34' })
  assert.deepEqual(await resolveHost('localhost', patient, [server]), ['93.184.216.34'])
  const none = await nameServer(t, {})
  assert.deepEqual(await resolveHost('localhost', patient, [none.server]), [])
})

test('an aborted lookup ends at once although its name server never answers', async (t) => {
  const silent = dgram.createSocket('udp4')
  t.after(() => silent.close())
  let queries = 0
  silent.on('message', () => queries++)
  await once(silent.bind(0, '127.0.0.1'), 'listening')
  const leave = new AbortController()
  const lookup = resolveHost('example.com', leave.signal, [`127.0.0.1:${silent.address().port}`])
  await once(silent, 'message')
  leave.abort()
  assert.deepEqual(await lookup, [])
  assert.ok(queries <= 2, 'one of each family, and none of them was repeated')
})

test('connectTo connects to the given address and port', async (t) => {
  const port = await listen(t, echoServer())
  const socket = connectTo({ address: '127.0.0.1', port })
  socket.end('ping')
  assert.equal(await text(socket), 'ping')
})

test('the first IPv4 address of a name is dialled, or else its first address', async (t) => {
  for (const [addresses, dialled] of [
    [['2606:4700::1', '1.2.3.4', '5.6.7.8'], '1.2.3.4:80'],
    [['2606:4700::1', '2606:4700::2'], '2606:4700::1:80'],
  ] as const) {
    const proxy = await proxyTo(t, hello(), { resolve: async () => [...addresses] })
    await ask({ port: proxy.port, path: 'http://example.com/' })
    assert.deepEqual(proxy.dialled, [dialled])
  }
})

/** A socket that never connects and remembers the timeouts that were set; the test lets them expire. */
class Silent extends net.Socket {
  limits: number[] = []
  override setTimeout(ms: number, late?: () => void): this {
    this.limits.push(ms)
    return super.setTimeout(ms, late)
  }
}

test('a host that accepts no connection within 15 s is answered with 504', async (t) => {
  const silent = new Silent()
  const { port, ended } = await proxyTo(t, hello(), { connect: () => silent })
  const answer = ask({ port, path: 'http://example.com/' })
  await until(() => silent.limits.length > 0, 'it is being connected')
  assert.deepEqual(silent.limits, [15_000])
  silent.emit('timeout')
  const { status, text: words } = await answer
  assert.deepEqual([status, words], [504, "NanoClaw's gateway: example.com did not answer in time.\n"])
  const { refused, why } = await ended
  assert.deepEqual([refused, why, silent.destroyed], [false, 'example.com did not answer in time', true])
})

test('a tunnel that is silent for ten minutes is closed', async (t) => {
  const silent = new Silent()
  const connect = () => {
    setImmediate(() => silent.emit('connect'))
    return silent
  }
  const { port, ended } = await proxyTo(t, hello(), { connect })
  const { status, socket } = await tunnel(port, 'example.com:443')
  socket.on('error', () => {}).resume()
  assert.deepEqual([status, silent.limits.at(-1)], [200, 600_000])
  assert.equal(silent.destroyed, false)
  silent.emit('timeout')
  assert.equal((await ended).refused, false)
  assert.equal(silent.destroyed, true)
})

test('a request keeps its path in every spelling of the address, and the answer keeps its status and headers', async (t) => {
  const world = http.createServer((request, response) => {
    response.writeHead(418, { connection: 'x-mine', 'x-mine': '1', te: 'x', 'x-end': '1' }).end(request.url)
  })
  const { port } = await proxyTo(t, world)
  for (const [written, path] of [
    ['http://example.com', '/'],
    ['http://example.com?a=b', '/?a=b'],
    ['HTTP://Example.COM/a/../b?c', '/a/../b?c'],
    ['http://example.com:8080/a#part', '/a'],
  ] as const) {
    const { status, headers, text: asked } = await ask({ port, path: written })
    assert.deepEqual([status, asked], [418, path], written)
    assert.deepEqual([headers['x-end'], headers['x-mine'], headers.te], ['1', undefined, undefined])
  }
})

test('headers that concern the connection to the proxy are not passed on', async (t) => {
  const seen: http.IncomingHttpHeaders[] = []
  const world = http.createServer((request, response) => {
    seen.push(request.headers)
    response.end()
  })
  const proxy = await proxyTo(t, world)
  const own = ['Keep-Alive', 'Proxy-Authorization', 'Proxy-Authenticate', 'Proxy-Connection', 'TE', 'Trailer', 'Upgrade']
  const headers = ['Host: x', 'Connection: close, X-Mine', 'X-Mine: x', 'Accept: y', ...own.map((name) => `${name}: x`)]
  const request = ['GET http://example.com/ HTTP/1.1', ...headers, '', ''].join('\r\n')
  await exchange({ proxy, pieces: [request], thenEnd: false })
  assert.deepEqual(seen, [{ accept: 'y', host: 'example.com', connection: 'close' }])
})

test('an answer that arrives before the whole request was sent is passed on', async (t) => {
  const world = http.createServer((_, response) => response.writeHead(413).end('too much'))
  const { port } = await proxyTo(t, world)
  const request = http.request({ host: '127.0.0.1', port, agent: false, path: 'http://example.com/', method: 'POST' })
  t.after(() => request.destroy())
  request.on('error', () => {}).write('the beginning')
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  assert.deepEqual([response.statusCode, await text(response)], [413, 'too much'])
})

test('a refused tunnel gets a complete HTTP answer and is closed', async (t) => {
  const proxy = await proxyTo(t, hello(), { policy: 'off' })
  const answer = await exchange({ proxy, pieces: [CONNECT], thenEnd: false })
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 403 Forbidden\r\n/)
  assert.match(head, new RegExp(`^content-length: ${body.length}$`, 'm'))
  assert.match(head, /^connection: close$/m)
  assert.match(body, /^NanoClaw's gateway: this group may not use the network\.\n$/)
})

test('a record holds at most 260 characters of the requested name', async (t) => {
  for (const length of [260, 261]) {
    const { port, ended } = await proxyTo(t, hello())
    const host = `${'a'.repeat(length - 4)}.com`
    assert.equal((await ask({ port, path: `http://${host}/` })).status, 403)
    assert.equal((await ended).host, host.slice(0, 260))
  }
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

test('a client that resets its tunnel during the lookup ends the lookup', async (t) => {
  const asked = Promise.withResolvers<void>()
  const resolve: EgressPorts['resolve'] = async (_, signal) => {
    asked.resolve()
    await once(signal, 'abort')
    return ['1.2.3.4']
  }
  const { port, ended } = await proxyTo(t, echoServer(), { resolve })
  const client = net.connect(port, '127.0.0.1').on('error', () => {})
  client.write(CONNECT)
  await asked.promise
  client.resetAndDestroy()
  assert.equal((await ended).why, 'nobody waited for it any more')
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
  assert.equal(bucket.take(1), 10, 'it holds no more than a burst')
})

test('a meter counts bytes and passes them on as fast as its bucket allows', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const meter = new Meter(new Bucket({ burst: 3, perSecond: 10 }, () => 0))
  const passed: string[] = []
  meter.on('data', (chunk) => passed.push(String(chunk)))
  const first = once(meter, 'data')
  for (const piece of ['abc', 'd', 'ef']) meter.write(piece)
  await first
  const second = once(meter, 'data')
  t.mock.timers.tick(99)
  await settled()
  assert.deepEqual(passed, ['abc'])
  t.mock.timers.tick(1)
  await second
  assert.deepEqual([passed, meter.bytes], [['abc', 'd'], 6])
  const third = once(meter, 'data')
  t.mock.timers.tick(300)
  await third
  assert.deepEqual(passed, ['abc', 'd', 'ef'])
})

/** Lets everything happen that needs no timer. */
async function settled(): Promise<void> {
  for (let round = 0; round < 20; round++) await nextTurn()
}
