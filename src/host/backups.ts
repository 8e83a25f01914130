import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import type { Trouble } from '../app/troubles.ts'
import { type Config, PROJECT } from '../config.ts'
import type { Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import type { Log } from '../log.ts'
import type { Facts } from '../store/facts.ts'

/** Makes one backup; rejects with words for people. */
export type Save = (file: string, signal: AbortSignal) => Promise<void>

type Ports = {
  config: Pick<Config, 'backup'>
  facts: Pick<Facts, 'get' | 'set'>
  log: Pick<Log, 'info' | 'error'>
  now(): Instant
  save: Save
}

const DAY_MS = 24 * 60 * 60_000
const HOUR_MS = 60 * 60_000
const FACT = 'backups'

const past = z.object({
  doneAt: z.number().nullable(),
  triedAt: z.number(),
  /** Since when none succeeds, and why the last did not. */
  failing: z.object({ since: z.number(), why: z.string() }).nullable(),
})
/** What became of the daily backups so far. */
export type Past = z.infer<typeof past>

/** Once a day; after a failure, again in an hour. */
export function isDue(before: Past | undefined, now: Instant): boolean {
  if (!before) return true
  if (before.failing) return now >= before.triedAt + HOUR_MS
  return now >= (before.doneAt ?? 0) + DAY_MS
}

/** The daily backups of this host, in `BACKUP_FOLDER`. What goes wrong is in `status` until one succeeds. */
export class Backups {
  readonly #ports: Ports
  readonly #life = new AbortController()
  #working: Promise<void> | undefined
  /** As the store may not know it: the disk was full. */
  #known: Past | undefined

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Begins one if it is time. Cheap, to be called now and then. */
  look(): void {
    const { config, now } = this.#ports
    const { folder } = config.backup
    if (folder === undefined || this.#working || this.#life.signal.aborted) return
    const before = this.#past()
    if (!isDue(before, now())) return
    this.#working = this.#make(folder, before).finally(() => {
      this.#working = undefined
    })
  }

  /** When the last one was made, in ms since the epoch. */
  lastDone(): Instant | undefined {
    return this.#past()?.doneAt ?? undefined
  }

  troubles(): Trouble[] {
    const { folder } = this.#ports.config.backup
    const failing = this.#past()?.failing
    if (folder === undefined || !failing) return []
    const why = `the daily backup fails: ${failing.why}`
    return [{ kind: 'backup', where: folder, folder: null, since: failing.since, why }]
  }

  /** Breaks off the one that is being made: it is made anew after the next start. */
  async stop(): Promise<void> {
    this.#life.abort()
    await this.#working
  }

  /** Never rejects: nobody waits for it. So nothing is read here of a store that may fail. */
  async #make(folder: string, before: Past | undefined): Promise<void> {
    const { config, now, save, log } = this.#ports
    const triedAt = now()
    try {
      mkdirSync(folder, { recursive: true })
      const file = path.join(folder, nameOf({ at: triedAt, encrypted: config.backup.passphrase !== undefined }))
      await save(file, this.#life.signal)
      this.#note({ doneAt: triedAt, triedAt, failing: null })
      log.info(`The daily backup is ${file}`)
      this.#removeOld(folder)
    } catch (error) {
      if (this.#life.signal.aborted) return
      const why = errorText(error)
      this.#note({ doneAt: before?.doneAt ?? null, triedAt, failing: { since: before?.failing?.since ?? triedAt, why } })
      log.error(`The daily backup in ${folder} failed: ${why}`)
    }
  }

  /** The new backup is made, whatever becomes of the old ones. */
  #removeOld(folder: string): void {
    const { config, now, log } = this.#ports
    try {
      removeOld(folder, { keep: config.backup.keep, now: now() })
    } catch (error) {
      log.error(`Old backups in ${folder} could not be removed, and stay until the next one is made: ${errorText(error)}`)
    }
  }

  #past(): Past | undefined {
    if (this.#known) return this.#known
    const text = this.#ports.facts.get(FACT)
    return text === undefined ? undefined : past.parse(JSON.parse(text))
  }

  #note(fact: Past): void {
    const { facts, log } = this.#ports
    this.#known = fact
    try {
      facts.set(FACT, JSON.stringify(fact))
    } catch (error) {
      log.error(`What became of the daily backup could not be written down: ${errorText(error)}`)
    }
  }
}

const OURS = /^nanoclaw-\d{8}-\d{6}\.tar\.gz(\.enc)?$/
/** What a backup that was killed leaves. */
const UNFINISHED = /^\.nanoclaw-backup-/

function nameOf({ at, encrypted }: { at: Instant; encrypted: boolean }): string {
  const stamp = new Date(at).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  return `nanoclaw-${stamp}.tar.gz${encrypted ? '.enc' : ''}`
}

/** Only what daily backups are called like is ever removed. */
function removeOld(folder: string, { keep, now }: { keep: number; now: Instant }): void {
  const names = readdirSync(folder)
  const old = names
    .filter((name) => OURS.test(name))
    .sort()
    .slice(0, -keep)
  const dead = names.filter((name) => UNFINISHED.test(name) && statSync(path.join(folder, name)).mtimeMs < now - DAY_MS)
  for (const name of [...old, ...dead]) rmSync(path.join(folder, name), { recursive: true, force: true })
}

const run = promisify(execFile)

/** In a process of its own, after everything else: reading and packing gigabytes must hold nobody up. */
export function saveInProcess({ root, backup }: Config): Save {
  const cli = path.join(PROJECT, 'src', 'cli', 'main.ts')
  const encrypt = backup.passphrase === undefined ? [] : ['--encrypt']
  return async (file, signal) => {
    const command = ['-n', '10', 'env', `NANOCLAW_HOME=${root}`, process.execPath, cli, 'backup', file, ...encrypt]
    try {
      await run('nice', command, { signal })
    } catch (error) {
      throw new Error(saidOf(error))
    }
  }
}

function saidOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return said === '' ? errorText(error) : said.replace(/^nanoclaw: /, '')
}
