import { closeSync, constants, lstatSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { AppError, errorText } from '../domain/errors.ts'
import { neutralised } from '../domain/neutral-text.ts'

/** Bytes kept of one run; a container that prints more has the rest counted, not kept. */
const MAX_BYTES = 4 * 1024 * 1024

type RunLogParts = {
  folder: string
  at: Date
  redact: (text: string) => string
  /** Hears every line of stderr that is kept, as it comes. */
  onStderr?: (text: string) => void
}

/**
 * The log of one container run: `groups/{folder}/logs/container-YYYYMMDD-HHMMSS.log`, without secrets, and without anything that
 * could drive the terminal it is read in. Only `create` throws: a disk that fails must not end the run, because the answer
 * matters more than its log, which says what it lacks.
 */
export class RunLog {
  readonly #file: number | undefined
  /** Takes secrets out of whatever comes from the container, for this log and for everybody else. */
  readonly redact: (text: string) => string
  readonly #onStderr: (text: string) => void
  #bytes = 0
  #dropped = 0
  /** Bytes that could not be written since the last that could, and why. */
  #lost = 0
  #why = ''
  #closed = false

  private constructor(file: number | undefined, { redact, onStderr = () => {} }: Pick<RunLogParts, 'redact' | 'onStderr'>) {
    this.#file = file
    this.redact = redact
    this.#onStderr = onStderr
  }

  /** Keeps nothing; who listens still hears the lines. */
  static unkept(parts: Omit<RunLogParts, 'folder' | 'at'>): RunLog {
    return new RunLog(undefined, parts)
  }

  /** Creates a new file, never following or reusing what an agent may have put there. */
  static create({ folder, at, ...parts }: RunLogParts): RunLog {
    if (!lstatSync(folder).isDirectory()) {
      throw new AppError({
        code: 'log.unsafe',
        fault: 'agent',
        message: `${folder} is not a folder; remove it, the next run makes it anew.`,
      })
    }
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    for (let n = 1; ; n++) {
      try {
        const name = `container-${timestamp(at)}${n === 1 ? '' : `-${n}`}.log`
        return new RunLog(openSync(path.join(folder, name), flags, 0o600), parts)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || n >= 1_000) throw error
      }
    }
  }

  /** One titled block, e.g. the input or the mounts. */
  section(title: string, text: string): void {
    this.#write(`=== ${title} ===\n${text}\n`)
  }

  /** One line the container printed, or that tells where it went. */
  line(source: 'stdout' | 'stderr' | 'egress', text: string): void {
    this.#write(`[${source}] ${neutralised(text).replaceAll('\n', ' ')}\n`)
    if (source === 'stderr' && this.#dropped === 0) this.#onStderr(text)
  }

  close(ending: string): void {
    if (this.#closed) return
    if (this.#dropped > 0) this.#put(`=== ${this.#dropped} bytes more were printed and not kept ===\n`)
    this.#put(`=== ended: ${ending} ===\n`)
    this.#closed = true
    try {
      if (this.#file !== undefined) closeSync(this.#file)
    } catch {
      // Whatever the disk says now, there is no log left to write it to.
    }
  }

  #write(text: string): void {
    if (this.#closed) return
    const bytes = Buffer.byteLength(text)
    if (this.#bytes + bytes > MAX_BYTES) this.#dropped += bytes
    else {
      this.#bytes += bytes
      this.#put(text)
    }
  }

  /** In this order: a secret must not be hidden by what is taken out of it. */
  #harmless(text: string): string {
    return this.redact(neutralised(text))
  }

  #put(text: string): void {
    if (this.#file === undefined) return
    try {
      if (this.#lost > 0) writeWhole(this.#file, `\n=== ${this.#lost} bytes were lost here: ${this.#why} ===\n`)
      this.#lost = 0
      writeWhole(this.#file, this.#harmless(text))
    } catch (error) {
      this.#lost += Buffer.byteLength(text)
      this.#why = (error as NodeJS.ErrnoException).code ?? errorText(error)
    }
  }
}

/** A disk that is nearly full takes a part. */
function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

/** `20260131-140509`, local time, as the guides show it. */
export function timestamp(at: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
}
