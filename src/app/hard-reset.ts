import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { sessionsFolder } from '../container-runner.ts'
import { inBackground } from '../domain/attempt.ts'
import type { Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'
import { postNotice } from './notices.ts'

export type HardResetPorts = {
  store: Store
  feed: Feed
  root: string
  now(): Instant
  /** Resolves when no container of the group runs. */
  closeGroup(folder: string): Promise<void>
  deliver(): void
  /** Removes a tree that an agent wrote, without following anything, and without holding anybody up. */
  removeTree(folder: string): Promise<void>
  log: { error(text: string): void }
}

type Told = { folder: string; jid: string; text: string }

const LANES = ['chat', 'isolated'] as const
const OLD = /^old-/

/**
 * Makes Claude Code forget everything that it kept for a group, for its chats and its tasks. The request is stored until it is
 * carried out, so a host that ends in between carries it out at its next start. The folders are renamed at once and removed
 * afterwards, because a removal may take long.
 */
export class HardReset {
  readonly #ports: HardResetPorts
  readonly #untold: Told[] = []

  constructor(ports: HardResetPorts) {
    this.#ports = ports
  }

  /** Stores the request, in the transaction of the command. Returns the work that follows the commit. */
  want({ folder, jid }: RegisteredChat): () => void {
    this.#ports.store.facts.set(factOf(folder), jid)
    return () => inBackground({ what: notReset(folder), log: this.#ports.log }, () => this.#carryOut(folder, jid))
  }

  /** Carries out what the last host was asked for, and removes what it left. To be called before a container starts. */
  async resume(): Promise<void> {
    const { store, log } = this.#ports
    for (const { folder } of store.groups.all()) {
      const jid = store.facts.get(factOf(folder))
      if (jid) await this.#carryOut(folder, jid).catch((error) => log.error(`${notReset(folder)}: ${errorText(error)}`))
    }
    inBackground({ what: 'Old Claude folders stay until the next start', log }, () => this.#removeOld())
  }

  /** Tells what could not be written down when it was done. To be called now and then. */
  check(): void {
    for (const told of this.#untold.splice(0)) this.#tell(told)
  }

  /** Rejects only when what became of it cannot be written down, which `check` tries again. */
  async #carryOut(folder: string, jid: string): Promise<void> {
    const { log } = this.#ports
    const text = await this.#reset(folder)
    const what = `Group ${folder}: its old Claude folder stays until the next start`
    inBackground({ what, log }, () => this.#removeOldOf(folder))
    this.#tell({ folder, jid, text })
  }

  /** Resolves with what is to be told. */
  async #reset(folder: string): Promise<string> {
    const { closeGroup, log } = this.#ports
    try {
      await closeGroup(folder)
      await this.#setAside(folder)
      return 'Everything Claude Code kept for this group is reset.'
    } catch (error) {
      log.error(`${notReset(folder)}: ${errorText(error)}`)
      return `What Claude Code kept for this group could not be reset (${errorText(error)}), so some of it is still there. Try /new hard again, or look at data/sessions/${folder}.`
    }
  }

  /** A lane that never had a container has no folder, and nothing to forget. */
  async #setAside(folder: string): Promise<void> {
    for (const lane of LANES) {
      const kept = path.join(this.#ports.root, sessionsFolder(folder, lane))
      const old = path.join(path.dirname(kept), `old-${this.#ports.now()}-${randomUUID()}`)
      await rename(kept, old).catch(unlessMissing)
    }
  }

  /** In one transaction with the end of the wish. What another chat of the group began meanwhile is gone, too. */
  #tell(told: Told): void {
    const { store, feed, now, deliver } = this.#ports
    const { folder, jid, text } = told
    try {
      const message = store.tx(() => {
        store.facts.set(factOf(folder), '')
        store.sessions.clear(folder)
        return postNotice(store, { jid, text, key: randomUUID(), turnId: null, at: now() })
      })
      feed.publish(jid, { type: 'message', message })
    } catch (error) {
      this.#untold.push(told)
      throw error
    }
    deliver()
  }

  async #removeOld(): Promise<void> {
    for (const folder of await namesIn(path.join(this.#ports.root, 'data', 'sessions'))) await this.#removeOldOf(folder)
  }

  async #removeOldOf(folder: string): Promise<void> {
    for (const lane of LANES) {
      const place = path.dirname(path.join(this.#ports.root, sessionsFolder(folder, lane)))
      for (const name of await namesIn(place)) if (OLD.test(name)) await this.#ports.removeTree(path.join(place, name))
    }
  }
}

function factOf(folder: string): string {
  return `hard_reset:${folder}`
}

function notReset(folder: string): string {
  return `Group ${folder}: its Claude folder could not be reset`
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

/** None where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

const run = promisify(execFile)

/** By `rm`, which follows no link, in a process of its own: an agent may have made a million files. */
export async function removeByProcess(folder: string): Promise<void> {
  try {
    await run('rm', ['-rf', '--', folder])
  } catch {
    // An agent may have closed its own folders to us, where we run as the same user.
    await run('chmod', ['-R', 'u+rwX', '--', folder]).catch(() => {})
    await run('rm', ['-rf', '--', folder])
  }
}
