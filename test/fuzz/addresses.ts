import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import type { Random } from '../../src/cli/bench/random.ts'
import { targetOf } from '../../src/gateway/egress-target.ts'
import { PublicAddresses } from '../../src/gateway/public-address.ts'

const addresses = new PublicAddresses(() => [])
const PIECES = [
  'a',
  '.',
  '-',
  '0',
  '127',
  '0x7f',
  ':',
  '80',
  '443',
  '22',
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
  '。',
  '１',
]

/** What a URL parser, which every client has, takes for an address must be no target, however it is written. */
export function hostForms(random: Random): void {
  const text = random.pick([spelledAddress, randomText, nameWithPort])(random)
  const verdict = targetOf(text, 80)
  if (verdict.type === 'refused') return
  const host = hostname(`http://${verdict.host}:${verdict.port}/`)
  assert.equal(host, verdict.host, `a URL parser reads ${JSON.stringify(text)} as ${host}`)
  assert.match(verdict.host, /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_-]*[a-z_-][a-z0-9_-]*$/)
  assert.ok([80, 443, 8_080, 8_443].includes(verdict.port))
}

/** Whether an address is public does not depend on how it is written, and agrees with arithmetic on its bits. */
export function addressForms(random: Random): void {
  const bits = randomIpv4(random)
  const dotted = dottedOf(bits)
  assert.equal(addresses.haveAll([dotted]), isPublicV4(bits), dotted)
  for (const disguise of [
    `::ffff:${dotted}`,
    `::${dotted}`,
    `64:ff9b::${dotted}`,
    `2002:${hex4(bits >>> 16)}:${hex4(bits & 0xffff)}::1`,
  ])
    assert.equal(addresses.haveAll([disguise]), false, `${disguise} leads to an address of IPv4`)
  const groups = Array.from({ length: 8 }, () => (random.chance(0.4) ? 0 : random.below(0x10000)))
  if (random.chance(0.6)) groups[0] = random.pick([0x2001, 0x2002, 0x2606, 0x3fff, 0xfe80, 0xfc00, 0xff02, 0x64, 0x2000])
  const long = groups.map(hex4).join(':')
  const short = hostname(`http://[${long}]/`)?.slice(1, -1) ?? ''
  assert.ok(isIPv6(short), short)
  for (const spelling of [short, long, long.toUpperCase()])
    assert.equal(addresses.haveAll([spelling]), isPublicV6(groups), spelling)
}

function randomIpv4(random: Random): number {
  const near = [
    0x0a000000, 0x7f000000, 0xa9fea9fe, 0xac100000, 0xac1fffff, 0xc0a80000, 0xc0000200, 0xc63364ff, 0xcb007100, 0x64400000,
    0xe0000000, 0, 0xffffffff, 0xa83f8110,
  ]
  return (random.chance(0.5) ? random.pick(near) + random.below(9) - 4 : random.below(0x1_0000_0000)) >>> 0
}

/** The special-purpose ranges as first and last number, written down a second time in another way. */
const NOT_PUBLIC: [number, number][] = [
  ...([
    [0, 0x00ffffff],
    [0x0a000000, 0x0affffff],
    [0x64400000, 0x647fffff],
    [0x7f000000, 0x7fffffff],
  ] as [number, number][]),
  ...([
    [0xa83f8110, 0xa83f8110],
    [0xa9fe0000, 0xa9feffff],
    [0xac100000, 0xac1fffff],
    [0xc0000000, 0xc00000ff],
  ] as [number, number][]),
  ...([
    [0xc0000200, 0xc00002ff],
    [0xc0586300, 0xc05863ff],
    [0xc6336400, 0xc63364ff],
    [0xcb007100, 0xcb0071ff],
    [0xc0a80000, 0xc0a8ffff],
    [0xc6120000, 0xc613ffff],
  ] as [number, number][]),
  ...([[0xe0000000, 0xffffffff]] as [number, number][]),
]

function isPublicV4(bits: number): boolean {
  return !NOT_PUBLIC.some(([first, last]) => bits >= first && bits <= last)
}

function isPublicV6([first = 0, second = 0]: number[]): boolean {
  if (first < 0x2000 || first > 0x3fff) return false
  if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false
  return first !== 0x2002 && !(first === 0x3fff && second < 0x1000)
}

/** An address of IPv4 as one of the many texts that some parser takes for it. */
function spelledAddress(random: Random): string {
  const bits = randomIpv4(random)
  const parts = 1 + random.below(4)
  const last = parts === 1 ? bits : bits & (2 ** (8 * (5 - parts)) - 1)
  const numbers = [...[24, 16, 8].slice(0, parts - 1).map((shift) => (bits >>> shift) & 0xff), last >>> 0]
  const text = numbers
    .map((number) =>
      random.pick([String(number), `0x${number.toString(16)}`, `0${number.toString(8)}`, `0X00${number.toString(16)}`]),
    )
    .join('.')
  const dot = random.chance(0.2) ? '.' : ''
  const disguise = random.pick([
    text,
    text,
    `[::ffff:${dottedOf(bits)}]`,
    `example.com@${text}`,
    text.replaceAll('.', '。'),
    text.replaceAll('1', '１'),
  ])
  return `${disguise}${dot}${random.pick(['', ':80', ':443', ':080'])}`
}

function nameWithPort(random: Random): string {
  const name = random.pick(['example.com', 'EXAMPLE.com.', 'a-b.xn--p1ai', 'localhost', 'x.local', 'example.com.1'])
  return name + random.pick(['', ':', `:${random.pick([80, 443, 8_080, 8_443])}`, `:${random.below(70_000)}`])
}

function randomText(random: Random): string {
  return Array.from({ length: 1 + random.below(8) }, () => random.pick(PIECES)).join('')
}

function hostname(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined
}

function dottedOf(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}

function hex4(number: number): string {
  return (number & 0xffff).toString(16).padStart(4, '0')
}
