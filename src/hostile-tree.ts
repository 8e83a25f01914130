import { constants, type Dirent } from 'node:fs'
import { type FileHandle, lstat, open, opendir, readlink, realpath, unlink } from 'node:fs/promises'
import path from 'node:path'
import { errorText } from './domain/errors.ts'
import { HostError, type HostFailure, hostFailure } from './domain/host-failure.ts'

/**
 * The only way to read what an agent can write. It may be anything, and may change at any moment: nothing here follows a
 * link, waits for a pipe, believes a size or takes more than it was told to. Every step gives way to the event loop.
 *
 * What is not read is one of three things, and a caller must tell them apart: `refused`, `gone` and `host-failure`. An errno
 * that an agent can cause by what it lays there is a refusal; every other one is a failure of the host, and so is any error
 * after a file was opened.
 */

/** It is not what it may be, which is the agent's doing. `why` is in words that can follow its name. */
export type Refusal = { type: 'refused'; why: string }
/** It is not there, or not any more. */
export type Gone = { type: 'gone' }
export type Unread = Refusal | Gone | HostFailure

/** Something in a tree. `parts` is its path below the base; `allocated` is what it takes on the disk, less than `bytes` if sparse. */
export type Entry = { parts: readonly string[]; name: string } & (
  | { type: 'file'; bytes: number; allocated: number; changedAt: bigint }
  | { type: 'folder' }
  | { type: 'link'; target: string }
  | Refusal
  | HostFailure
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
 * say, which nobody followed. What goes while it is looked at does not come, and a base that is not there is empty. A folder
 * that cannot be listed comes with the reason after what was found in it; the base has no parts and no name. Never throws.
 */
export async function* walk(
  base: string,
  { maxEntries, deep = false, links = false }: { maxEntries: number; deep?: boolean; links?: boolean },
): AsyncGenerator<Entry> {
  const folder = await holdBase(base).catch(unreadBy)
  if ('handle' in folder) yield* walkHeld({ folder, parts: [], how: { deep, links }, left: { entries: maxEntries } })
  else yield* told(folder, { parts: [], name: '' })
}

/** As an entry; what is gone is none. */
function* told(unread: Unread, at: { parts: readonly string[]; name: string }): Generator<Entry> {
  if (unread.type !== 'gone') yield { ...at, ...unread }
}

type How = { deep: boolean; links: boolean }
type Walk = { folder: HeldFolder; parts: readonly string[]; how: How; left: { entries: number } }

async function* walkHeld({ folder, parts, how, left }: Walk): AsyncGenerator<Entry> {
  try {
    for await (const { name } of (await opendir(folder.at)) as AsyncIterable<Dirent>) {
      if (left.entries-- <= 0) return
      const entry = await look(folder, { name, parts: [...parts, name], links: how.links })
      if (!entry) continue
      yield entry
      if (entry.type === 'folder' && how.deep && parts.length < MAX_DEPTH) yield* walkBelow({ folder, entry, how, left })
    }
  } catch (error) {
    yield* told(unreadBy(error), { parts, name: parts.at(-1) ?? '' })
  } finally {
    await close(folder.handle)
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
  // It was a folder a moment ago: it may be closed to us, or swapped.
  const below = await hold(folder, entry.name).catch(unreadBy)
  if ('handle' in below) yield* walkHeld({ folder: below, parts: entry.parts, how, left })
  else yield* told(below, { parts: entry.parts, name: entry.name })
}

type Looked = { name: string; parts: readonly string[]; links: boolean }

/** Undefined when it is gone. */
async function look(folder: HeldFolder, { name, parts, links }: Looked): Promise<Entry | undefined> {
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
    const [entry] = told(unreadBy(error), { parts, name })
    return entry
  }
}

/**
 * `over`: it takes more than the limit, goes deeper than anybody counts, or is closed to us, which could hide anything. A
 * failure of the host says nothing about the tree.
 */
export type Measure = { bytes: number; entries: number } | 'over' | HostFailure

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
    const unread = unreadBy(error)
    return unread.type === 'host-failure' ? unread : 'over'
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
    await close(folder.handle)
  }
}

/** Reads a whole file of at most `maxBytes`. */
export async function readWhole(from: Place, maxBytes: number): Promise<Contents | Unread> {
  return withFile(from, async (file) => {
    const { ino, mtimeNs } = await file.stat({ bigint: true })
    const pieces: Buffer[] = []
    const ended = await pump(file, { maxBytes, take: async (piece) => void pieces.push(Buffer.from(piece)) })
    return ended ?? { type: 'read', bytes: Buffer.concat(pieces), version: `${ino}-${mtimeNs}` }
  })
}

/**
 * Copies a file of at most `maxBytes` to a new one of ours, which is complete on the disk when this resolves to `copied`. What
 * goes wrong with the copy is a failure of the host, unless it is the name, which is the agent's.
 */
export async function copyOut(
  from: Place,
  { to, maxBytes }: { to: string; maxBytes: number },
): Promise<{ type: 'copied'; bytes: number } | Unread> {
  return withFile(from, async (file) => {
    const copy = await open(to, 'wx', 0o600).catch(nameRefused)
    if ('why' in copy) return copy
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

/** Gives `use` a file and its bytes, of which there may come fewer than it said, but never more. Rejects with what `use` throws. */
export async function readInPieces<T>(
  from: Place,
  use: (file: Opened, pieces: AsyncIterable<Buffer>) => Promise<T>,
): Promise<{ type: 'used'; result: T } | Unread> {
  let result: { value: T } | undefined
  let thrown: unknown
  const read = await withFile(from, async (file) => {
    const { size, mode, mtimeMs } = await file.stat()
    const opened = { bytes: size, mode: mode & 0o777, changedAtMs: mtimeMs }
    try {
      result = { value: await use(opened, piecesOf(file, size)) }
    } catch (error) {
      if (error instanceof HostError) throw error
      thrown = error
    }
    return undefined
  })
  if (read) return read
  if (!result) throw thrown
  return { type: 'used', result: result.value }
}

/** A read that fails throws a `HostError`, which tells it from what the reader of the pieces throws. */
async function* piecesOf(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  for (let total = 0; total < bytes; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytes - total))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, total).catch((error) => {
      throw new HostError(error)
    })
    if (bytesRead === 0) return
    total += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

/**
 * Removes one name, whatever it stands for; a folder is refused, and so is a name in a folder that is closed to us. `base`
 * itself must be a folder that no agent can swap. Never rejects.
 */
export async function removeName(base: string, name: string): Promise<{ type: 'removed' } | Unread> {
  try {
    await unlink(path.join(base, name))
    return { type: 'removed' }
  } catch (error) {
    return unreadBy(error)
  }
}

/** Gives a file to `use`, if it is one that may be read. What `use` throws is a failure of the host: the file is open by then. */
async function withFile<T>(place: Place, use: (file: FileHandle) => Promise<T | Refusal>): Promise<T | Unread> {
  const file = await openPlain(place)
  if ('type' in file) return file
  try {
    const problem = fileProblem(await file.stat())
    return problem === undefined ? await use(file) : refused(problem)
  } catch (error) {
    return hostFailure(error)
  } finally {
    await close(file)
  }
}

async function openPlain({ base, parts }: Place): Promise<FileHandle | Unread> {
  const name = parts.at(-1)
  if (name === undefined) return refused('it is a folder')
  const why = parts.map(nameProblem).find((problem) => problem !== undefined)
  if (why !== undefined) return refused(why)
  const held: HeldFolder[] = []
  try {
    held.push(await holdBase(base))
    for (const part of parts.slice(0, -1)) held.push(await hold(last(held), part))
    return await open(`${last(held).at}/${name}`, PLAIN_FILE | NO_LINKS)
  } catch (error) {
    return unreadBy(error)
  } finally {
    for (const { handle } of held) await close(handle)
  }
}

/** Nothing was written by it, so nothing can be lost when this fails. */
async function close(handle: FileHandle): Promise<void> {
  await handle.close().catch(() => {})
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

/** What lies above a base is the host's own, and so is every problem with it. */
async function holdBase(base: string): Promise<HeldFolder> {
  const above = await realpath(path.dirname(base)).catch((cause) => {
    throw codeOf(cause) === 'ENOENT' ? cause : new HostsOwn(errorText(cause), { cause })
  })
  return holdAt(path.join(above, path.basename(base)))
}

class HostsOwn extends Error {}

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

/** What an agent can make us run into with a name of its own, by errno. Everything else is no fault of what lies there. */
const REFUSED = new Map<string, string>([
  ['ELOOP', 'it, or a folder above it, is a link or not a folder'],
  ['ENOTDIR', 'it, or a folder above it, is a link or not a folder'],
  ['EISDIR', 'it is a folder'],
  // A socket, or a device that is not there; by the system, one of them.
  ['ENXIO', 'it is not a plain file'],
  ['ENODEV', 'it is not a plain file'],
  ['EOPNOTSUPP', 'it is not a plain file'],
  // Its mode, or a flag such as immutable.
  ['EACCES', 'it, or a folder above it, is closed to NanoClaw'],
  ['EPERM', 'it, or a folder above it, is closed to NanoClaw'],
  // A lease on it: its holder is asked to give it up, and need not hurry.
  ['EAGAIN', 'another program keeps it locked'],
  ['ETXTBSY', 'another program keeps it locked'],
  ['ENAMETOOLONG', 'its name is too long'],
  ['EINVAL', 'its name cannot be used on this system'],
  ['EILSEQ', 'its name cannot be used on this system'],
])

/** The one thing about a file of our own that is not: how it is called. */
function nameRefused(error: unknown): Refusal {
  const code = codeOf(error) ?? ''
  if (!['ENAMETOOLONG', 'EINVAL', 'EILSEQ'].includes(code)) throw error
  return refused(REFUSED.get(code) ?? '')
}

/** What an error of the system, while something is looked for or opened, says about what was to be read. */
function unreadBy(error: unknown): Unread {
  const code = codeOf(error) ?? ''
  if (code === 'ENOENT') return { type: 'gone' }
  const why = REFUSED.get(code)
  return why === undefined ? hostFailure(error) : refused(why)
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
