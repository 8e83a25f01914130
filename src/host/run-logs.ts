import { lstatSync } from 'node:fs'
import path from 'node:path'
import { inBackground } from '../domain/attempt.ts'
import { errorText } from '../domain/errors.ts'
import { removeName, walk } from '../hostile-tree.ts'
import type { Log } from '../log.ts'
import { type KeepLimits, type KeptFile, surplus } from '../log-files.ts'
import type { Store } from '../store/store.ts'

/** What stays of a group's runs. */
const KEEP: KeepLimits = { files: 500, bytes: 200 * 2 ** 20, ageMs: 30 * 86_400_000 }
const EVERY_MS = 60 * 60_000
/** More than a group ever has at once; the rest is found the next time. */
const MOST_ENTRIES = 5_000

type Parts = { root: string; store: Pick<Store, 'groups'>; log: Log; now: () => number; keep?: KeepLimits }

/** Removes the oldest logs of each group's runs. Once an hour is enough. */
export class RunLogPruning {
  readonly #parts: Parts
  #last: number | undefined
  #running = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Called now and then; most of the time there is nothing to do. */
  check(): void {
    const now = this.#parts.now()
    if (this.#last !== undefined && now - this.#last < EVERY_MS) return
    this.#last = now
    const running = this.#pruneAll()
    this.#running = running.catch(() => {})
    inBackground({ what: 'Old logs of runs stay for another hour', log: this.#parts.log }, () => running)
  }

  /** Resolves when nothing is being removed any more. */
  settled(): Promise<void> {
    return this.#running
  }

  async #pruneAll(): Promise<void> {
    const { root, store, log } = this.#parts
    for (const { folder } of store.groups.all())
      await this.#prune(path.join(root, 'groups', folder)).catch((error) =>
        log.warn(`Group ${folder}: old logs of its runs stay: ${errorText(error)}`),
      )
  }

  async #prune(group: string): Promise<void> {
    const { keep = KEEP, now } = this.#parts
    const base = path.join(group, 'logs')
    if (![group, base].every(isFolder)) return
    for (const name of surplus(await runLogsIn(base), { keep, now: now() })) {
      const removed = await removeName(base, name)
      if (removed.type === 'host-failure' || removed.type === 'refused') throw new Error(`${name}: ${removed.why}`)
    }
  }
}

/** Itself, not what a link leads to. */
function isFolder(place: string): boolean {
  return lstatSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** Agents cannot write there now, but in a root of v1 they could. Rejects when the host cannot look: what is too much is not known then. */
async function runLogsIn(base: string): Promise<KeptFile[]> {
  const found: KeptFile[] = []
  for await (const entry of walk(base, { maxEntries: MOST_ENTRIES })) {
    if (entry.type === 'host-failure') throw entry.error
    if (entry.type === 'file' && /^container-.*\.log$/.test(entry.name))
      found.push({ name: entry.name, bytes: entry.allocated, changedAt: Number(entry.changedAt / 1_000_000n) })
  }
  return found
}
