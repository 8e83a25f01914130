import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mcpServers } from './mcp-servers.ts'

const COMMAND = { command: 'mcp-files' }
const URL = { url: 'https://example.com/mcp' }

/** Whether these settings of one server are accepted. */
const accepted = (server: object) => mcpServers.safeParse({ a: server }).success

/** Whether each of these lengths is accepted. */
const lengths = (of: (text: string) => object, ...all: number[]) => all.map((length) => accepted(of('x'.repeat(length))))

test('a server is a program or an address, and not both', () => {
  for (const server of [COMMAND, { type: 'stdio', ...COMMAND }, URL, { type: 'http', ...URL }]) assert.ok(accepted(server))
  for (const server of [{}, { ...COMMAND, ...URL }, { type: 'http', ...COMMAND }, { type: 'stdio', ...URL }, { ...URL, x: 1 }])
    assert.ok(!accepted(server), JSON.stringify(server))
  assert.ok(!accepted({ ...COMMAND, args: undefined }), 'what is there has a value')
})

test('the parts of a program have their lengths', () => {
  assert.deepEqual(
    lengths((command) => ({ command }), 0, 1, 4_096, 4_097),
    [false, true, true, false],
  )
  assert.deepEqual(
    lengths((text) => ({ ...COMMAND, args: [text] }), 0, 4_096, 4_097),
    [true, true, false],
  )
  assert.ok(accepted({ ...COMMAND, args: Array(64).fill('x') }))
  assert.ok(!accepted({ ...COMMAND, args: Array(65).fill('x') }))
  assert.deepEqual(
    lengths((text) => ({ ...COMMAND, env: { A: text } }), 0, 16_384, 16_385),
    [true, true, false],
  )
  assert.deepEqual(
    lengths((name) => ({ ...COMMAND, env: { [name]: 'x' } }), 1, 128, 129),
    [true, true, false],
  )
  for (const name of ['_a', 'A9', 'z_Z']) assert.ok(accepted({ ...COMMAND, env: { [name]: 'x' } }), name)
  for (const name of ['9A', 'A-B', 'A=B', '', 'Ä']) assert.ok(!accepted({ ...COMMAND, env: { [name]: 'x' } }), name)
})

test('an address is one of the web of at most 2,048 characters', () => {
  const base = 'https://example.com/'
  assert.deepEqual(
    lengths((rest) => ({ url: base + rest }), 2_048 - base.length, 2_049 - base.length),
    [true, false],
  )
  assert.ok(accepted({ url: 'http://localhost:8080' }))
  for (const url of ['ftp://example.com', 'example.com', 'file:///etc/passwd', '', 'xhttp://example.com', 'httpss://example.com'])
    assert.ok(!accepted({ url }), url)
})

test('a header is one line under a plain name', () => {
  const header = (name: string, value: string) => accepted({ ...URL, headers: { [name]: value } })
  assert.ok(header('X-Api-Key', 'a b: c'))
  assert.deepEqual(
    lengths((name) => ({ ...URL, headers: { [name]: 'x' } }), 1, 128, 129),
    [true, true, false],
  )
  assert.deepEqual(
    lengths((value) => ({ ...URL, headers: { A: value } }), 0, 16_384, 16_385),
    [true, true, false],
  )
  for (const name of ['', 'a b', 'a:', 'a_b', 'ä']) assert.ok(!header(name, 'x'), name)
  for (const value of ['a\r', 'a\nb', '\0']) assert.ok(!header('A', value), JSON.stringify(value))
})

test('a name has 1 to 64 plain characters, and is not the name of our own server', () => {
  const named = (name: string) => mcpServers.safeParse({ [name]: COMMAND })
  for (const name of ['a', '9', 'a-b_c', 'a'.repeat(64), 'nanoclaw2']) assert.ok(named(name).success, name)
  for (const name of ['', 'a'.repeat(65), '-a', '_a', 'A', 'a.b', 'a b', 'nanoclaw'])
    assert.match(named(name).error?.issues[0]?.message ?? '', /^a name is 1 to 64 of .* is not "nanoclaw"$/, name)
})

test('a group has at most 16 servers', () => {
  const many = (count: number) =>
    mcpServers.safeParse(Object.fromEntries(Array.from({ length: count }, (_, n) => [`s${n}`, COMMAND])))
  assert.ok(many(0).success && many(16).success)
  assert.equal(many(17).error?.issues[0]?.message, 'at most 16 servers')
})
