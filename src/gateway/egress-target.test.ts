import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../cli/bench/random.ts'
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

test('the ports of web servers are served, and none beside them', () => {
  const served = Array.from({ length: 65_537 }, (_, port) => port).filter(
    (port) => targetOf(`example.com:${port}`).type === 'target',
  )
  assert.deepEqual(served, [80, 443, 8_080, 8_443])
  assert.deepEqual(targetOf('example.com:00443'), { type: 'target', host: 'example.com', port: 443 })
  assert.equal(targetOf('example.com:000443').type, 'refused')
})

test('a host name has at most 253 characters, and each of its parts 63', () => {
  const isTarget = (host: string) => targetOf(`${host}:443`).type === 'target'
  assert.ok(isTarget(`${'a'.repeat(63)}.com`))
  assert.ok(!isTarget(`${'a'.repeat(64)}.com`))
  const name = (length: number) =>
    `${'a.'.repeat(length)}`
      .slice(0, length - 4)
      .replace(/\.$/, 'a')
      .concat('.com')
  assert.deepEqual([name(253).length, name(254).length], [253, 254])
  assert.ok(isTarget(name(253)))
  assert.ok(!isTarget(name(254)))
})

test('a name of a local network is refused, and every name below it', () => {
  const local = [
    'localhost',
    'local',
    'internal',
    'intranet',
    'lan',
    'home',
    'corp',
    'private',
    'home.arpa',
    'onion',
    'invalid',
    'test',
  ]
  for (const name of local) {
    for (const host of [name, `a.${name}`, `A.B.${name}.`])
      assert.match(why(targetOf(`${host}:443`)), /is a name of a local network, which is not served/, host)
    assert.equal(targetOf(`a${name}.com:443`).type, 'target', name)
    assert.equal(targetOf(`${name}.com:443`).type, 'target', name)
  }
})

test('a refusal says what is wrong with an address', () => {
  assert.match(why(targetOf('[::1]:443')), /^"\[::1\]:443" is no host name with a port; addresses in numbers are not served$/)
  assert.match(why(targetOf('a..b:443')), /^"a\.\.b" is no host name$/)
  assert.match(why(targetOf('0x7f.1:443')), /^0x7f\.1 is an address in numbers, which is not served; use the host's name$/)
  assert.match(why(targetOf('example.com:22')), /^port 22 is not served, only 80, 443, 8080, 8443$/)
  assert.match(why(targetOf('example.com')), /^port none is not served/)
  for (const length of [100, 101]) {
    assert.equal(
      why(targetOf('@'.repeat(length))),
      `"${'@'.repeat(100)}" is no host name with a port; addresses in numbers are not served`,
    )
    assert.equal(why(targetOf(`${'-'.repeat(length)}:443`)), `"${'-'.repeat(100)}" is no host name`)
  }
})

function why(verdict: ReturnType<typeof targetOf>): string {
  return verdict.type === 'refused' ? verdict.why : `served: ${verdict.host}`
}

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
    '.com',
    ':443',
    '/',
    'É',
    '_',
    '::',
  ]
  const random = new Random(7)
  let targets = 0
  for (let round = 0; round < 200_000; round++) {
    const text = Array.from({ length: 1 + random.below(8) }, () => random.pick(pieces)).join('')
    const verdict = targetOf(text, 80)
    if (verdict.type === 'refused') continue
    targets++
    assert.match(verdict.host, /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_-]*[a-z_-][a-z0-9_-]*$/, JSON.stringify(text))
    assert.equal(
      new URL(`http://${verdict.host}:${verdict.port}/`).hostname,
      verdict.host,
      'a URL parser reads it as the same name',
    )
  }
  assert.ok(targets > 1_000, `${targets} texts were targets`)
})

test('a list lets through what it names, and with a star what lies below', () => {
  const at = (host: string, allow: string[]) => policyProblem({ host, port: 443 }, { policy: 'allowlist', allow }) === undefined
  assert.ok(at('example.com', ['Example.com']))
  assert.ok(at('a.b.example.com', ['*.example.com']))
  for (const host of ['badexample.com', 'example.com.evil.org', 'a.example.com']) assert.ok(!at(host, ['example.com']), host)
  assert.ok(!at('example.com', ['*.example.com']))
  assert.ok(!at('badexample.com', ['*.example.com']))
  assert.ok(at('b.example.com', ['other.org', '*.Example.com']))
  assert.ok(!at('example.com', []))
  const listed = policyProblem({ host: 'a.org', port: 443 }, { policy: 'allowlist', allow: ['example.com'] })
  assert.equal(listed, "a.org is not on this group's list of hosts")
  assert.equal(policyProblem({ host: 'example.com', port: 443 }, { policy: 'open', allow: [] }), undefined)
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

/** Ranges that are not public, with the public addresses right before and behind each, where there are any. */
const RANGES: [before: string | undefined, first: string, last: string, behind: string | undefined][] = [
  [undefined, '0.0.0.0', '0.255.255.255', '1.0.0.0'],
  ['9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0'],
  ['100.63.255.255', '100.64.0.0', '100.127.255.255', '100.128.0.0'],
  ['126.255.255.255', '127.0.0.0', '127.255.255.255', '128.0.0.0'],
  ['168.63.129.15', '168.63.129.16', '168.63.129.16', '168.63.129.17'],
  ['169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0'],
  ['172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0'],
  ['191.255.255.255', '192.0.0.0', '192.0.0.255', '192.0.1.0'],
  ['192.0.1.255', '192.0.2.0', '192.0.2.255', '192.0.3.0'],
  ['192.88.98.255', '192.88.99.0', '192.88.99.255', '192.88.100.0'],
  ['192.167.255.255', '192.168.0.0', '192.168.255.255', '192.169.0.0'],
  ['198.17.255.255', '198.18.0.0', '198.19.255.255', '198.20.0.0'],
  ['198.51.99.255', '198.51.100.0', '198.51.100.255', '198.51.101.0'],
  ['203.0.112.255', '203.0.113.0', '203.0.113.255', '203.0.114.0'],
  ['223.255.255.255', '224.0.0.0', '239.255.255.255', undefined],
  [undefined, '240.0.0.0', '255.255.255.255', undefined],
  [undefined, '::', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2000::'],
  ['2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:200::'],
  ['2001:db7:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db9::'],
  ['2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2003::'],
  ['3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff', '3fff:1000::'],
  ['3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '4000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', undefined],
]

test('a range that is not public ends where the registries say', () => {
  for (const [before, first, last, behind] of RANGES) {
    const neighbours = [before, behind].filter((address) => address !== undefined)
    assert.deepEqual(publicOf([], [first, last, ...neighbours]), neighbours, `${first} to ${last}`)
  }
})

test('a network of this machine counts as its neighbourhood from a prefix of 8 bits on, or of 16 in IPv6', () => {
  assert.deepEqual(publicOf(['25.1.2.3/8', '2a05::3/16'], ['25.255.255.255', '26.0.0.0', '2a05:ffff::1', '2a06::']), [
    '26.0.0.0',
    '2a06::',
  ])
  assert.deepEqual(publicOf(['25.1.2.3/7', '2a05::3/15'], ['25.1.2.3', '25.255.255.255', '2a05::3', '2a05:ffff::1']), [
    '25.255.255.255',
    '2a05:ffff::1',
  ])
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
