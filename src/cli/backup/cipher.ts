import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { AppError } from '../../domain/errors.ts'

/**
 * An encrypted backup: MAGIC, 16 bytes of salt, then pieces of 64 KiB, each with ChaCha20-Poly1305 and a tag of its own. A
 * piece's nonce is its number (11 bytes) and whether it is the last: so none can be changed, moved, left out or cut off. The
 * key is scrypt's of the passphrase and the salt, so no two files share one.
 */
export const MAGIC = Buffer.from('nanoclaw-backup-v1\n')

const SALT_BYTES = 16
const PIECE_BYTES = 64 * 1024
const TAG_BYTES = 16
/** 128 MiB and a good part of a second for each guess. No file says it, so it must stay as it is. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 }
const CIPHER = 'chacha20-poly1305'

/** What a key is made of. `scrypt`: only tests, which make many keys, spend less on one. */
export type KeyParts = { passphrase: string; scrypt?: typeof SCRYPT }

/** Encrypts a stream. */
export async function* seal(plain: AsyncIterable<Buffer>, parts: KeyParts): AsyncGenerator<Buffer> {
  const salt = randomBytes(SALT_BYTES)
  const key = keyOf(parts, salt)
  yield Buffer.concat([MAGIC, salt])
  for await (const { bytes, number, last } of pieces(plain, PIECE_BYTES)) {
    const cipher = createCipheriv(CIPHER, key, nonce(number, last), { authTagLength: TAG_BYTES })
    yield Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  }
}

/** Decrypts what `seal` made, after MAGIC. Nothing comes out that was not proven first. */
export async function* unseal(sealed: AsyncIterable<Buffer>, parts: KeyParts): AsyncGenerator<Buffer> {
  const { head: salt, rest } = await takeHead(sealed, SALT_BYTES)
  const key = keyOf(parts, salt)
  for await (const piece of pieces(rest, PIECE_BYTES + TAG_BYTES)) yield opened(piece, key)
}

function opened({ bytes, number, last }: Piece, key: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(CIPHER, key, nonce(number, last), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch (cause) {
    const message =
      number === 0
        ? 'The passphrase is not the one of this backup, or the file is damaged. Nothing was changed.'
        : 'The backup is damaged or cut off. Nothing was changed.'
    throw new AppError({ code: 'backup.damaged', fault: 'user', message, cause })
  }
}

type Piece = { bytes: Buffer; number: number; last: boolean }

/** Pieces of one size, the last one at most so long. There is always a last one, if only an empty one. */
async function* pieces(stream: AsyncIterable<Buffer>, size: number): AsyncGenerator<Piece> {
  let held: Buffer[] = []
  let bytes = 0
  let number = 0
  for await (const chunk of stream) {
    held.push(chunk)
    bytes += chunk.length
    // A full piece waits until something follows: only then it is known not to be the last.
    if (bytes <= size) continue
    let all = Buffer.concat(held)
    for (; all.length > size; all = all.subarray(size)) yield { bytes: all.subarray(0, size), number: number++, last: false }
    held = [all]
    bytes = all.length
  }
  yield { bytes: Buffer.concat(held), number, last: true }
}

/** The first bytes of a stream, fewer if it is shorter, and all that follows. */
export async function takeHead(
  stream: AsyncIterable<Buffer>,
  size: number,
): Promise<{ head: Buffer; rest: AsyncIterable<Buffer> }> {
  const chunks = stream[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  while (held.length < size) {
    const { value, done } = await chunks.next()
    if (done) break
    held = Buffer.concat([held, value])
  }
  const head = held.subarray(0, size)
  const rest = async function* () {
    yield held.subarray(size)
    yield* { [Symbol.asyncIterator]: () => chunks }
  }
  return { head, rest: rest() }
}

function keyOf({ passphrase, scrypt = SCRYPT }: KeyParts, salt: Buffer): Buffer {
  return scryptSync(passphrase.normalize('NFC'), salt, 32, scrypt)
}

function nonce(number: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(number, 5, 6)
  bytes[11] = last ? 1 : 0
  return bytes
}
