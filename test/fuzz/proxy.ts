import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Random } from '../../src/cli/bench/random.ts'
import { HostCredentials } from '../../src/gateway/credentials.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { PublicAddresses } from '../../src/gateway/public-address.ts'
import { BOTTOMLESS } from '../../src/gateway/purse.ts'
import { patience } from '../fakes/patience.ts'

const KEY = 'sk-ant-api03-the-real-one'
const ADDRESSES = ['93.184.216.34', '1.1.1.1', '127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '2606:4700::1', 'fd00::1']

/** A whole gateway on a socket, with a model and a world that remember what got through. */
export type Proxy = { round(random: Random): Promise<void>; close(): Promise<void> }

export async function openProxy(): Promise<Proxy> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-fuzz-'))
  const socketPath = path.join(folder, 'gateway.sock')
  const upstream: http.IncomingMessage[] = []
  const dialled: string[] = []
  let names: Random | undefined
  const server = http.createServer((request, response) => {
    upstream.push(request)
    request.resume().once('end', () => response.end('{}'))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const gateway = new Gateway({
    upstream: new URL(`http://127.0.0.1:${port}`),
    credentials: new HostCredentials({ apiKey: KEY }),
    log: { debug() {}, warn() {} },
    // Another answer each time, as somebody who rebinds a name would give.
    resolve: async () => Array.from({ length: 1 + (names?.below(2) ?? 0) }, () => names?.pick(ADDRESSES) ?? ''),
    connect: ({ address }) => {
      dialled.push(address)
      return net.connect({ host: '127.0.0.1', port })
    },
  })
  const egress = { policy: 'open' as const, allow: [], bandwidth: { burst: 1e9, perSecond: 1e9 } }
  await gateway.open({ runId: 'fuzz', socketPath, egress, purse: BOTTOMLESS })
  const publicOnly = new PublicAddresses(() => [])
  return {
    async round(random) {
      names = random
      const answer = await send(socketPath, hostileRequest(random))
      for (const address of dialled.splice(0)) assert.ok(publicOnly.haveAll([address]), `${address} was dialled`)
      for (const { url = '', headers, rawHeaders } of upstream.splice(0)) {
        // What came over the proxy has no key; what has the key came to the model's two addresses.
        if (!rawHeaders.includes(KEY)) continue
        assert.match(url, /^\/v1\/messages(\/count_tokens)?(\?.*)?$/)
        assert.equal(rawHeaders.filter((value) => value === KEY).length, 1)
        assert.deepEqual(
          [headers.authorization, headers.cookie, headers['content-type']],
          [undefined, undefined, 'application/json'],
        )
      }
      assert.ok(!answer.includes(KEY), 'the key came back')
      assert.ok(answer === '' || answer.startsWith('HTTP/1.1 '), answer.slice(0, 100))
    },
    async close() {
      await gateway.close()
      server.close().closeAllConnections()
      rmSync(folder, { recursive: true })
    },
  }
}

/** The answer to these bytes: until the other side ends, or nothing more comes. */
async function send(socketPath: string, bytes: Buffer): Promise<string> {
  const socket = net.connect(socketPath)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
    // A tunnel or a kept connection does not end by itself.
    if (/\r\n\r\n/.test(answer)) socket.end()
  })
  socket.on('error', () => {})
  socket.setTimeout(patience(1_000), () => socket.destroy())
  socket.end(bytes)
  await once(socket, 'close')
  return answer
}

const BODY = JSON.stringify({ model: 'm', max_tokens: 1, messages: [] })

function hostileRequest(random: Random): Buffer {
  const target = random.pick([
    ...[
      '/v1/messages',
      '/v1/messages?x=/../y',
      '/v1/messages/count_tokens',
      '/v1/messages/../files',
      '//v1/messages',
      '/v1%2fmessages',
      '*',
      '',
    ],
    ...[
      'http://example.com/a',
      'http://127.0.0.1/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://[::1]/',
      'http://a@b/',
      'HTTP://EXAMPLE.COM',
    ],
    ...[
      'http://example.com\\@127.0.0.1/',
      'http://example.com:80:81/',
      'http:///v1/messages',
      'https://example.com/',
      'example.com:443',
    ],
    ...[
      '[::ffff:10.0.0.1]:443',
      '169.254.169.254:80',
      'example.com:22',
      'example.com:443/',
      'exämple.com:443',
      `${'a.'.repeat(200)}com:443`,
    ],
  ])
  const method = random.pick(['POST', 'POST', 'GET', 'CONNECT', 'CONNECT', 'OPTIONS', 'PRI', 'post', 'GET\0'])
  const head = [`${method} ${target} ${random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', ''])}`, ...headers(random)]
  const text = `${head.join(random.chance(0.03) ? '\n' : '\r\n')}\r\n\r\n${random.chance(0.6) ? BODY : ''}`
  const bytes = Buffer.from(text, 'latin1')
  for (let n = random.chance(0.3) ? random.below(4) : 0; n > 0; n--) bytes[random.below(bytes.length)] = random.below(256)
  return random.chance(0.1) ? bytes.subarray(0, random.below(bytes.length)) : bytes
}

function headers(random: Random): string[] {
  const length = `Content-Length: ${BODY.length}`
  const lines = [
    ...[
      'Host: a',
      `Host: ${random.pick(['169.254.169.254', '[::1]', 'a b', ''])}`,
      `x-api-key: ${KEY.slice(0, -1)}`,
      'Authorization: Bearer forged',
    ],
    ...[
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: identity, chunked',
      'Content-Length: 5',
      'Connection: close, x-api-key',
      'Cookie: a=b',
    ],
    ...[
      'Content-Type: text/plain',
      'Content-Encoding: gzip',
      'Expect: 100-continue',
      'Upgrade: websocket',
      'anthropic-beta: a,\tb',
      'Proxy-Authorization: x',
    ],
    ...[' folded', 'no colon', 'X\0: y', `X: ${'y'.repeat(20_000)}`],
  ]
  const some = Array.from({ length: random.below(4) }, () => random.pick(lines))
  return ['Host: x', ...(random.chance(0.8) ? [length] : []), ...some]
}
