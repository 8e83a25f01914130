import assert from 'node:assert/strict'
import { createDecipheriv, scryptSync } from 'node:crypto'
import { test } from 'node:test'
import { MAGIC, seal, takeHead, unseal } from './cipher.ts'

const PASSPHRASE = 'correct horse'
/** Cheap keys: what a real one costs is no matter of these tests, but of the last one. */
const scrypt = { N: 2, r: 1, p: 1, maxmem: 2 ** 20 }

async function* chunksOf(bytes: Buffer, size = 50_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const sealed = (text: Buffer) => whole(seal(chunksOf(text), { passphrase: PASSPHRASE, scrypt }))

async function open(file: Buffer, passphrase = PASSPHRASE): Promise<Buffer> {
  const { head, rest } = await takeHead(chunksOf(file, 33_333), MAGIC.length)
  assert.deepEqual(head, MAGIC)
  return whole(unseal(rest, { passphrase, scrypt }))
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

/** Made with the passphrase "Zoë’s boiler" when this test was written. */
const FORMER = 'bmFub2NsYXctYmFja3VwLXYxCgmKj9NEUAPF7Megd3oqydrH7bh32eP+E/nYCGDIbxfNJyyz0QjIjuil1Hic2g=='

test('a backup of former days opens, however its passphrase is typed, and what is made now is no easier to guess', async () => {
  const { rest } = await takeHead(chunksOf(Buffer.from(FORMER, 'base64')), MAGIC.length)
  assert.equal(String(await whole(unseal(rest, { passphrase: 'Zoe\u0308’s boiler' }))), 'what was said')

  const file = await whole(seal(chunksOf(Buffer.from('what is said')), { passphrase: PASSPHRASE }))
  const salt = file.subarray(MAGIC.length, MAGIC.length + 16)
  const key = scryptSync(PASSPHRASE, salt, 32, { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 })
  const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
  decipher.setAuthTag(file.subarray(-16))
  const opened = Buffer.concat([decipher.update(file.subarray(MAGIC.length + 16, -16)), decipher.final()])
  assert.equal(String(opened), 'what is said')
})
