import { constants, type Dirent } from 'node:fs'
import { type FileHandle, lstat, open, opendir, readlink, realpath, unlink } from 'node:fs/promises'
import path from 'node:path'
import { errorText } from './domain/errors.ts'

/**
 * The only way to read what an agent can write. It may be anything, and may change at any moment: nothing here follows a
 * link, waits for a pipe, believes a size or takes more than it was told to. Every step gives way to the event loop.
 */

/** Why something is left alone, in words that can follow its name. */
export type Refusal = { type: 'refused'; why: string }

/** Something in a tree. `parts` is its path below the base; `allocated` is what it takes on the disk, less than `bytes` if sparse. */
export type Entry = { parts: readonly string[]; name: string } & (
  | { type: 'file'; bytes: number; allocated: number; changedAt: bigint }
  | { type: 'folder' }
  | { type: 'link'; target: string }
  | Refusal
)

/** A file's bytes, and a name for this very version of it. */
export type Contents = { type: 'read'; bytes: Buffer; version: string }

export type Place = { base: string; parts: readonly string[] }
/** A folder that is held open. What is opened by `at` is in this folder, even if it is swapped for a link meanwhile. */
type HeldFolder = { handle: FileHandle; at: string }

const PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const BLOCK_BYTES = 512
const CHUNK_BYTES = 256 * 1024
/** Each level holds a folder open. */
export const MAX_DEPTH = 32
/** Linux reaches a held folder by its descriptor; macOS refuses links at every level of a path by this flag (O_NOFOLLOW_ANY). */
const BY_DESCRIPTOR = process.platform === 'linux'
const NO_LINKS = BY_DESCRIPTOR ? 0 : 0x2000_0000

/**
 * What lies in a folder, and with `deep` below it, in no order: at most `maxEntries`. What is neither a folder nor a
 * plain file with one name, or has a name that is not plain, comes as refused; with `links`, links come with what they
 * say, which nobody followed. A base that is not there is empty.
 */
export async function* walk(
  base: string,
  { maxEntries, deep = false, links = false }: { maxEntries: number; deep?: boolean; links?: boolean },
): AsyncGenerator<Entry> {
  const folder = await holdBase(base).catch(nothingThere)
  if (folder) yield* walkHeld({ folder, parts: [], how: { deep, links }, left: { entries: maxEntries } })
}

type How = { deep: boolean; links: boolean }
type Walk = { folder: HeldFolder; parts: readonly string[]; how: How; left: { entries: number } }

async function* walkHeld({ folder, parts, how, left }: Walk): AsyncGenerator<Entry> {
  try {
    for await (const { name } of (await opendir(folder.at)) as AsyncIterable<Dirent>) {
      if (left.entries-- <= 0) return
      const entry = await look(folder, { name, parts: [...parts, name], links: how.links })
      yield entry
      if (entry.type === 'folder' && how.deep && parts.length < MAX_DEPTH) yield* walkBelow({ folder, entry, how, left })
    }
  } finally {
    await folder.handle.close()
  }
}

async function* walkBelow({
  folder,
  entry,
  how,
  left,
}: {
  folder: HeldFolder
  entry: Entry
  how: How
  left: Walk['left']
}): AsyncGenerator<Entry> {
  const below = await hold(folder, entry.name).catch((error) => refused(openProblem(error)))
  // It was a folder a moment ago: closed to us, or swapped.
  if ('why' in below) yield { parts: entry.parts, name: entry.name, ...below }
  else yield* walkHeld({ folder: below, parts: entry.parts, how, left })
}

type Looked = { name: string; parts: readonly string[]; links: boolean }

async function look(folder: HeldFolder, { name, parts, links }: Looked): Promise<Entry> {
  try {
    const at = `${folder.at}/${name}`
    const stat = await lstat(at, { bigint: true })
    const plainLink = links && stat.isSymbolicLink() && nameProblem(name) === undefined
    if (plainLink) return { parts, name, type: 'link', target: await readlink(at) }
    const why = nameProblem(name) ?? (stat.isDirectory() ? undefined : fileProblem(stat))
    if (why !== undefined) return { parts, name, ...refused(why) }
    if (stat.isDirectory()) return { parts, name, type: 'folder' }
    const [bytes, allocated] = [Number(stat.size), Number(stat.blocks) * BLOCK_BYTES]
    return { parts, name, type: 'file', bytes, allocated, changedAt: stat.mtimeNs }
  } catch (error) {
    return { parts, name, ...refused(errorText(error)) }
  }
}

/** `over`: it takes more than the limit, goes deeper than anybody counts, or is closed to us, which could hide anything. */
export type Measure = { bytes: number; entries: number } | 'over'

/**
 * What a tree takes on the disk: blocks, not sizes, and each name of a file with several, so that nothing can hide. What
 * lies in `logs` at its top is the host's own. Ends as soon as a limit is passed.
 */
export async function measure(base: string, limits: { bytes: number; entries: number }): Promise<Measure> {
  const total = { bytes: 0, entries: 0 }
  try {
    const folder = await holdBase(base).catch(nothingThere)
    const within = folder === undefined || (await measureHeld({ folder, depth: 0, total, limits }))
    return within ? total : 'over'
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error
    return 'over'
  }
}

type Measuring = {
  folder: HeldFolder
  depth: number
  total: { bytes: number; entries: number }
  limits: { bytes: number; entries: number }
}

/** False when there is too much. */
async function measureHeld({ folder, depth, total, limits }: Measuring): Promise<boolean> {
  try {
    for await (const { name } of (await opendir(folder.at)) as AsyncIterable<Dirent>) {
      if (depth === 0 && name === 'logs') continue
      const stat = await lstat(`${folder.at}/${name}`).catch(nothingThere)
      total.entries++
      total.bytes += (stat?.blocks ?? 0) * BLOCK_BYTES
      if (total.entries > limits.entries || total.bytes > limits.bytes) return false
      if (!stat?.isDirectory()) continue
      if (depth >= MAX_DEPTH) return false
      const below = await hold(folder, name).catch(noFolderByNow)
      if (below && !(await measureHeld({ folder: below, depth: depth + 1, total, limits }))) return false
    }
    return true
  } finally {
    await folder.handle.close()
  }
}

/** Reads a whole file of at most `maxBytes`. */
export async function readWhole({ base, parts }: Place, maxBytes: number): Promise<Contents | Refusal> {
  return withFile({ base, parts }, async (file) => {
    const { ino, mtimeNs } = await file.stat({ bigint: true })
    const pieces: Buffer[] = []
    const ended = await pump(file, { maxBytes, take: async (piece) => void pieces.push(Buffer.from(piece)) })
    return ended ?? { type: 'read', bytes: Buffer.concat(pieces), version: `${ino}-${mtimeNs}` }
  })
}

/** Copies a file of at most `maxBytes` to a new one of ours, which is complete on the disk when this resolves to `copied`. */
export async function copyOut(
  from: Place,
  { to, maxBytes }: { to: string; maxBytes: number },
): Promise<{ type: 'copied'; bytes: number } | Refusal> {
  return withFile(from, async (file) => {
    const copy = await open(to, 'wx', 0o600)
    try {
      let bytes = 0
      const ended = await pump(file, {
        maxBytes,
        take: async (piece) => {
          await copy.appendFile(piece)
          bytes += piece.length
        },
      })
      await copy.sync()
      return ended ?? { type: 'copied', bytes }
    } finally {
      await copy.close()
    }
  })
}

/** What a file is when it is opened; it may be another one by then than when it was looked at. */
export type Opened = { bytes: number; mode: number; changedAtMs: number }

/** Gives `use` a file and its bytes, of which there may come fewer than it said, but never more. */
export async function readInPieces<T>(
  from: Place,
  use: (file: Opened, pieces: AsyncIterable<Buffer>) => Promise<T>,
): Promise<{ type: 'used'; result: T } | Refusal> {
  return withFile(from, async (file) => {
    const { size, mode, mtimeMs } = await file.stat()
    const opened = { bytes: size, mode: mode & 0o777, changedAtMs: mtimeMs }
    return { type: 'used', result: await use(opened, piecesOf(file, size)) }
  })
}

async function* piecesOf(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  for (let total = 0; total < bytes; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytes - total))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, total)
    if (bytesRead === 0) return
    total += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

/** Removes one name, whatever it stands for; a folder is refused. `base` itself must be a folder that no agent can swap. */
export async function removeName(base: string, name: string): Promise<void> {
  await unlink(path.join(base, name)).catch((error) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Gives a file to `use`, if it is one that may be read. */
async function withFile<T>({ base, parts }: Place, use: (file: FileHandle) => Promise<T | Refusal>): Promise<T | Refusal> {
  const name = parts.at(-1)
  const why = name === undefined ? 'it is a folder' : parts.map(nameProblem).find((problem) => problem !== undefined)
  if (name === undefined || why !== undefined) return refused(why ?? '')
  const held: HeldFolder[] = []
  try {
    held.push(await holdBase(base))
    for (const part of parts.slice(0, -1)) held.push(await hold(last(held), part))
    const file = await open(`${last(held).at}/${name}`, PLAIN_FILE | NO_LINKS)
    try {
      const problem = fileProblem(await file.stat())
      return problem === undefined ? await use(file) : refused(problem)
    } finally {
      await file.close()
    }
  } catch (error) {
    return refused(openProblem(error))
  } finally {
    for (const { handle } of held) await handle.close()
  }
}

function last(held: readonly HeldFolder[]): HeldFolder {
  const folder = held.at(-1)
  if (!folder) throw new Error('no folder is held')
  return folder
}

/** Hands the file on piece by piece. A size can lie and grow, so what counts is what was read. */
async function pump(
  file: FileHandle,
  { maxBytes, take }: { maxBytes: number; take: (piece: Buffer) => Promise<void> },
): Promise<Refusal | undefined> {
  const tooLarge = refused(`it is larger than ${maxBytes} bytes`)
  if ((await file.stat()).size > maxBytes) return tooLarge
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let total = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, total)
    if (bytesRead === 0) return undefined
    total += bytesRead
    if (total > maxBytes) return tooLarge
    await take(chunk.subarray(0, bytesRead))
  }
}

async function holdBase(base: string): Promise<HeldFolder> {
  return holdAt(path.join(await realpath(path.dirname(base)), path.basename(base)))
}

function hold(folder: HeldFolder, name: string): Promise<HeldFolder> {
  return holdAt(`${folder.at}/${name}`)
}

async function holdAt(at: string): Promise<HeldFolder> {
  const handle = await open(at, PLAIN_FILE | NO_LINKS | constants.O_DIRECTORY)
  return { handle, at: BY_DESCRIPTOR ? `/proc/self/fd/${handle.fd}` : at }
}

function nameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) return 'its name is not a plain name'
  return /[\p{Cc}\ufffd]/u.test(name) ? 'its name has characters that cannot be shown' : undefined
}

type Kind = { isFile(): boolean; isSymbolicLink(): boolean; isDirectory(): boolean; nlink: number | bigint }

function fileProblem(stat: Kind): string | undefined {
  if (stat.isSymbolicLink()) return 'it is a link'
  if (stat.isDirectory()) return 'it is a folder'
  if (!stat.isFile()) return 'it is not a plain file'
  return Number(stat.nlink) === 1 ? undefined : 'it is a file with several names'
}

function openProblem(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOENT':
      return 'there is no such file'
    case 'ELOOP':
    case 'ENOTDIR':
      return 'it, or a folder above it, is a link or not a folder'
    case 'ENXIO':
      return 'it is not a plain file'
    default:
      return errorText(error)
  }
}

function nothingThere(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

/** It was a folder a moment ago: gone, or swapped for a link or a file. */
function noFolderByNow(error: unknown): undefined {
  if (!['ENOENT', 'ELOOP', 'ENOTDIR'].includes(codeOf(error) ?? '')) throw error
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

function refused(why: string): Refusal {
  return { type: 'refused', why }
}
