import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { BodyMemory, MAX_BODY_BYTES, MemoryShare, RunMemory, readBody } from './body.ts'

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

test('a body in pieces of one byte costs what its bytes do', async () => {
  const memory = new RunMemory()
  const share = new MemoryShare(memory)
  const body = await readBody(request(Array.from({ length: 50_000 }, (_, n) => String(n % 10))), share)
  assert.ok(body.type === 'complete' && body.bytes.length === 50_000 && body.bytes.subarray(0, 12).toString() === '012345678901')
  assert.ok(memory.used >= body.bytes.buffer.byteLength && memory.used < 2 * 50_000, `${memory.used} bytes`)
  share.release()
  assert.equal(memory.used, 0)
})

test('room is made for what a body announces before it comes, and none for one that is too large', async () => {
  const memory = new RunMemory(10)
  const announcing = (length: number, chunks: string[]) =>
    Object.assign(request(chunks), { headers: { 'content-length': String(length) } })
  const share = new MemoryShare(memory)
  const whole = readBody(announcing(10, ['12345', '67890']), share)
  assert.equal(memory.used, 10)
  const late = await readBody(announcing(1, ['1']), new MemoryShare(memory))
  assert.equal(late.type === 'refused' && late.error.status, 529)
  assert.deepEqual(await whole, { type: 'complete', bytes: Buffer.from('1234567890') })
  share.release()
  const huge = await readBody(announcing(MAX_BODY_BYTES + 1, ['x']), new MemoryShare(memory))
  assert.deepEqual([huge.type === 'refused' && huge.error.status, memory.used], [413, 0])
})

const MIB = 1024 * 1024
const MOST_OF_ALL = 256 * MIB

/** Takes what it gets, a mebibyte at a time. */
function takeAll(run: RunMemory): number {
  const before = run.used
  while (run.take(MIB));
  return (run.used - before) / MIB
}

test('whatever one run takes, the next one gets as much, and all together stay below one limit', () => {
  for (const runs of [1, 2, 3, 6, 7]) {
    const memory = new BodyMemory()
    const greedy = Array.from({ length: runs }, () => memory.open())
    for (const run of greedy) takeAll(run)
    const late = memory.open()
    assert.ok(takeAll(late) >= Math.floor(256 / (runs + 2)), `the one after ${runs}`)
    assert.ok(late.used >= MAX_BODY_BYTES - MIB, 'one whole body, but for the rounding')
    const used = [...greedy, late].reduce((sum, run) => sum + run.used, 0)
    assert.ok(used <= MOST_OF_ALL, `${used / MIB} MiB`)
  }
})

test('many runs together stay below the limit, and what one gives back another gets', () => {
  const memory = new BodyMemory()
  const runs = Array.from({ length: 40 }, () => memory.open())
  assert.equal(
    runs.reduce((sum, run) => sum + takeAll(run), 0),
    256,
  )
  const [first, last] = [runs[0], runs.at(-1)]
  assert.ok(first && last && !last.take(1))
  first.give(first.used)
  assert.ok(last.take(MAX_BODY_BYTES))
  memory.close(last)
  assert.ok(first.take(MAX_BODY_BYTES), 'a run that is over holds nothing')
})
