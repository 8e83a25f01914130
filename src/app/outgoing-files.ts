import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { OutboundFile } from '../channels/contract.ts'
import { type HostFailure, hostFailure } from '../domain/host-failure.ts'
import { copyOut, type Place, type Refusal, type Unread } from '../hostile-tree.ts'

export type TakenFile = { type: 'taken'; file: OutboundFile; bytes: number }

/** More than this no chat platform takes everywhere. */
const MAX_FILE_BYTES = 50 * 1024 * 1024
const GROUP = '/workspace/group'
const FILES = '/workspace/ipc/files'

const MIME_TYPES = new Map(
  Object.entries({
    jpg: 'image/jpeg',
    jpeg: 'image/jpeg',
    png: 'image/png',
    gif: 'image/gif',
    webp: 'image/webp',
    mp4: 'video/mp4',
    mp3: 'audio/mpeg',
    ogg: 'audio/ogg',
    pdf: 'application/pdf',
    txt: 'text/plain',
    md: 'text/markdown',
    csv: 'text/csv',
    json: 'application/json',
    zip: 'application/zip',
  }),
)

/** Files that agents send: copies of ours in `data/outgoing`, which the agent cannot change any more. */
export class OutgoingFiles {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /** Copies a file that an agent names by its own path. What is not taken leaves no copy. */
  async take({ folder, path: named }: { folder: string; path: string }): Promise<TakenFile | Refusal | HostFailure> {
    const from = this.#place(folder, path.posix.resolve(GROUP, named))
    const name = from?.parts.at(-1)
    if (!from || name === undefined)
      return { type: 'refused', why: `only files in ${GROUP} and ${FILES} can be sent; copy it there` }
    const to = path.join(this.#root, 'data', 'outgoing', randomUUID(), name)
    const copied = await this.#copy(from, to)
    if (copied.type === 'copied')
      return { type: 'taken', file: { path: to, name, mimeType: mimeTypeOf(name) }, bytes: copied.bytes }
    this.#discard(to)
    return copied.type === 'gone' ? { type: 'refused', why: 'there is no such file' } : copied
  }

  /** Every problem with a folder of ours is the host's. */
  async #copy(from: Place, to: string): Promise<{ type: 'copied'; bytes: number } | Unread> {
    try {
      mkdirSync(path.dirname(to), { recursive: true, mode: 0o700 })
    } catch (error) {
      return hostFailure(error)
    }
    return copyOut(from, { to, maxBytes: MAX_FILE_BYTES })
  }

  #discard(copy: string): void {
    try {
      this.remove({ path: copy })
    } catch {
      // No delivery names it, so the next start removes it.
    }
  }

  /** At start: copies that no delivery names, because a crash came between the two, go away. */
  keepOnly(paths: readonly string[]): void {
    const kept = new Set(paths.map((file) => path.basename(path.dirname(file))))
    const folder = path.join(this.#root, 'data', 'outgoing')
    const names = existsSync(folder) ? readdirSync(folder) : []
    for (const name of names.filter((one) => !kept.has(one))) rmSync(path.join(folder, name), { recursive: true, force: true })
  }

  remove(file: Pick<OutboundFile, 'path'>): void {
    rmSync(path.dirname(file.path), { recursive: true, force: true })
  }

  /** Where on this machine what the agent sees under this path lies. */
  #place(folder: string, seen: string): { base: string; parts: string[] } | undefined {
    const partsBelow = (place: string) => seen.slice(place.length + 1).split('/')
    if (seen.startsWith(`${GROUP}/`)) return { base: path.join(this.#root, 'groups', folder), parts: partsBelow(GROUP) }
    if (!seen.startsWith(`${FILES}/`)) return undefined
    return { base: path.join(this.#root, 'data', 'ipc', folder, 'files'), parts: partsBelow(FILES) }
  }
}

function mimeTypeOf(name: string): string {
  return MIME_TYPES.get(path.extname(name).slice(1).toLowerCase()) ?? 'application/octet-stream'
}
