import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { MAX_BODY_BYTES, MemoryShare, RunMemory, readBody } from './body.ts'

function request(chunks: string[]): IncomingMessage {
  return Object.assign(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), { headers: {} }) as unknown as IncomingMessage
}

test('the bodies of a run share its memory and give it back', async () => {
  const memory = new RunMemory(10)
  const first = new MemoryShare(memory)
  assert.deepEqual(await readBody(request(['123', '456']), first), { type: 'complete', bytes: Buffer.from('123456') })
  const second = new MemoryShare(memory)
  const refused = await readBody(request(['123', '45']), second)
  assert.equal(refused.type === 'refused' && refused.error.status, 529)
  second.release()
  first.release()
  assert.equal((await readBody(request(['1234567890']), new MemoryShare(memory))).type, 'complete')
})

test('a run may use the memory of four bodies of the largest size', () => {
  const memory = new RunMemory()
  assert.ok(memory.take(4 * MAX_BODY_BYTES))
  assert.ok(!memory.take(1))
  memory.give(1)
  assert.ok(memory.take(1))
})

test('an encoded body is refused and takes no memory', async () => {
  const memory = new RunMemory(2)
  const encoded = Object.assign(request(['12', '34']), { headers: { 'content-encoding': 'identity' } })
  const refused = await readBody(encoded, new MemoryShare(memory))
  assert.equal(refused.type === 'refused' && refused.error.status, 415)
  assert.ok(memory.take(2))
})

test('a refused body gives its memory back at once', async () => {
  const memory = new RunMemory(4)
  const refused = await readBody(request(['123', '456', '7']), new MemoryShare(memory))
  assert.equal(refused.type === 'refused' && refused.error.status, 529)
  assert.equal((await readBody(request(['1234']), new MemoryShare(memory))).type, 'complete')
})
