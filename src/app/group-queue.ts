import type { AgentRun } from '../container/agent-run.ts'
import type { Clock, Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import { Lane, type LanePorts, type LaneRules } from './lane.ts'
import type { ClaimedTurn, TurnDesk } from './turn-desk.ts'

export type QueuePorts = {
  desk: TurnDesk
  clock: Clock
  lane: Omit<LanePorts, 'onLive'>
  /** Something was committed that is to be delivered. */
  deliver(): void
  isMain(folder: string): boolean
  log: { info(text: string): void; warn(text: string): void; error(text: string): void }
}

export type QueueRules = LaneRules & { maxContainers: number; idleTimeoutMs: number }

/** A wait for a place that is shorter than this is not worth a word. */
const SILENT_WAIT_MS = 30_000
/** Between two tries to write a turn's end down, when the disk is full. */
const COMMIT_RETRY_MS = 5_000

/**
 * Who works when: a group's turns one after another, groups first come first served, no more containers than allowed
 * plus one that only main may take. An idle container gives way at once when another group waits.
 */
export class GroupQueue {
  readonly #ports: QueuePorts
  readonly #rules: QueueRules
  readonly #lanes = new Map<string, Lane>()
  /** Groups with work and no container to do it in, oldest first. */
  readonly #waiting = new Set<string>()
  /** Groups that are being worked on, or whose container is starting. */
  readonly #busy = new Map<string, Promise<void>>()
  /** Containers that were asked to leave and are not gone yet. */
  #leaving = 0
  /** When a group's next try falls due. */
  readonly #dueTimers = new Map<string, () => void>()
  /** When a group that waits for a place is told so. */
  readonly #placeTimers = new Map<string, () => void>()
  /** When a group's idle container has waited long enough. */
  readonly #idleTimers = new Map<string, () => void>()
  #stopping = false

  constructor(ports: QueuePorts, rules: QueueRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /** There may be work for this group. Called for every event; the store decides. */
  wake(folder: string): void {
    if (this.#stopping) return
    if (this.#busy.has(folder)) return this.#followUp(this.#lane(folder))
    this.#dueTimers.get(folder)?.()
    const next = this.#ports.desk.look(folder)
    if (next.type === 'turn') this.#waiting.add(folder)
    if (next.type === 'wait') this.#wakeLater(folder, next.at)
    this.#pump()
  }

  #wakeLater(folder: string, at: Instant): void {
    const cancel = this.#ports.clock.wakeAt(at, () => this.wake(folder))
    this.#dueTimers.set(folder, cancel)
  }

  /** Interrupts the turn of a chat. */
  stopTurn(jid: string): boolean {
    return this.#allLanes().some((lane) => lane.claimed?.jid === jid && lane.stop())
  }

  /** A turn of this chat is being worked on. */
  worksFor(jid: string): boolean {
    return this.#allLanes().some((lane) => lane.claimed?.jid === jid)
  }

  stateOf(folder: string): 'idle' | 'waiting' | 'running' {
    if (this.#lanes.get(folder)?.claimed) return 'running'
    return this.#waiting.has(folder) ? 'waiting' : 'idle'
  }

  /** The group's container takes no further turn: it leaves when it is idle, or the next turn replaces it. */
  async closeGroup(folder: string): Promise<void> {
    const lane = this.#lanes.get(folder)
    lane?.wearOut()
    await this.#busy.get(folder)
    if (lane?.run && !this.#busy.has(folder)) await this.#leave(lane)
  }

  get idle(): boolean {
    return this.#busy.size === 0 && this.#waiting.size === 0
  }

  containers(): { folder: string; run: AgentRun; working: boolean }[] {
    return this.#allLanes().flatMap((lane) =>
      lane.run ? [{ folder: lane.folder, run: lane.run, working: lane.claimed !== undefined }] : [],
    )
  }

  /** Starts no more turns; lets running ones finish until `graceMs` is over or `now` says so; then ends every container. */
  async shutdown({ graceMs, now }: { graceMs: number; now: AbortSignal }): Promise<void> {
    this.#stopping = true
    this.#waiting.clear()
    for (const cancel of [...this.#dueTimers.values(), ...this.#idleTimers.values(), ...this.#placeTimers.values()]) cancel()
    const killAll = () => void Promise.all(this.#allLanes().map((lane) => lane.kill()))
    const cancel = this.#ports.clock.wakeAt(this.#ports.clock.now() + graceMs, killAll)
    now.addEventListener('abort', killAll, { once: true })
    if (now.aborted) killAll()
    await Promise.all(this.#busy.values())
    await Promise.all(this.#allLanes().map((lane) => lane.close()))
    now.removeEventListener('abort', killAll)
    cancel()
  }

  #allLanes(): Lane[] {
    return [...this.#lanes.values()]
  }

  #lane(folder: string): Lane {
    const ports = { ...this.#ports.lane, onLive: (lane: Lane) => this.#followUp(lane) }
    const lane = this.#lanes.get(folder) ?? new Lane({ folder, ports, rules: this.#rules })
    this.#lanes.set(folder, lane)
    return lane
  }

  /** Gives every waiting group that can have one a container, in order; for the others, idle containers leave. */
  #pump(): void {
    let [free, coming] = [this.#freePlaces(), this.#leaving]
    for (const folder of this.#waiting) {
      const lane = this.#lane(folder)
      const hasOwn = lane.warm || this.#ports.isMain(folder)
      if (hasOwn || free > 0) {
        if (!hasOwn) free--
        this.#begin(lane)
        continue
      }
      if (!this.#placeTimers.has(folder)) this.#tellPlaceLater(folder)
      if (coming > 0) coming--
      else this.#makeRoom()
    }
  }

  #begin(lane: Lane): void {
    const { folder } = lane
    this.#waiting.delete(folder)
    this.#placeTimers.get(folder)?.()
    this.#placeTimers.delete(folder)
    this.#idleTimers.get(folder)?.()
    // Not at once: work that turns out to be none would be over before it stands here as busy.
    const work = Promise.resolve().then(() => this.#work(lane))
    this.#busy.set(folder, work)
  }

  /** Who waits for long is told that it was heard, and how many are before it. */
  #tellPlaceLater(folder: string): void {
    const { clock, desk, deliver } = this.#ports
    const tell = () => {
      desk.tellPlace(folder, [...this.#waiting].indexOf(folder) + 1)
      deliver()
    }
    this.#placeTimers.set(folder, clock.wakeAt(clock.now() + SILENT_WAIT_MS, tell))
  }

  /** Main's place is its own; the others share `maxContainers`. */
  #hasPlace(folder: string): boolean {
    return this.#ports.isMain(folder) || this.#freePlaces() > 0
  }

  #freePlaces(): number {
    const taken = new Set([...this.#busy.keys(), ...this.containers().map((container) => container.folder)])
    return this.#rules.maxContainers - [...taken].filter((folder) => !this.#ports.isMain(folder)).length
  }

  /** The container that has been idle for longest leaves; when it is gone, the queue moves on. */
  #makeRoom(): void {
    const idle = this.#allLanes().filter((lane) => lane.warm && !this.#busy.has(lane.folder) && !this.#ports.isMain(lane.folder))
    const oldest = idle.sort((a, b) => a.idleSince - b.idleSince)[0]
    if (oldest) void this.#leave(oldest)
  }

  #leave(lane: Lane): Promise<void> {
    this.#leaving++
    const gone = lane.close().finally(() => {
      this.#leaving--
      this.#free(lane)
    })
    this.#busy.set(lane.folder, gone)
    return gone
  }

  /** Works off what the group has, until there is no more or others wait for its place. */
  async #work(lane: Lane): Promise<void> {
    const { desk, log } = this.#ports
    try {
      while (!this.#stopping) {
        const claimed = desk.claim(lane.folder)
        if (!claimed) break
        await this.#turn(lane, claimed)
        if (this.#waiting.size > 0) break
      }
      if (this.#waiting.size > 0 && !this.#mayStay(lane)) await lane.close()
    } catch (error) {
      log.error(`Group ${lane.folder}: ${errorText(error)}`)
    } finally {
      this.#free(lane)
    }
  }

  /** A warm container stays when the groups that wait have places without it. */
  #mayStay(lane: Lane): boolean {
    if (this.#ports.isMain(lane.folder)) return true
    return [...this.#waiting].every((folder) => folder !== lane.folder && (this.#lane(folder).warm || this.#hasPlace(folder)))
  }

  #free(lane: Lane): void {
    this.#busy.delete(lane.folder)
    lane.idleSince = this.#ports.clock.now()
    if (this.#stopping) return
    this.wake(lane.folder)
    if (lane.warm && !this.#busy.has(lane.folder)) this.#closeWhenIdle(lane)
    this.#pump()
  }

  #closeWhenIdle(lane: Lane): void {
    const { clock } = this.#ports
    const leave = () => {
      if (lane.warm && !this.#busy.has(lane.folder)) void this.#leave(lane)
    }
    this.#idleTimers.set(lane.folder, clock.wakeAt(lane.idleSince + this.#rules.idleTimeoutMs, leave))
  }

  async #turn(lane: Lane, claimed: ClaimedTurn): Promise<void> {
    const { desk, deliver } = this.#ports
    for await (const { turns, outcome } of lane.work(claimed)) {
      // What failed only because we are stopping is no failure: it goes on at the next start.
      const shelve = this.#stopping && outcome.type !== 'answered'
      await this.#commit(() => (shelve ? desk.shelve(turns) : desk.finish(turns, outcome)))
      deliver()
    }
  }

  /** What the chat of the running turn says goes into it, unless another group waits for the place. */
  #followUp(lane: Lane): void {
    while (lane.claimed && lane.takesFollowUps && this.#waiting.size === 0) {
      const more = this.#ports.desk.claimFollowUp(lane.claimed)
      if (!more) return
      lane.followUp(more)
    }
  }

  /** An answer that cannot be stored is kept until it can: a full disk delays it, nothing else. */
  async #commit(write: () => void): Promise<void> {
    for (;;) {
      try {
        return write()
      } catch (error) {
        this.#ports.log.error(`An answer could not be stored, it is tried again: ${errorText(error)}`)
        if (this.#stopping) throw error
        await new Promise<void>((resolve) => this.#ports.clock.wakeAt(this.#ports.clock.now() + COMMIT_RETRY_MS, resolve))
      }
    }
  }
}
