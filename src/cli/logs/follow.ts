import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import path from 'node:path'

const CHUNK_BYTES = 64 * 1024
/** Behind the events of the system, which not every file system has. */
const LOOK_AGAIN_MS = 1_000

/**
 * What is written to a file from a place in it on, until `signal` aborts. A file that is renamed and begun anew (our own
 * rotation) is read to its end, then the new one from its beginning; so is one that was emptied, or is yet to come.
 */
export async function* follow(file: string, { from, signal }: { from: number; signal: AbortSignal }): AsyncGenerator<Buffer> {
  const changes = new Changes(path.dirname(file), signal)
  let at = from
  try {
    while (!signal.aborted) {
      const handle = await open(file, 'r').catch(nothingYet)
      if (handle) {
        yield* readOn({ handle, file, from: at, changes, signal })
        at = 0
      } else await changes.next()
    }
  } finally {
    changes.close()
  }
}

type Reading = { handle: FileHandle; file: string; from: number; changes: Changes; signal: AbortSignal }

/** Ends when another file has this one's name, and this one is read. */
async function* readOn({ handle, file, from, changes, signal }: Reading): AsyncGenerator<Buffer> {
  let at = from
  try {
    while (!signal.aborted) {
      const isReplaced = await wasReplaced(handle, file)
      if ((await handle.stat()).size < at) at = 0
      for (let chunk = await readAt(handle, at); chunk.length > 0; chunk = await readAt(handle, at)) {
        at += chunk.length
        yield chunk
      }
      if (isReplaced) return
      await changes.next()
    }
  } finally {
    await handle.close()
  }
}

async function readAt(handle: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position)
  return buffer.subarray(0, bytesRead)
}

async function wasReplaced(handle: FileHandle, file: string): Promise<boolean> {
  const [ours, theirs] = await Promise.all([handle.stat(), stat(file).catch(nothingYet)])
  return theirs !== undefined && theirs.ino !== ours.ino
}

function nothingYet(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Something may have happened in a folder, as far as the system tells; else after a second. */
class Changes {
  readonly #signal: AbortSignal
  #watcher: FSWatcher | undefined
  #wake: () => void = () => {}
  #missed = false

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
    try {
      this.#watcher = watch(folder, () => this.#notice())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      this.#watcher = undefined // without it, the timer is enough
    }
  }

  /** Resolves at once for what came since the last time. */
  async next(): Promise<void> {
    if (!this.#missed && !this.#signal.aborted)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    this.#missed = false
  }

  close(): void {
    this.#watcher?.close()
  }

  #notice(): void {
    this.#missed = true
    this.#wake()
  }
}
