import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import os from 'node:os'
import { after, before, test } from 'node:test'
import { lines } from '@nanoclaw/protocol'
import type { RunningContainer } from '../../src/runtimes/contract.ts'
import { until } from '../fakes/patience.ts'
import { realEngine } from '../fakes/real-engine.ts'
import { ownLabel, shellContainer } from '../fakes/shell-container.ts'
import { AttackRoom, EVE } from './attack-room.ts'

const { engine, skip } = await realEngine()
const ends: (() => unknown)[] = []
/** The gateway serves these: a refusal is for the address, not for the port. */
const PORTS = [8_080, 8_443, 80, 443]
const CANARY = 'here is the post'

/** A server at every address of this machine, and a datagram socket beside it, that count who comes. */
type Post = { port: number; seen: string[] }
let room: AttackRoom
let post: Post
let neighbour: { address: string; seen: string[] }

before(async () => {
  if (!engine) return
  const t = { after: (end: () => unknown) => ends.unshift(end) }
  post = await openPost(t)
  neighbour = await openNeighbour(t, post.port)
  room = await AttackRoom.create(t)
})
after(async () => {
  for (const end of ends) await end()
})

async function openPost(t: { after(end: () => unknown): void }): Promise<Post> {
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    seen.push(`TCP ${request.socket.remoteAddress}`)
    response.end(CANARY)
  })
  for (const port of PORTS) {
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '::', () => resolve(true))
    })
    if (!isFree) continue
    const datagrams = dgram.createSocket('udp4', (_, { address }) => seen.push(`UDP ${address}`)).bind(port)
    t.after(() => {
      server.close().closeAllConnections()
      datagrams.close()
    })
    await once(datagrams, 'listening')
    return { port, seen }
  }
  return assert.fail(`one of the ports ${PORTS} must be free for this test`)
}

const SERVE = (port: number) =>
  `require("http").createServer((q, a) => { console.log("seen " + q.socket.remoteAddress); a.end("${CANARY}") }).listen(${port}, () => console.log(Object.values(require("os").networkInterfaces()).flat().find((i) => !i.internal).address))`

/** A container of somebody else on the network that Docker gives to all who ask for nothing else. */
async function openNeighbour(t: { after(end: () => unknown): void }, port: number) {
  assert.ok(engine)
  const image = process.env.CONTAINER_IMAGE ?? engine.image
  const script = `exec node -e '${SERVE(port)}'`
  const spec = shellContainer({ image, label: ownLabel(), script })
  const container = await engine.runtime.run({ ...spec, network: 'bridge', limits: { ...spec.limits, memoryBytes: 2 ** 28 } })
  t.after(() => container.kill())
  const seen: string[] = []
  const address = await new Promise<string>((resolve, reject) => {
    listen(container, (line) => (line.startsWith('seen ') ? seen.push(line) : resolve(line))).catch(reject)
  })
  return { address, seen }
}

async function listen({ stdout }: RunningContainer, hear: (line: string) => void): Promise<void> {
  for await (const line of lines(stdout, 10_000)) if (line.type === 'line') hear(line.text)
}

/** What a program in the container does: past the gateway, and by it, to each of these. Prints where it got to, and how it was refused. */
const TRY = String.raw`
import socket, sys, collections
port, past, *hosts = sys.argv[1:]
port = int(port)
codes = collections.Counter()
def by_gateway(what, request):
    s = socket.create_connection(('127.0.0.1', 4180), 10)
    s.settimeout(10)
    answer = b''
    try:
        s.sendall(request)
        while b'\r\n\r\n' not in answer:
            piece = s.recv(4096)
            if not piece: break
            answer += piece
        if answer.startswith(b'HTTP/1.1 200 Connection'):
            print('REACHED', what)
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
    except OSError: pass
    if b'HTTP/1.1 200' in answer: print('REACHED', what)
    codes[answer[9:12].decode() or 'closed'] += 1
def past_gateway(host, kind, protocol=0):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        s = socket.socket(family, kind, protocol)
        s.settimeout(3)
        if kind == socket.SOCK_STREAM: s.connect((host, port))
        else: s.sendto(b'\x08\x00\xf7\xff\x00\x00\x00\x00', (host, port))
        print('REACHED', host, kind, protocol)
    except OSError as error: codes[type(error).__name__] += 1
for host in hosts:
    name = '[' + host + ']' if ':' in host else host
    for authority in [name + ':' + str(port), 'example.com@' + name + ':' + str(port), name + '.:' + str(port)]:
        by_gateway('CONNECT ' + authority, ('CONNECT ' + authority + ' HTTP/1.1\r\nHost: x\r\n\r\n').encode())
        by_gateway('GET ' + authority, ('GET http://' + authority + '/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').encode())
    by_gateway('NUL ' + host, ('CONNECT ' + host + '\0.example.com:' + str(port) + ' HTTP/1.1\r\nHost: x\r\n\r\n').encode())
    # The loopback of the container is its own.
    if past == 'too' and not host.startswith('127.') and host != '::1':
        past_gateway(host, socket.SOCK_STREAM)
        past_gateway(host, socket.SOCK_DGRAM)
        past_gateway(host, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        past_gateway(host, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print(dict(codes), 'tried all')
`

async function attack(hosts: readonly string[], past: 'too' | 'never' = 'too'): Promise<void> {
  const [before, beforeThere] = [post.seen.length, neighbour.seen.length]
  const printed = await room.shell(EVE, `python3 -c "$(cat <<'END'\n${TRY}\nEND\n)" ${post.port} ${past} ${hosts.join(' ')}`)
  assert.match(printed, /'403': \d+.*tried all/s)
  assert.doesNotMatch(printed, /REACHED/)
  assert.deepEqual([post.seen.slice(before), neighbour.seen.slice(beforeThere)], [[], []])
}

/** All addresses of this machine, but those that need a zone. */
function ownAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((entries) =>
    (entries ?? []).flatMap(({ address, scopeid }) => (scopeid ? [] : [address])),
  )
}

test('whoever is not in a container reaches what the agent must not', { skip }, async () => {
  for (const address of ['127.0.0.1', neighbour.address])
    assert.equal(await (await fetch(`http://${address}:${post.port}/`)).text(), CANARY)
  await until(() => post.seen.length > 0 && neighbour.seen.length > 0, 'both have counted it')
})

test('an agent does not reach this machine, at any of its addresses', { skip }, () => attack(ownAddresses()))

test('an agent does not reach containers of others', { skip }, () => attack([neighbour.address]))

test('an agent does not reach this machine by another spelling of its address', { skip }, () =>
  attack(
    [
      ...['127.0.0.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '127.1', '0', '0.0.0.0', 'localhost', os.hostname()],
      ...['::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', '64:ff9b::7f00:1', '2002:7f00:1::1', '0:0:0:0:0:0:0:1'],
      ...['host.docker.internal', 'gateway.docker.internal', 'ip6-localhost'],
    ],
    'never',
  ),
)

test('an agent does not reach the metadata service, nor neighbours in private networks', { skip }, () =>
  attack([
    '169.254.169.254',
    'fd00:ec2::254',
    'metadata.google.internal',
    '10.0.0.1',
    '192.168.0.1',
    '172.16.0.1',
    '100.100.100.200',
  ]),
)

test('the owner can see what was refused, and a flood of it is a number', { skip }, async () => {
  const { stdout } = await room.host.run(['audit', '--group', EVE, '--refused', '--json'])
  const refused = (JSON.parse(stdout) as { act: string; subject: string }[]).filter(({ act }) => act === 'egress')
  assert.ok(refused.length > 0 && refused.length <= 30, `${refused.length} entries`)
  assert.equal(new Set(refused.map(({ subject }) => subject)).size, refused.length)
})

test('nothing was harmed by it', { skip }, () => room.isUnharmed())
