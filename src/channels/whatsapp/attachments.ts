import { createHash } from 'node:crypto'
import { createWriteStream, type Stats } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError, errorText } from '../../domain/errors.ts'
import { type Media, type MediaKind, plain } from './content.ts'
import { type FileType, fileTypeOf, HEAD_BYTES } from './file-type.ts'
import type { ChannelLog } from './ports.ts'

/** One file may have so many bytes, all of a root's attachments together so many; then the oldest go. */
export type AttachmentLimits = { fileBytes: number; totalBytes: number; timeoutMs: number }
export const ATTACHMENT_LIMITS: AttachmentLimits = { fileBytes: 100 * 2 ** 20, totalBytes: 2 * 2 ** 30, timeoutMs: 120_000 }

/** Where the group's container sees them. */
const SEEN_AT = '/workspace/attachments'

const WORDS: Record<MediaKind, string> = {
  image: 'Image',
  video: 'Video',
  audio: 'Audio',
  voice: 'Voice note',
  document: 'Document',
  sticker: 'Sticker',
}

/** What a file is called until all of it is there. */
const PARTIAL = '.partial'

/** A file that is to be fetched, and what its content must hash to. */
export type Incoming = {
  folder: string
  message: string
  media: Media
  sha256: Uint8Array | undefined
  signal: AbortSignal
  fetch(): Promise<Readable>
}

/** `Image: /workspace/attachments/3A../image.jpg, image/jpeg, 12 KB`, or why there is no file. */
export type Kept = { about: string; file: string | undefined }

type AttachmentParts = { root: string; log: Pick<ChannelLog, 'warn'>; limits?: AttachmentLimits }
type Download = Pick<Incoming, 'sha256' | 'fetch' | 'signal'> & { partial: string }

/** Keeps what people send, a folder for each message, and says where it is in words for the agent. */
export class Attachments {
  readonly #root: string
  readonly #limits: AttachmentLimits
  readonly #log: Pick<ChannelLog, 'warn'>
  #lastKeptAt = 0
  #tidying = Promise.resolve()
  #nextTidying: Promise<void> | undefined

  constructor({ root, log, limits = ATTACHMENT_LIMITS }: AttachmentParts) {
    this.#root = root
    this.#log = log
    this.#limits = limits
  }

  /** Rejects only when `signal` aborts. */
  async keep(incoming: Incoming): Promise<Kept> {
    const { media } = incoming
    const what = labelOf(media)
    try {
      if (media.bytes > this.#limits.fileBytes) throw tooLarge(this.#limits.fileBytes)
      const kept = await this.#store(incoming)
      await this.#tidy()
      return { about: `${what}: ${SEEN_AT}/${kept.path}, ${kept.type.mimeType}, ${size(kept.bytes)}`, file: kept.file }
    } catch (error) {
      incoming.signal.throwIfAborted()
      const name = media.name === undefined ? '' : ` ${safeName(media.name)}`
      return { about: `${what}${name}: it could not be downloaded, ${plain(errorText(error))}`, file: undefined }
    }
  }

  async #store({ folder, message, media, ...source }: Incoming) {
    const target = path.join(this.#root, safeName(folder), safeName(message))
    await mkdir(target, { recursive: true, mode: 0o755 })
    const partial = path.join(target, PARTIAL)
    try {
      const bytes = await this.#download({ partial, ...source })
      const type = await typeOf(partial)
      const name = nameFor(media, type)
      await this.#date(partial)
      const file = path.join(target, name)
      await rename(partial, file)
      return { file, path: `${safeName(message)}/${name}`, bytes, type }
    } catch (error) {
      await rm(target, { recursive: true, force: true })
      throw error
    }
  }

  /** Dates of file systems are coarse, so files that come together may have one; ours tell which came first. */
  async #date(file: string): Promise<void> {
    this.#lastKeptAt = Math.max(Date.now(), this.#lastKeptAt + 1)
    await utimes(file, this.#lastKeptAt / 1_000, this.#lastKeptAt / 1_000)
  }

  async #download({ partial, sha256, fetch, signal: stopped }: Download): Promise<number> {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(this.#limits.timeoutMs)])
    const hash = createHash('sha256')
    let bytes = 0
    const count = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.length
        hash.update(chunk)
        done(bytes > this.#limits.fileBytes ? tooLarge(this.#limits.fileBytes) : null, chunk)
      },
    })
    const source = await inTime(fetch(), signal)
    await pipeline(source, count, createWriteStream(partial, { mode: 0o644, flush: true }), { signal })
    if (sha256 && !hash.digest().equals(sha256)) throw problem('what came is not what was sent')
    return bytes
  }

  /** One at a time; that which has not begun yet serves all who wait for it. What it fails to remove, a later one removes. */
  #tidy(): Promise<void> {
    this.#nextTidying ??= this.#tidying.then(() => {
      this.#nextTidying = undefined
      this.#tidying = this.#makeRoom().catch((error) => {
        this.#log.warn(`WhatsApp: Old attachments could not be removed: ${errorText(error)}`)
      })
      return this.#tidying
    })
    return this.#nextTidying
  }

  /** Removes the oldest messages' folders until the rest fits. */
  async #makeRoom(): Promise<void> {
    const folders = await this.#messageFolders()
    let total = folders.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const { folder, bytes } of folders.sort((a, b) => a.at - b.at)) {
      if (total <= this.#limits.totalBytes) return
      await rm(folder, { recursive: true, force: true })
      total -= bytes
    }
  }

  async #messageFolders(): Promise<{ folder: string; bytes: number; at: number }[]> {
    const files = await readdir(this.#root, { recursive: true, withFileTypes: true })
    const folders = new Map<string, { folder: string; bytes: number; at: number }>()
    // A download that is under way, in any chat, is not to be counted yet, nor to be removed.
    for (const file of files.filter((entry) => entry.isFile() && entry.name !== PARTIAL)) {
      const found = await statOf(path.join(file.parentPath, file.name))
      if (!found) continue
      const known = folders.get(file.parentPath)
      folders.set(file.parentPath, { folder: file.parentPath, bytes: (known?.bytes ?? 0) + found.size, at: found.mtimeMs })
    }
    return [...folders.values()]
  }
}

/** `Image`, `Voice note of 3 s`. */
export function labelOf({ kind, seconds }: Media): string {
  return seconds === undefined ? WORDS[kind] : `${WORDS[kind]} of ${seconds} s`
}

/** Undefined for what has gone meanwhile. */
function statOf(file: string): Promise<Stats | undefined> {
  return stat(file).catch((error) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

async function typeOf(file: string): Promise<FileType> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(HEAD_BYTES), position: 0 })
    return fileTypeOf(buffer.subarray(0, bytesRead))
  } finally {
    await handle.close()
  }
}

/** A document keeps its name; anything else is named for what it is. */
function nameFor({ kind, name }: Media, { extension }: FileType): string {
  return name === undefined ? `${kind}.${extension}` : safeName(name)
}

const LONGEST_NAME = 100

/** A plain file name on every system: no folders, nothing hidden, nothing that a shell or a prompt could stumble over. */
export function safeName(name: string): string {
  const base = name.normalize('NFC').split(/[\\/]/).at(-1) ?? ''
  const plain = base.replace(/[^\p{L}\p{N}._ ()+@=-]/gu, '_').replace(/^[. ]+/, '')
  const dot = plain.lastIndexOf('.')
  const extension = dot > 0 ? plain.slice(dot).slice(0, 20) : ''
  const stem = (dot > 0 ? plain.slice(0, dot) : plain).slice(0, LONGEST_NAME - extension.length)
  return `${stem}${extension}`.trim().toWellFormed() || 'file'
}

function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

function tooLarge(limit: number): AppError {
  return problem(`it has more than ${size(limit)}`)
}

function problem(message: string): AppError {
  return new AppError({ code: 'whatsapp.media', fault: 'user', message })
}

function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(problem('it took too long')), { once: true })
    work.then(resolve, reject)
  })
}
