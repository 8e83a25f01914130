import { closeSync, constants, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import { errorText } from './domain/errors.ts'

/** How large and old a log may get until another is begun, and what of the former ones stays. */
export type LogLimits = { fileBytes: number; fileAgeMs: number; keep: KeepLimits }
export type KeepLimits = { files: number; bytes: number; ageMs: number }

const MB = 2 ** 20
const DAY_MS = 86_400_000
export const MAIN_LOG: LogLimits = {
  fileBytes: 10 * MB,
  fileAgeMs: 7 * DAY_MS,
  keep: { files: 50, bytes: 100 * MB, ageMs: 90 * DAY_MS },
}
export const ERROR_LOG: LogLimits = {
  fileBytes: 5 * MB,
  fileAgeMs: 30 * DAY_MS,
  keep: { files: 20, bytes: 20 * MB, ageMs: 365 * DAY_MS },
}

export type KeptFile = { name: string; bytes: number; changedAt: number }

/** What is too much: the oldest go first, and the newest stays, however large and old it is. */
export function surplus(files: readonly KeptFile[], { keep, now }: { keep: KeepLimits; now: number }): string[] {
  const newestFirst = files.toSorted((a, b) => b.changedAt - a.changedAt || b.name.localeCompare(a.name))
  let bytes = 0
  return newestFirst.flatMap((file, at) => {
    bytes += file.bytes
    const kept = at === 0 || (at < keep.files && bytes <= keep.bytes && now - file.changedAt <= keep.ageMs)
    return kept ? [] : [file.name]
  })
}

/** Between two tries to begin a log anew that could not be. */
const BEGIN_AGAIN_MS = 60_000

/** A log of the host's own: when it is large or old it is renamed to `NAME.YYYYMMDD-HHMMSS.log` and begun anew. */
export class LogFile {
  readonly #file: string
  readonly #limits: LogLimits
  readonly #now: () => number
  #descriptor: number
  #bytes: number
  #begun: number
  /** Until then no other one is begun, since that failed. */
  #restsUntil = 0
  /** The last line could be written in part only. */
  #torn = false
  #closed = false

  private constructor({ file, limits, now }: { file: string; limits: LogLimits; now: () => number }) {
    this.#file = file
    this.#limits = limits
    this.#now = now
    this.#descriptor = openToAppend(file)
    const { size, birthtimeMs } = fstatSync(this.#descriptor)
    this.#bytes = size
    this.#begun = size === 0 ? now() : birthtimeMs
  }

  /** Rejects links: what stands behind one is not ours to write. */
  static open(file: string, limits: LogLimits, now: () => number = Date.now): LogFile {
    return new LogFile({ file, limits, now })
  }

  /** Throws whatever the disk says. Returns what else went wrong, once: a log that cannot be begun anew goes on as it is. */
  write(text: string): string | undefined {
    if (this.#closed) throw new Error('the log is closed')
    const bytes = Buffer.byteLength(text)
    const { fileBytes, fileAgeMs } = this.#limits
    const isDue = this.#bytes + bytes > fileBytes || this.#now() - this.#begun > fileAgeMs
    const trouble = isDue && this.#bytes > 0 && this.#now() >= this.#restsUntil ? this.#tryToBeginAnew() : undefined
    this.#append(this.#torn ? `\n${text}` : text)
    return trouble
  }

  close(): void {
    this.#closed = true
    closeSync(this.#descriptor)
  }

  #append(text: string): void {
    try {
      this.#appendWhole(Buffer.from(text))
    } catch (error) {
      if (codeOf(error) !== 'EBADF') throw error
      this.#descriptor = openToAppend(this.#file)
      this.#appendWhole(Buffer.from(text))
    }
  }

  /** A disk that is nearly full takes a part. */
  #appendWhole(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const written = writeSync(this.#descriptor, bytes, at)
      at += written
      this.#bytes += written
      this.#torn = at < bytes.length
    }
  }

  #tryToBeginAnew(): string | undefined {
    const isNews = this.#restsUntil === 0
    try {
      this.#beginAnew()
      this.#restsUntil = 0
      return undefined
    } catch (error) {
      this.#restsUntil = this.#now() + BEGIN_AGAIN_MS
      const why = codeOf(error) ?? errorText(error)
      return isNews
        ? `${this.#file} is due to be kept and begun anew, which fails (${why}); it grows until that works.`
        : undefined
    }
  }

  /** The old one is closed last: a disk that has no room for another leaves us with it. */
  #beginAnew(): void {
    const kept = this.#keptName()
    const isKept = renamed(this.#file, kept)
    const old = this.#descriptor
    try {
      this.#descriptor = openToAppend(this.#file)
    } catch (error) {
      if (isKept) renameSync(kept, this.#file)
      throw error
    }
    this.#bytes = 0
    this.#begun = this.#now()
    this.#torn = false
    closeSync(old)
    for (const name of surplus(keptLogs(this.#file), { keep: this.#limits.keep, now: this.#now() }))
      rmSync(path.join(path.dirname(this.#file), name), { force: true })
  }

  /** In UTC, as the lines are. */
  #keptName(): string {
    const base = this.#file.replace(/\.log$/, '')
    const at = new Date(this.#now())
      .toISOString()
      .replaceAll(/[-:]|\..*/g, '')
      .replace('T', '-')
    for (let n = 1; ; n++) {
      const name = `${base}.${at}${n === 1 ? '' : `-${n}`}.log`
      if (!statSync(name, { throwIfNoEntry: false })) return name
    }
  }
}

type Place = {
  /** Writes whole lines, or throws. Returns what else is to be told in this place. */
  write(text: string): string | undefined
  /** A message of the log's own as a line of the log. */
  lineOf(message: string): string
}

/**
 * Lines for a place that may fail. Nothing here ever throws, because a log is written where nothing may go wrong any more.
 * What is lost is counted, and told by the first line that can be written again.
 */
export class LossyLines {
  readonly #place: Place
  #lost = 0
  #why = ''

  constructor(place: Place) {
    this.#place = place
  }

  write(text: string): void {
    try {
      if (this.#lost > 0) this.#place.write(this.#place.lineOf(`${counted(this.#lost)} lost here: ${this.#why}`))
      this.#lost = 0
      const trouble = this.#place.write(text)
      if (trouble !== undefined) this.#place.write(this.#place.lineOf(trouble))
    } catch (error) {
      this.lose(error)
    }
  }

  /** A line does not come, for this reason. */
  lose(error: unknown): void {
    this.#lost++
    this.#why = codeOf(error) ?? errorText(error)
  }
}

function counted(lines: number): string {
  return lines === 1 ? '1 line was' : `${lines} lines were`
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

/** The former ones of a log, oldest first. */
export function keptLogs(file: string): KeptFile[] {
  const folder = path.dirname(file)
  const base = path.basename(file, '.log')
  const isOurs = (name: string) => name.startsWith(`${base}.`) && /^\d{8}-\d{6}(-\d+)?\.log$/.test(name.slice(base.length + 1))
  return readdirSync(folder)
    .filter(isOurs)
    .flatMap((name) => {
      const stat = statSync(path.join(folder, name), { throwIfNoEntry: false })
      return stat ? [{ name, bytes: stat.size, changedAt: stat.mtimeMs }] : []
    })
    .sort((a, b) => a.changedAt - b.changedAt || a.name.localeCompare(b.name))
}

/** False for a file that somebody took away. */
function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return false
  }
}

function openToAppend(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
  return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
}
