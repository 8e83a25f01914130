import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAGIC, seal, takeHead, unseal } from './cipher.ts'

const PASSPHRASE = 'correct horse'

async function* chunksOf(bytes: Buffer, size = 50_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const sealed = (text: Buffer) => whole(seal(chunksOf(text), PASSPHRASE))

async function open(file: Buffer, passphrase = PASSPHRASE): Promise<Buffer> {
  const { head, rest } = await takeHead(chunksOf(file, 33_333), MAGIC.length)
  assert.deepEqual(head, MAGIC)
  return whole(unseal(rest, passphrase))
}

const PIECE = 64 * 1024

test('what is encrypted comes out as it went in, at every length around a piece', async () => {
  for (const length of [0, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]) {
    const text = Buffer.alloc(length, 'abc')
    assert.deepEqual(await open(await sealed(text)), text, `${length} bytes`)
  }
})

test('another passphrase opens nothing', async () => {
  const file = await sealed(Buffer.from('secret'))
  assert.ok(!file.includes('secret'))
  await assert.rejects(open(file, 'wrong horse'), /passphrase is not the one/)
})

test('a file that was cut off is known, also between two pieces', async () => {
  const file = await sealed(Buffer.alloc(3 * PIECE))
  const start = MAGIC.length + 16
  for (const cut of [start + 2 * (PIECE + 16), file.length - 1])
    await assert.rejects(open(file.subarray(0, cut)), { code: 'backup.damaged' }, `cut at ${cut}`)
})

test('pieces that were changed, exchanged, doubled or added are known', async () => {
  const file = await sealed(Buffer.alloc(4 * PIECE))
  const [head, size] = [MAGIC.length + 16, PIECE + 16]
  const piece = (number: number) => file.subarray(head + number * size, head + (number + 1) * size)
  const of = (...numbers: number[]) => Buffer.concat([file.subarray(0, head), ...numbers.map(piece)])
  assert.equal((await open(of(0, 1, 2, 3))).length, 4 * PIECE)
  const changed = Buffer.from(file)
  changed.writeUInt8(255 - changed.readUInt8(head + size + 5), head + size + 5)
  for (const bad of [changed, of(1, 0, 2, 3), of(0, 2, 3), of(0, 1, 2, 3, 3)])
    await assert.rejects(open(bad), { code: 'backup.damaged' })
})
