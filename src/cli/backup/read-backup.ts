import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { AppError, errorText } from '../../domain/errors.ts'
import { MAGIC, takeHead, unseal } from './cipher.ts'

/** An entry as it stands in the archive: nothing of it is believed yet. */
export type ArchiveEntry = {
  path: string
  type: string
  mode: number
  changedAt: Date | undefined
  target: string | undefined
  pieces: AsyncIterable<Buffer>
}

export type BackupFile = { file: string; passphrase(): Promise<string> }

export async function isEncrypted(file: string): Promise<boolean> {
  const opened = await open(file)
  try {
    const { buffer } = await opened.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0)
    return buffer.equals(MAGIC)
  } finally {
    await opened.close()
  }
}

/** Hands on every entry, one after the other. Rejects with an `AppError` when the file cannot be read to its end. */
export async function readBackup({ file, passphrase }: BackupFile, take: (entry: ArchiveEntry) => Promise<void>): Promise<void> {
  try {
    const secret = (await isEncrypted(file)) ? await passphrase() : undefined
    await pipeline(
      createReadStream(file),
      (raw: AsyncIterable<Buffer>) => (secret === undefined ? raw : decrypted(raw, secret)),
      createGunzip(),
      entriesTo(take),
    )
  } catch (error) {
    throw error instanceof AppError ? error : unreadable(file, error)
  }
}

async function* decrypted(raw: AsyncIterable<Buffer>, passphrase: string): AsyncGenerator<Buffer> {
  const { rest } = await takeHead(raw, MAGIC.length)
  yield* unseal(rest, { passphrase })
}

/** What is not taken yet holds up the rest. */
function entriesTo(take: (entry: ArchiveEntry) => Promise<void>): Writable {
  let working: Promise<void> = Promise.resolve()
  let failure: unknown
  const takeNext = async (entry: ReadEntry) => {
    try {
      if (failure === undefined) await take(entryOf(entry))
    } catch (error) {
      failure = error
    }
    // What nobody read must flow away, or the next one never comes.
    entry.resume()
  }
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      working = working.then(() => takeNext(entry))
    },
  })
  parser.on('error', (error) => {
    failure ??= error
  })
  const settle = async (done: (error?: Error) => void) => {
    await working
    done(failure === undefined ? undefined : failure instanceof Error ? failure : new Error(String(failure)))
  }
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (failure !== undefined) return void settle(done)
      if (parser.write(chunk)) done()
      else parser.once('drain', () => done())
    },
    final: (done) => {
      parser.end()
      void settle(done)
    },
  })
}

function entryOf(entry: ReadEntry): ArchiveEntry {
  const { path, type, mode = 0o644, mtime, linkpath } = entry
  return { path, type, mode: mode & 0o777, changedAt: mtime, target: linkpath, pieces: entry as AsyncIterable<Buffer> }
}

function unreadable(file: string, cause: unknown): AppError {
  const message = `${file} is not a whole backup of NanoClaw: ${errorText(cause)}. Nothing was changed.`
  return new AppError({ code: 'backup.damaged', fault: 'user', message, cause })
}
