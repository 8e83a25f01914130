import { createHash } from 'node:crypto'
import { lchownSync, mkdirSync, symlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { z } from 'zod'
import { type ContainerUser, containerUser } from '../../container/folders.ts'
import { AppError } from '../../domain/errors.ts'
import { POLICIES } from './contents.ts'
import { HEAD_NAME, type Head, head, MANIFEST_NAME, type Manifest, manifest } from './manifest.ts'
import { type ArchiveEntry, type BackupFile, readBackup } from './read-backup.ts'

const MOST_TEXT_BYTES = 1024 * 2 ** 20

/**
 * Unpacks a backup into a folder that is new and ours alone, and proves that it is whole: each file as the manifest says,
 * none besides. Throws `backup.damaged` else. No name leads out of the folder: every part is plain, and links come last.
 */
export async function unpack(backup: BackupFile, stage: string): Promise<{ head: Head; manifest: Manifest }> {
  const unpacking = new Unpacking(stage)
  await readBackup(backup, (entry) => unpacking.take(entry))
  return unpacking.finish()
}

class Unpacking {
  readonly #stage: string
  readonly #owner: ContainerUser | undefined
  readonly #files = new Map<string, string>()
  readonly #links = new Map<string, string>()
  readonly #folders = new Set<string>()
  #head: Head | undefined
  #manifest: Manifest | undefined

  constructor(stage: string) {
    this.#stage = stage
    const [uid, gid] = [process.getuid?.() ?? 1000, process.getgid?.() ?? 1000]
    this.#owner = uid === 0 ? containerUser({ uid, gid }) : undefined
  }

  async take(entry: ArchiveEntry): Promise<void> {
    if (entry.path === HEAD_NAME) this.#head = await parsed(entry, head)
    else if (entry.path === MANIFEST_NAME) this.#manifest = await parsed(entry, manifest)
    else await this.#place(entry)
  }

  finish(): { head: Head; manifest: Manifest } {
    const [first, list] = [this.#head, this.#manifest]
    if (!first || !list) throw damaged('it is cut off, or not a backup')
    const files = new Map(list.files.map(({ path: name, sha256 }) => [name, sha256]))
    const links = new Map(list.links.map(({ path: name, target }) => [name, target]))
    compare(this.#files, files)
    compare(this.#links, links)
    for (const [name, target] of links) this.#link(name, target)
    return { head: first, manifest: list }
  }

  async #place(entry: ArchiveEntry): Promise<void> {
    const parts = partsOf(entry.path)
    switch (entry.type) {
      case 'Directory':
        return this.#folder(parts)
      case 'SymbolicLink':
        if (!isAgents(parts.slice(0, -1))) throw damaged(`${entry.path} is a link where none can be`)
        return void this.#links.set(entry.path, entry.target ?? '')
      case 'File':
        if (this.#files.has(entry.path)) throw damaged(`${entry.path} is in it twice`)
        this.#folder(parts.slice(0, -1))
        return void this.#files.set(entry.path, await this.#file(parts, entry))
      default:
        throw damaged(`${entry.path} is neither a file nor a folder`)
    }
  }

  #folder(parts: readonly string[]): void {
    for (const [at] of parts.entries()) {
      const above = parts.slice(0, at + 1)
      const name = above.join('/')
      if (this.#folders.has(name)) continue
      mkdirSync(path.join(this.#stage, ...above), isPrivate(name) ? { mode: 0o700 } : {})
      this.#folders.add(name)
      this.#give(above)
    }
  }

  /** Returns what was really written. */
  async #file(parts: readonly string[], { mode, changedAt, pieces }: ArchiveEntry): Promise<string> {
    const hash = createHash('sha256')
    const file = await open(path.join(this.#stage, ...parts), 'wx', mode)
    try {
      for await (const piece of pieces) {
        hash.update(piece)
        await file.appendFile(piece)
      }
      if (this.#owner && isAgents(parts)) await file.chown(this.#owner.uid, this.#owner.gid)
      await file.chmod(mode)
      if (changedAt) await file.utimes(changedAt, changedAt)
      await file.sync()
    } finally {
      await file.close()
    }
    return hash.digest('hex')
  }

  #link(name: string, target: string): void {
    const parts = partsOf(name)
    this.#folder(parts.slice(0, -1))
    symlinkSync(target, path.join(this.#stage, ...parts))
    this.#give(parts)
  }

  /** A host that runs as root has containers work as another user. */
  #give(parts: readonly string[]): void {
    if (this.#owner && isAgents(parts)) lchownSync(path.join(this.#stage, ...parts), this.#owner.uid, this.#owner.gid)
  }
}

async function parsed<T>({ path: name, pieces }: ArchiveEntry, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    if (bytes > MOST_TEXT_BYTES) throw damaged(`${name} is too large`)
    chunks.push(Buffer.from(piece))
  }
  try {
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')))
  } catch (cause) {
    throw damaged(`${name} cannot be read; it may be of a newer NanoClaw`, cause)
  }
}

function compare(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): void {
  for (const [name, value] of wanted) {
    if (!found.has(name)) throw damaged(`${name} is missing`)
    if (found.get(name) !== value) throw damaged(`${name} is not as it was saved`)
  }
  for (const name of found.keys()) if (!wanted.has(name)) throw damaged(`${name} does not belong into it`)
}

/** Groups and sessions are the only places below the root where agents write. */
function isAgents([top, ...below]: readonly string[]): boolean {
  if (top !== 'root') return false
  return (below[0] === 'groups' && below.length > 1) || (below[0] === 'data' && below[1] === 'sessions' && below.length > 2)
}

/** The folders that the host closes to other users when it makes them. A backup tells no mode of a folder. */
const PRIVATE = [
  /^root\/store\/auth(\/|$)/,
  /^root\/data\/outgoing(\/|$)/,
  /^root\/data\/sessions\/[^/]+\/(isolated\/)?\.claude$/,
]

function isPrivate(name: string): boolean {
  return PRIVATE.some((place) => place.test(name))
}

const PLACES = [
  /^(root|policies|root\/data|root\/store)$/,
  /^root\/(\.env|data\/install-id|store\/messages\.db)$/,
  /^root\/(groups|store\/auth|data\/(outgoing|attachments|sessions))(\/|$)/,
  ...POLICIES.map((name) => new RegExp(`^policies/${name.replace('.', '\\.')}$`)),
]

/** A name in the archive as parts, each a plain name, together a place that a backup fills. */
function partsOf(name: string): string[] {
  const bare = name.replace(/\/$/, '')
  const parts = bare.split('/')
  const plain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
  if (!plain || !PLACES.some((place) => place.test(bare))) throw damaged(`${name} does not belong into it`)
  return parts
}

function damaged(why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'backup.damaged',
    fault: 'user',
    message: `The backup cannot be used: ${why}. Nothing was changed.`,
    cause,
  })
}
