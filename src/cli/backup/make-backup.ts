import { createHash, randomBytes } from 'node:crypto'
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { Header, Pack, ReadEntry } from 'tar'
import packageJson from '../../../package.json' with { type: 'json' }
import type { Config } from '../../config.ts'
import { AppError, errorText } from '../../domain/errors.ts'
import { HostError } from '../../domain/host-failure.ts'
import { syncToDisk } from '../../files.ts'
import { type Opened, readInPieces, type Unread } from '../../hostile-tree.ts'
import { seal } from './cipher.ts'
import { contents, damageOf, type Item } from './contents.ts'
import { HEAD_NAME, type Head, type LeftOut, MANIFEST_NAME, type Manifest } from './manifest.ts'

export type BackupReport = { file: string; bytes: number; files: number; leftOut: LeftOut[] }
export type BackupOrder = { config: Config; file: string; passphrase: string | undefined }

/** Writes a backup of the whole installation, whether a host runs or not. The file is there when it is complete, or not at all. */
export async function makeBackup({ config, file, passphrase }: BackupOrder): Promise<BackupReport> {
  if (existsSync(file)) throw alreadyThere(file)
  const folder = path.dirname(file)
  mkdirSync(folder, { recursive: true })
  const scratch = mkdtempSync(path.join(folder, '.nanoclaw-backup-'))
  try {
    const unfinished = path.join(scratch, `backup-${randomBytes(4).toString('hex')}`)
    const manifest = await writeArchive({ items: contents(config, scratch), file: unfinished, passphrase })
    syncToDisk(unfinished)
    renameSync(unfinished, file)
    syncToDisk(folder)
    return { file, bytes: statSync(file).size, files: manifest.files.length, leftOut: manifest.leftOut }
  } catch (error) {
    throw error instanceof AppError && !(error instanceof HostError) ? error : failed(error)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

type Writing = { items: AsyncIterable<Item>; file: string; passphrase: string | undefined }

/** Packs these items into a new file, however fast they come. */
export async function writeArchive({ items, file, passphrase }: Writing): Promise<Manifest> {
  // With more entries waiting than `jobs` (4 if nothing is said) it never goes on: folders in a row are enough for that.
  const pack = new Pack({ portable: true, jobs: Number.POSITIVE_INFINITY })
  const stop = new AbortController()
  const packing = packAll(pack, items).catch((error) => {
    stop.abort(error)
    throw error
  })
  const written = pipeline(
    Readable.from(pack as AsyncIterable<Buffer>),
    createGzip(),
    (zipped: AsyncIterable<Buffer>) => (passphrase === undefined ? zipped : seal(zipped, { passphrase })),
    createWriteStream(file, { flags: 'wx', mode: 0o600 }),
    { signal: stop.signal },
  )
  const [manifest] = await Promise.all([packing, written])
  return manifest
}

async function packAll(pack: Pack, items: AsyncIterable<Item>): Promise<Manifest> {
  const manifest: Manifest = { files: [], links: [], folders: [], leftOut: [] }
  const made: Head = { format: 1, version: packageJson.version, madeAt: new Date().toISOString() }
  await packText(pack, HEAD_NAME, JSON.stringify(made))
  for await (const item of items) await packItem({ pack, item, manifest })
  await packText(pack, MANIFEST_NAME, JSON.stringify(manifest))
  pack.end()
  return manifest
}

async function packItem({ pack, item, manifest }: { pack: Pack; item: Item; manifest: Manifest }): Promise<void> {
  const { path: name } = item
  switch (item.type) {
    case 'left-out':
      return void manifest.leftOut.push({ path: name, why: item.why })
    case 'folder':
      manifest.folders.push({ path: name })
      return packEmpty(pack, new Header({ path: `${name}/`, type: 'Directory', mode: 0o755, size: 0 }))
    case 'link':
      manifest.links.push({ path: name, target: item.target })
      return packEmpty(pack, new Header({ path: name, type: 'SymbolicLink', linkpath: item.target, mode: 0o777, size: 0 }))
    case 'file': {
      const read = await readInPieces(item.from, (opened, pieces) => packFile({ pack, name, opened, pieces }))
      if (read.type === 'used') manifest.files.push(read.result)
      else manifest.leftOut.push({ path: name, why: whyUnread(read) })
    }
  }
}

function whyUnread(unread: Unread): string {
  if (unread.type === 'gone') return 'it was removed meanwhile'
  return unread.type === 'refused' ? unread.why : damageOf(unread)
}

type Packing = { pack: Pack; name: string; opened: Opened; pieces: AsyncIterable<Buffer> }

/** A file that shrinks while it is read is filled up with zeros: how long it is was said before. */
async function packFile({ pack, name, opened, pieces }: Packing): Promise<Manifest['files'][number]> {
  const { bytes, mode, changedAtMs } = opened
  const entry = new ReadEntry(new Header({ path: name, type: 'File', mode, size: bytes, mtime: new Date(changedAtMs) }))
  pack.write(entry)
  const hash = createHash('sha256')
  const put = async (piece: Buffer) => {
    hash.update(piece)
    if (!entry.write(piece)) await new Promise<void>((resolve) => entry.once('drain', resolve))
  }
  let missing = bytes
  for await (const piece of pieces) {
    missing -= piece.length
    await put(piece)
  }
  for (; missing > 0; missing -= ZEROS.length) await put(ZEROS.subarray(0, missing))
  entry.end()
  return { path: name, bytes, sha256: hash.digest('hex') }
}

const ZEROS = Buffer.alloc(64 * 1024)

async function packText(pack: Pack, name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  const opened = { bytes: bytes.length, mode: 0o600, changedAtMs: Date.now() }
  await packFile({ pack, name, opened, pieces: Readable.from([bytes]) })
}

async function packEmpty(pack: Pack, header: Header): Promise<void> {
  const entry = new ReadEntry(header)
  pack.write(entry)
  entry.end()
}

function alreadyThere(file: string): AppError {
  const message = `${file} is there already, and is not replaced. Choose another name.`
  return new AppError({ code: 'input.exists', fault: 'user', message })
}

function failed(cause: unknown): AppError {
  const message = `No backup was made: ${errorText(cause)}`
  return new AppError({ code: 'backup.failed', fault: 'user', message, cause })
}
