import assert from 'node:assert/strict'
import type { Random } from '../../src/cli/bench/random.ts'
import { judgeBody } from '../../src/gateway/model-request.ts'
import { routeOf } from '../../src/gateway/route.ts'

const NAMES = [
  'model',
  'messages',
  'system',
  'tools',
  'content',
  'source',
  'type',
  'url',
  'text',
  'mcp_servers',
  'input',
  '__proto__',
  'Source',
  'data',
  'max_tokens',
]
const TYPES = [
  'text',
  'image',
  'document',
  'tool_use',
  'tool_result',
  'url',
  'base64',
  'file',
  'content',
  'custom',
  'web_fetch_20250910',
  'container_upload',
]
const HOSTILE: unknown[] = [
  { type: 'image', source: { type: 'url', url: 'http://a' } },
  { type: 'document', source: { type: 'file', file_id: 'f' } },
  { type: 'image', Source: { type: 'url', url: 'http://a' } },
  { type: 'container_upload', file_id: 'f' },
]

/** Whatever is accepted has one meaning, and none that has the API reach out. */
export function bodies(random: Random): void {
  const text = broken(spelled(random, request(random)), random)
  const bytes = Buffer.from(text)
  if (random.chance(0.05)) bytes[random.below(bytes.length)] = random.below(256)
  const judgement = judgeBody(bytes, { webSearch: random.chance(0.5) })
  if (judgement.type === 'refused') return assert.ok(judgement.why.length < 250)
  const body: unknown = JSON.parse(bytes.toString())
  assert.equal(namesIn(bytes.toString()), keysOf(body), 'a name was said twice')
  assert.ok(isObject(body) && body.model === judgement.model && !('mcp_servers' in body) && !Object.hasOwn(body, '__proto__'))
  assertNoReach(body.messages)
  assertNoReach(body.system)
}

/** Only the two paths, letter by letter. */
export function routes(random: Random): void {
  const parts = [
    '/v1/messages',
    '/count_tokens',
    '/',
    '..',
    '%2e',
    '%2f',
    '?',
    '#',
    'v1',
    '\\',
    ';',
    'batches',
    '/v1/files',
    'beta=true',
    '//',
    '\t',
  ]
  const url =
    (random.chance(0.7) ? '/v1/messages' : '') + Array.from({ length: random.below(5) }, () => random.pick(parts)).join('')
  const route = routeOf({ method: random.pick(['POST', 'GET', 'post', 'PUT', 'OPTIONS']), url })
  if (route.type === 'model') assert.match(url, /^\/v1\/messages(\/count_tokens)?(\?.*)?$/s)
}

function request(random: Random): object {
  const message = () => ({ role: 'user', content: random.chance(0.2) ? 'hi' : list(random, () => block(random, 3)) })
  const body: Record<string, unknown> = { model: 'm', max_tokens: random.below(100), messages: list(random, message) }
  if (random.chance(0.3))
    body.tools = list(random, () => ({ type: random.pick(TYPES), name: 'x', input_schema: anything(random, 3) }))
  if (random.chance(0.2)) body.system = list(random, () => block(random, 2))
  if (random.chance(0.1)) body[random.pick(NAMES)] = anything(random, 3)
  return body
}

/** Mostly what is accepted, with something in it now and then that is not. */
function block(random: Random, depth: number): unknown {
  if (random.chance(0.06)) return random.chance(0.7) ? random.pick(HOSTILE) : anything(random, depth)
  const inner = () => list(random, () => block(random, depth - 1))
  if (depth === 0 || random.chance(0.4)) return { type: 'text', text: 'a "quoted": \\ text' }
  return random.pick([
    () => ({ type: 'tool_use', id: 't', name: 'x', input: anything(random, 3) }),
    () => ({ type: 'tool_result', tool_use_id: 't', content: inner() }),
    () => ({ type: 'document', source: { type: 'content', content: inner() } }),
    () => ({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA' } }),
  ])()
}

function list<T>(random: Random, one: () => T): T[] {
  return Array.from({ length: random.below(4) }, one)
}

function anything(random: Random, depth: number): unknown {
  if (depth === 0 || random.chance(0.3)) return random.pick([null, 1, 1e300, true, '', 'x', random.pick(TYPES)])
  if (random.chance(0.4)) return list(random, () => anything(random, depth - 1))
  return Object.fromEntries(
    list(random, () => [random.pick(NAMES), random.chance(0.3) ? random.pick(TYPES) : anything(random, depth - 1)]),
  )
}

/** JSON text of a value, with blanks and escapes anywhere; now and then it says a name twice. */
function spelled(random: Random, value: unknown): string {
  const blank = () => (random.chance(0.1) ? random.pick([' ', '\n', '\t', '  ']) : '')
  if (Array.isArray(value)) return `[${value.map((one) => blank() + spelled(random, one)).join(',')}${blank()}]`
  if (!isObject(value)) return typeof value === 'string' ? quoted(random, value) : JSON.stringify(value)
  const entries = Object.entries(value)
  if (entries.length > 0 && random.chance(0.005)) entries.push(random.pick(entries))
  return `{${entries.map(([name, one]) => `${blank()}${quoted(random, name)}${blank()}:${spelled(random, one)}`).join(',')}}`
}

function quoted(random: Random, text: string): string {
  if (!random.chance(0.1)) return JSON.stringify(text)
  const escaped = Array.from(text, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${escaped.join('')}"`
}

function broken(text: string, random: Random): string {
  if (!random.chance(0.1)) return text
  const at = random.below(text.length)
  return random.pick([
    () => text.slice(0, at),
    () => text.slice(0, at) + random.pick(['"', '\\', '{', '}', ',', ':', '\0', '\ufeff', '/**/']) + text.slice(at),
    () => text + text.slice(at),
    () => text.slice(0, at) + text.slice(at + 1),
  ])()
}

/** Strings that a colon follows, found in another way than the gateway does. */
function namesIn(text: string): number {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon !== undefined).length
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const inner = Object.values(value).reduce((sum: number, one) => sum + keysOf(one), 0)
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length)
}

/** As a reader would see it that takes no notice of case, along the way on which the API looks for content. */
function assertNoReach(value: unknown): void {
  if (Array.isArray(value)) return value.forEach(assertNoReach)
  if (!isObject(value)) return
  for (const [name, inner] of Object.entries(value)) {
    if (/^type$/i.test(name)) assert.notEqual(inner, 'container_upload')
    if (/^source$/i.test(name) && isObject(inner)) assert.ok(SOURCES.includes(String(inner.type)), JSON.stringify(inner))
    if (/^(content|source)$/i.test(name)) assertNoReach(inner)
  }
}

const SOURCES = ['base64', 'text', 'content']

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
