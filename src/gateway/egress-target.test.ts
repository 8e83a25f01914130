import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policyProblem, targetOf } from './egress-target.ts'
import { ownNetworks, PublicAddresses } from './public-address.ts'

test('a name with a web port is a target, in one spelling', () => {
  for (const [written, host, port] of [
    ['example.com:443', 'example.com', 443],
    ['EXAMPLE.com.:8443', 'example.com', 8443],
    ['a-b.xn--p1ai:80', 'a-b.xn--p1ai', 80],
    ['_dmarc.example.com', '_dmarc.example.com', 80],
  ] as const)
    assert.deepEqual(targetOf(written, 80), { type: 'target', host, port }, written)
})

/** Each is a way to say an address, somebody else, or something that two parsers read in two ways. */
const REFUSED = [
  ...['127.0.0.1:80', '2130706433:80', '0x7f000001:80', '0x7f.1:80', '0177.0.0.1:80', '127.1:80', '1.1.1.1:443', '0x:80'],
  ...['[::1]:80', '[::ffff:127.0.0.1]:80', '::1:80', '[fe80::1%eth0]:80', 'example.com.1:80'],
  ...[
    'localhost:80',
    'localhost.:80',
    'a.localhost:80',
    'printer:80',
    'router.lan:80',
    'host.docker.internal:80',
    'x.home.arpa:80',
  ],
  ...['user@example.com:80', 'user:pw@example.com:80', 'example.com@evil.com:80', 'example.com:80@evil.com:80'],
  ...['exa mple.com:80', 'example.com\0.evil.com:80', 'example.com\r\nHost: x:80', 'example.com/:80', 'example.com\\:80'],
  ...['example.com?:80', 'example.com#:80', '%65xample.com:80', 'exämple.com:80', 'example。com:80', 'example.com:80:80'],
  ...['', ':80', '.:80', '..:80', 'a..b:80', '-a.com:80', 'a-.com:80', `${'a'.repeat(64)}.com:80`, `${'a.'.repeat(130)}com:80`],
  ...[
    'example.com:22',
    'example.com:25',
    'example.com:0',
    'example.com:65536',
    'example.com:443443',
    'example.com: 443',
    'example.com:+443',
  ],
]

test('what is no plain public name with a web port is refused', () => {
  for (const written of REFUSED) assert.equal(targetOf(written).type, 'refused', JSON.stringify(written))
  assert.equal(targetOf('example.com').type, 'refused', 'a tunnel names its port')
})

test('no text makes a target that is not a plain name', () => {
  const pieces = [
    'a',
    '.',
    '-',
    '0',
    '127',
    '0x7f',
    ':',
    '80',
    '443',
    '@',
    '[',
    ']',
    '%',
    '\0',
    '\n',
    ' ',
    'com',
    '/',
    'É',
    '_',
    '::',
  ]
  let state = 7
  const next = (n: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state % n
  }
  for (let round = 0; round < 200_000; round++) {
    const text = Array.from({ length: 1 + next(8) }, () => pieces[next(pieces.length)]).join('')
    const verdict = targetOf(text, 80)
    if (verdict.type === 'refused') continue
    assert.match(verdict.host, /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_-]*[a-z_-][a-z0-9_-]*$/, JSON.stringify(text))
    assert.equal(
      new URL(`http://${verdict.host}:${verdict.port}/`).hostname,
      verdict.host,
      'a URL parser reads it as the same name',
    )
  }
})

test('a list lets through what it names, and with a star what lies below', () => {
  const at = (host: string, allow: string[]) => policyProblem({ host, port: 443 }, { policy: 'allowlist', allow }) === undefined
  assert.ok(at('example.com', ['Example.com']))
  assert.ok(at('a.b.example.com', ['*.example.com']))
  for (const host of ['badexample.com', 'example.com.evil.org', 'a.example.com']) assert.ok(!at(host, ['example.com']), host)
  assert.ok(!at('example.com', ['*.example.com']))
  assert.match(policyProblem({ host: 'example.com', port: 443 }, { policy: 'off', allow: [] }) ?? '', /may not use the network/)
})

/** Which of these addresses a container may be connected to, on a machine with these networks. */
const publicOf = (networks: readonly string[], addresses: readonly string[]) => {
  const judge = new PublicAddresses(() => networks)
  return addresses.filter((address) => judge.haveAll([address]))
}

test('addresses with neighbours of this machine, or of this machine itself, are not public', () => {
  const own = ['93.184.216.7', '2a00::7', 'fe80::1%eth0']
  const notPublic = [
    ...['127.0.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0'],
    ...['224.0.0.1', '255.255.255.255', '198.18.0.1', '93.184.216.7', '192.0.0.1', '240.0.0.1', '192.88.99.1'],
    ...['192.0.2.1', '198.51.100.1', '203.0.113.255', '3fff::1', '168.63.129.16'],
    ...['::', '::1', 'fe80::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1'],
    ...['2002:7f00:1::', '2001::1', '2001:db8::1', '2a00::7', 'not an address', ''],
  ]
  assert.deepEqual(publicOf(own, notPublic), [])
  const reachable = ['8.8.8.8', '172.32.0.1', '1.1.1.1', '2606:4700::1111', '93.184.216.8', '168.63.129.17']
  assert.deepEqual(publicOf(own, reachable), reachable)
  assert.ok(!new PublicAddresses(() => own).haveAll(['8.8.8.8', '10.0.0.1']), 'one that is not public is enough')
})

test('neighbours of this machine are not public either, where its networks are', () => {
  const own = ['85.1.2.3/20', '25.1.2.3/8', '9.9.9.9/32', '2a02:8071:1:2::10/64', '2a03::1/128']
  const neighbours = ['85.1.2.4', '85.1.0.0', '85.1.15.255', '25.200.0.1', '2a02:8071:1:2::1', '2a02:8071:1:2:ffff::']
  assert.deepEqual(publicOf(own, [...neighbours, '85.1.2.3', '9.9.9.9', '2a03::1']), [])
  const others = ['85.1.16.0', '26.0.0.1', '9.9.9.8', '2a02:8071:1:3::1', '2a03::2']
  assert.deepEqual(publicOf(own, others), others)
})

test('this machine knows the networks that its addresses are in', () => {
  assert.ok(ownNetworks().includes('127.0.0.1/8'))
})

test('an interface that calls most of the internet its network takes away only its own address', () => {
  const own = ['85.1.2.3/0', '86.1.2.3/1', '87.1.2.3/7', '2a02::3/0', '2a03::3/3', '2a04::3/15']
  const others = ['85.1.2.4', '86.1.2.4', '8.8.8.8', '2606:4700::1111', '2a04::4']
  assert.deepEqual(publicOf(own, [...others, '85.1.2.3', '86.1.2.3', '87.1.2.3', '2a02::3', '2a03::3', '2a04::3']), others)
})

test('the networks of this machine are those it has when it is asked', () => {
  const networks: string[] = []
  const judge = new PublicAddresses(() => networks)
  assert.ok(judge.haveAll(['85.1.2.4']))
  networks.push('85.1.2.3/24')
  assert.ok(!judge.haveAll(['85.1.2.4']))
})
