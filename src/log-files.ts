import { closeSync, constants, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'

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

/** A log of the host's own: when it is large or old it is renamed to `NAME.YYYYMMDD-HHMMSS.log` and begun anew. */
export class LogFile {
  readonly #file: string
  readonly #limits: LogLimits
  readonly #now: () => number
  #descriptor: number
  #bytes: number
  #begun: number

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

  write(text: string): void {
    const bytes = Buffer.byteLength(text)
    const { fileBytes, fileAgeMs } = this.#limits
    const isDue = this.#bytes + bytes > fileBytes || this.#now() - this.#begun > fileAgeMs
    if (isDue && this.#bytes > 0) this.#beginAnew()
    writeSync(this.#descriptor, text)
    this.#bytes += bytes
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  /** The old one is closed last: a disk that has no room for another leaves us with it. */
  #beginAnew(): void {
    const kept = this.#keptName()
    renameSync(this.#file, kept)
    const old = this.#descriptor
    try {
      this.#descriptor = openToAppend(this.#file)
    } catch (error) {
      renameSync(kept, this.#file)
      throw error
    }
    closeSync(old)
    this.#bytes = 0
    this.#begun = this.#now()
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

function openToAppend(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
  return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
}
