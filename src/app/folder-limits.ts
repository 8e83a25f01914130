import path from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import type { Group } from '../domain/group.ts'
import type { Measure } from '../hostile-tree.ts'
import type { Store } from '../store/store.ts'
import { postNotice } from './notices.ts'

export type FolderPorts = {
  store: Store
  root: string
  now(): Instant
  measure(folder: string, limits: TreeLimits): Promise<Measure>
  deliver(): void
  log: { warn(text: string): void; error(text: string): void }
}

export type TreeLimits = { bytes: number; entries: number }

const MB = 1024 * 1024
const DEFAULT_MB = 10_240
const DEFAULT_FILES = 500_000
/** A group is measured at most so often, and only after it worked. */
const APART_MS = 10 * 60_000

/** Which groups keep more in their folders than they may: for those the host writes nothing more there. */
export class FolderLimits {
  readonly #ports: FolderPorts
  readonly #lookedAt = new Map<string, Instant>()

  constructor(ports: FolderPorts) {
    this.#ports = ports
  }

  /** As it was measured last. */
  isOver(folder: string): boolean {
    return isFolderOver(this.#ports.store, folder)
  }

  /** The group worked: its folder is measured, unless that was done a short while ago. Never rejects. */
  async look(folder: string): Promise<void> {
    const { store, root, now, measure, log } = this.#ports
    try {
      const group = store.groups.find(folder)
      if (!group || now() - (this.#lookedAt.get(folder) ?? -APART_MS) < APART_MS) return
      this.#lookedAt.set(folder, now())
      const limits = limitsOf(group)
      const size = await measure(path.join(root, 'groups', folder), limits)
      // That says nothing about the folder, so what was known of it stays.
      if (size !== 'over' && 'why' in size) throw size.error
      this.#note(group, size === 'over' ? 'over' : 'within')
    } catch (error) {
      log.error(`Group ${folder}: its folder could not be measured: ${errorText(error)}`)
    }
  }

  /** Told once, in the group's first chat, each time it comes to be over. */
  #note(group: Group, state: 'over' | 'within'): void {
    const { store, now, deliver, log } = this.#ports
    const { folder } = group
    if ((store.facts.get(factOf(folder)) ?? 'within') === state) return
    const text = overText(group)
    store.tx(() => {
      store.facts.set(factOf(folder), state)
      const [chat] = store.groups.chatsOf(folder)
      if (state === 'over' && chat)
        postNotice(store, { jid: chat.jid, text, key: `folder-${folder}-${now()}`, turnId: null, at: now() })
    })
    if (state === 'within') return
    log.warn(`Group ${folder}: ${text}`)
    deliver()
  }
}

/** As it was measured last, by whichever host. */
export function isFolderOver({ facts }: Pick<Store, 'facts'>, folder: string): boolean {
  return facts.get(factOf(folder)) === 'over'
}

/** What is read of a group's folder is its own; run logs are the host's, and count against nobody. */
export function measureInThread(folder: string, limits: TreeLimits): Promise<Measure> {
  const worker = new Worker(new URL('./folder-worker.ts', import.meta.url), { workerData: { folder, limits } })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the measuring thread ended with ${code}`)))
    worker.unref()
  })
}

function limitsOf({ config: { limits = {} } }: Group): TreeLimits {
  return { bytes: (limits.diskMb ?? DEFAULT_MB) * MB, entries: limits.files ?? DEFAULT_FILES }
}

function overText(group: Group): string {
  const { bytes, entries } = limitsOf(group)
  return `The folder of this group holds more than it may (${bytes / MB} MB, ${entries} files and folders), or parts of it are closed to me. I go on working, but no logs of my runs and no files that are sent here are kept until that is put right. Ask me to clean up, or let the owner raise the limits.`
}

function factOf(folder: string): string {
  return `folder_limit:${folder}`
}
