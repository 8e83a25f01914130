import { type FSWatcher, watch } from 'node:fs'
import path from 'node:path'
import { ipcFolders, MAX_IPC_BYTES } from '@nanoclaw/protocol'
import type { AgentRun } from '../container/agent-run.ts'
import { inBackground } from '../domain/attempt.ts'
import type { Clock, Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import { pollFolder } from '../folder-watch.ts'
import { type Entry, readWhole, removeName, walk } from '../hostile-tree.ts'
import { Allowance } from './ipc-allowance.ts'
import type { Found, IpcDesk, Runs } from './ipc-desk.ts'

export type WatcherPorts = {
  desk: Pick<IpcDesk, 'take' | 'answer'>
  clock: Clock
  log: { info(text: string): void; warn(text: string): void; error(text: string): void }
}

type Run = Runs[number] & Pick<AgentRun, 'ended'>
type File = Extract<Entry, { type: 'file' }>

/** So many requests are taken from a folder at a time, oldest first. */
const SLICE = 256
/** More names than this in a folder are not looked at before others went. */
const MAX_ENTRIES = 5_000
/** When there was nothing to carry out, reading rests for so many times as long as it took: an agent cannot keep us at it. */
const REST = 2
/** A file that a person writes may be seen half written: it is taken when it was the same for so long. */
const SETTLE_MS = 500
/** Between two tries to read what the host could not read: from the first to the longest, each twice the one before. */
const RETRY_MS = { first: 1_000, longest: 60_000 }
/** A request that the host could not carry out so often lets the others of its group go first. */
const SET_ASIDE_AFTER = 3
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/**
 * Brings agents' requests from their folders to the desk: by event while a container of the group runs, and by sweep. The
 * host never writes there. It removes a request when it has been answered, also one that makes no sense: what was wrong
 * with it is in the answer, or else in the log. While the host fails (descriptors, memory or disk are used up or broken), a
 * request stays where it is and nothing is said about it; the failure is logged once, and reading is retried with backoff.
 */
export class IpcWatcher {
  readonly #ports: WatcherPorts
  readonly #root: string
  readonly #mailboxes = new Map<string, Mailbox>()

  constructor(ports: WatcherPorts, root: string) {
    this.#ports = ports
    this.#root = root
  }

  /** A container of this group runs: its requests are acted on at once until it ends. */
  attach(folder: string, run: Run): void {
    const mailbox = this.#mailbox(folder)
    mailbox.runs.add(run)
    mailbox.ring()
    const detach = () => {
      mailbox.runs.delete(run)
      mailbox.ring()
    }
    inBackground({ what: `Group ${folder}: the end of a run was missed`, log: this.#ports.log }, () => run.ended.finally(detach))
  }

  /** Reads these groups once, whether a container runs or not. */
  readAll(folders: readonly string[]): void {
    for (const folder of folders) this.#mailbox(folder).ring()
  }

  /** The backstop behind the events, which can be missed. */
  sweep(): void {
    for (const mailbox of this.#mailboxes.values()) if (mailbox.runs.size > 0) mailbox.ring()
  }

  /** Resolves when nothing is being carried out any more. */
  async stop(): Promise<void> {
    await Promise.all([...this.#mailboxes.values()].map((mailbox) => mailbox.stop()))
  }

  #mailbox(folder: string): Mailbox {
    const mailbox = this.#mailboxes.get(folder) ?? new Mailbox({ folder, root: this.#root, ports: this.#ports })
    this.#mailboxes.set(folder, mailbox)
    return mailbox
  }
}

/** The two folders of one group. Groups are read side by side, each in its own order: none waits for another. */
class Mailbox {
  readonly runs = new Set<Run>()
  readonly #folder: string
  readonly #places: readonly string[]
  readonly #ports: WatcherPorts
  readonly #allowance: Allowance
  readonly #watchers = new Map<string, FSWatcher>()
  /** Ends the polls of the folders; there is none while nobody runs. */
  #endPolls: (() => void) | undefined
  #rung = false
  #working: Promise<void> | undefined
  #stopped = false
  #endRest: () => void = () => {}
  #oddNames = 0
  /** Files with names of people, as they were first seen. */
  readonly #fresh = new Map<string, { changedAt: bigint; bytes: number; at: Instant }>()
  /** How often in a row the host could not read or carry out something here. */
  #failures = 0
  #cancelRetry: () => void = () => {}
  /** The same for each file of a request. */
  readonly #failuresOf = new Map<string, number>()
  /** Folders without a watch, of which the log knows. */
  readonly #unwatched = new Set<string>()

  constructor({ folder, root, ports }: { folder: string; root: string; ports: WatcherPorts }) {
    this.#folder = folder
    this.#ports = ports
    this.#places = ipcFolders.map((name) => path.join(root, 'data', 'ipc', folder, name))
    this.#allowance = new Allowance(ports.clock)
  }

  /** There may be something to read. */
  ring(): void {
    this.#rung = true
    if (!this.#stopped) this.#working ??= this.#work()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelRetry()
    this.#unwatch()
    this.#endRest()
    await this.#working
  }

  async #work(): Promise<void> {
    try {
      while (this.#rung && !this.#stopped) {
        this.#rung = false
        // Not by the clock: a jump of it would have the requests wait.
        const before = performance.now()
        // Watched first: what comes while we read is noticed.
        if (this.runs.size > 0) this.#watch()
        else this.#unwatch()
        const taken = await this.#emptyAll()
        if (taken === 0) await this.#rest((performance.now() - before) * REST)
      }
    } finally {
      this.#working = undefined
    }
  }

  /** Returns how many were carried out. What fails in one folder does not hold up the other one. */
  async #emptyAll(): Promise<number> {
    const done = { taken: 0 }
    const failures: unknown[] = []
    for (const place of this.#places) await this.#empty(place, done).catch((error) => failures.push(error))
    if (failures.length > 0) this.#retryLater(failures[0])
    else if (!this.#stopped) this.#noteRecovery()
    return done.taken
  }

  /** The first failure is logged; the sweep and the next event try again as well, so no time is lost. */
  #retryLater(error: unknown): void {
    const { clock, log } = this.#ports
    if (this.#failures === 0)
      log.error(`Group ${this.#folder}: its requests could not be read or carried out, and are tried again: ${errorText(error)}`)
    const delay = Math.min(RETRY_MS.first * 2 ** this.#failures++, RETRY_MS.longest)
    this.#cancelRetry()
    if (!this.#stopped) this.#cancelRetry = clock.wakeAt(clock.now() + delay, () => this.ring())
  }

  #noteRecovery(): void {
    this.#cancelRetry()
    this.#failuresOf.clear()
    if (this.#failures > 0) this.#ports.log.info(`Group ${this.#folder}: its requests are read again.`)
    this.#failures = 0
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#endRest = resolve
      if (this.#stopped) return resolve()
      setTimeout(resolve, ms).unref()
    })
  }

  /** One event is enough: the watch ends with it and begins anew with the next reading, so a flood of events costs nothing. */
  #watch(): void {
    this.#poll()
    for (const place of this.#places.filter((one) => !this.#watchers.has(one))) {
      try {
        const watcher = watch(place, () => this.#heard(place))
        watcher.on('error', () => this.#heard(place))
        this.#watchers.set(place, watcher)
        this.#unwatched.delete(place)
      } catch (error) {
        if (this.#unwatched.has(place)) continue
        this.#unwatched.add(place)
        this.#ports.log.warn(
          `Group ${this.#folder}: ${place} cannot be watched, so requests wait for the sweep: ${errorText(error)}`,
        )
      }
    }
  }

  /** Events can be lost, and some file systems have none. */
  #poll(): void {
    if (this.#endPolls) return
    const ends = this.#places.map((place) => pollFolder(place, () => this.ring()))
    this.#endPolls = () => {
      for (const end of ends) end()
      this.#endPolls = undefined
    }
  }

  #heard(place: string): void {
    this.#watchers.get(place)?.close()
    this.#watchers.delete(place)
    this.ring()
  }

  #unwatch(): void {
    this.#endPolls?.()
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /** Takes slice after slice until nothing is left, each oldest first, and counts those that were carried out. Rejects when the host fails. */
  async #empty(place: string, done: { taken: number }): Promise<void> {
    let dropped = 0
    try {
      for (let more = true; more; ) {
        const { files, failure } = await this.#slice(place)
        more = files.length >= SLICE
        for (const file of files) {
          if (this.#stopped) return
          if (await this.#tryToTake(place, file)) done.taken++
          else dropped++
        }
        if (failure) throw failure
      }
    } finally {
      if (dropped > 0) this.#ports.log.warn(`Group ${this.#folder}: ${dropped} requests too many were dropped unread.`)
    }
  }

  /** The next files, and the first failure of the host, which may have hidden others. */
  async #slice(place: string): Promise<{ files: File[]; failure: Error | undefined }> {
    const files: File[] = []
    let failure: Error | undefined
    for await (const entry of walk(place, { maxEntries: MAX_ENTRIES })) {
      if (entry.type === 'host-failure') failure ??= entry.error
      else if (entry.type === 'refused' && entry.parts.length === 0) failure ??= new Error(`${place}: ${entry.why}`)
      else if (!entry.name.endsWith('.json')) continue
      else if (entry.type !== 'file') await this.#refuse(place, entry)
      else if (this.#isWhole(place, entry)) files.push(entry)
      if (files.length >= SLICE) break
    }
    const rank = ({ name }: File) => (this.#timesFailed(place, name) < SET_ASIDE_AFTER ? 0 : 1)
    return { files: files.sort((a, b) => rank(a) - rank(b) || Number(a.changedAt - b.changedAt)), failure }
  }

  /** The order of requests is kept while the host fails, but one that fails again and again does not hold up the others for ever. */
  async #tryToTake(place: string, file: File): Promise<boolean> {
    try {
      return await this.#take(place, file)
    } catch (error) {
      this.#failuresOf.set(path.join(place, file.name), this.#timesFailed(place, file.name) + 1)
      throw error
    }
  }

  #timesFailed(place: string, name: string): number {
    return this.#failuresOf.get(path.join(place, name)) ?? 0
  }

  /** Agents rename what they wrote; of other names it is not known, so they are looked at again a little later. */
  #isWhole(place: string, { name, changedAt, bytes }: File): boolean {
    if (isUuid(name)) return true
    const { clock } = this.#ports
    const file = path.join(place, name)
    const known = this.#fresh.get(file)
    const isSame = known?.changedAt === changedAt && known.bytes === bytes
    if (isSame && clock.now() >= known.at + SETTLE_MS) return this.#fresh.delete(file)
    if (isSame) return false
    if (this.#fresh.size >= MAX_ENTRIES) this.#fresh.clear()
    this.#fresh.set(file, { changedAt, bytes, at: clock.now() })
    clock.wakeAt(clock.now() + SETTLE_MS, () => this.ring())
    return false
  }

  /** Links, pipes and the like are removed unread; a folder, or a name that cannot be shown, is left alone. */
  async #refuse(place: string, entry: Entry): Promise<void> {
    const { type } = await removeName(place, entry.name)
    // It is still there, and is looked at again.
    if (type === 'host-failure') return
    // An agent could make any number of them; the first ones say enough.
    if (this.#oddNames++ >= MAX_ODD_NAMES) return
    const why = entry.type === 'refused' ? entry.why : 'it is a folder'
    const what = type === 'refused' ? 'left alone' : 'removed'
    this.#ports.log.warn(`Group ${this.#folder}: ${JSON.stringify(entry.name)} is no request, and was ${what}: ${why}.`)
  }

  /** False when it was one too many. Rejects when the host failed: then it stays, and nothing is charged for it. */
  async #take(place: string, { name, bytes }: File): Promise<boolean> {
    const id = path.basename(name, '.json')
    const cost = { requests: 1, bytes: Math.min(bytes, MAX_IPC_BYTES) }
    const allowed = this.#allowance.take(cost)
    if (allowed) await this.#read(place, { name, id, cost })
    else for (const run of this.runs) run.reply({ id, ok: false, result: TOO_MANY })
    await this.#remove(place, name)
    return allowed
  }

  /** What cannot be removed would be found again at once, so it counts as a failure, whosever fault it is. */
  async #remove(place: string, name: string): Promise<void> {
    const removed = await removeName(place, name)
    if (removed.type === 'host-failure') throw removed.error
    if (removed.type === 'refused') throw new Error(`${path.join(place, name)} could not be removed: ${removed.why}`)
  }

  async #read(place: string, { name, id, cost }: { name: string; id: string; cost: Cost }): Promise<void> {
    const byHand = !isUuid(name)
    const charged = [cost]
    const spend = (bytes: number) => {
      const more = { requests: 0, bytes }
      const allowed = this.#allowance.take(more)
      if (allowed) charged.push(more)
      return allowed
    }
    try {
      await this.#carryOut(place, { name, found: { folder: this.#folder, id, byHand, runs: [...this.runs], spend } })
    } catch (error) {
      for (const one of charged) this.#allowance.giveBack(one)
      throw error
    }
  }

  async #carryOut(place: string, { name, found }: { name: string; found: Found }): Promise<void> {
    const { desk } = this.#ports
    const contents = await readWhole({ base: place, parts: [name] }, MAX_IPC_BYTES)
    switch (contents.type) {
      case 'host-failure':
        throw contents.error
      // Who asked took it back.
      case 'gone':
        return
      case 'refused':
        return desk.answer(found, { status: 'malformed', text: `It was not read: ${contents.why}.` })
      case 'read':
        // A person may use a name again: then it is another request.
        return desk.take(found.byHand ? { ...found, id: `${found.id} ${contents.version}` } : found, contents.bytes)
    }
  }
}

type Cost = { requests: number; bytes: number }

function isUuid(name: string): boolean {
  return UUID.test(path.basename(name, '.json'))
}

const MAX_ODD_NAMES = 20
const TOO_MANY = {
  status: 'refused' as const,
  text: 'Too many requests: it was dropped unread. At most 1,000 at once and 100 a minute are taken; wait, and ask for less.',
}
