import type { AgentRun } from '../container/agent-run.ts'
import type { Clock, Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import type { TurnLane } from '../store/turns.ts'
import { Lane, type LanePorts, type LaneRules } from './lane.ts'
import type { ClaimedTurn, TurnDesk } from './turn-desk.ts'

export type QueuePorts = {
  desk: TurnDesk
  clock: Clock
  lane: Omit<LanePorts, 'onLive'>
  /** Something was committed that is to be delivered. */
  deliver(): void
  isMain(folder: string): boolean
  /** Shows in a chat that it is being worked for, until the returned function is called. */
  showWork(jid: string): () => void
  log: { info(text: string): void; warn(text: string): void; error(text: string): void }
}

export type QueueRules = LaneRules & { maxContainers: number; idleTimeoutMs: number }

/** A wait for a place that is shorter than this is not worth a word. */
const SILENT_WAIT_MS = 30_000
/** Between two tries to write something down, when the disk is full. */
const WRITE_RETRY_MS = 5_000

const LANES: readonly TurnLane[] = ['chat', 'isolated']

/**
 * Who works when: a lane's turns one after another, lanes first come first served, no more containers than allowed
 * plus one that only main's chats may take. An idle container gives way at once when another group waits.
 */
export class GroupQueue {
  readonly #ports: QueuePorts
  readonly #rules: QueueRules
  /** By folder and name; made when there is work. */
  readonly #lanes = new Map<string, Lane>()
  /** With work and no container to do it in, oldest first. */
  readonly #waiting = new Set<Lane>()
  /** Being worked on, or with a container that is starting or leaving. */
  readonly #busy = new Map<Lane, Promise<void>>()
  /** Containers that were asked to leave and are not gone yet. */
  #leaving = 0
  /** When a lane's next try falls due. */
  readonly #dueTimers = new Timers()
  /** When who waits for a place is told so. */
  readonly #placeTimers = new Timers()
  /** When an idle container has waited long enough. */
  readonly #idleTimers = new Timers()
  #stopping = false

  constructor(ports: QueuePorts, rules: QueueRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /** There may be work for this group. Called for every event; the store decides. */
  wake(folder: string): void {
    for (const name of LANES) this.#attempt(folder, () => this.#wakeLane(folder, name))
  }

  #wakeLane(folder: string, name: TurnLane): void {
    if (this.#stopping) return
    const known = this.#lanes.get(laneKey(folder, name))
    if (known && this.#busy.has(known)) return this.#followUp(known)
    const next = this.#ports.desk.look(folder, name)
    if (next.type === 'nothing') return
    const lane = known ?? this.#addLane(folder, name)
    if (next.type === 'wait') return this.#wakeLaneAt(lane, next.at)
    this.#waiting.add(lane)
    this.#pump()
  }

  #wakeLaneAt(lane: Lane, at: Instant): void {
    const wake = () => this.#attempt(lane.folder, () => this.#wakeLane(lane.folder, lane.name))
    this.#dueTimers.set(lane, this.#ports.clock.wakeAt(at, wake))
  }

  /** Nobody waits for this, and what fails here is tried again: at the next event, or by the sweep. */
  #attempt(folder: string, act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#ports.log.error(`Group ${folder}: ${errorText(error)}`)
    }
  }

  #addLane(folder: string, name: TurnLane): Lane {
    const ports = { ...this.#ports.lane, onLive: (lane: Lane) => this.#attempt(folder, () => this.#followUp(lane)) }
    const lane = new Lane({ folder, name, ports, rules: this.#rules })
    this.#lanes.set(laneKey(folder, name), lane)
    return lane
  }

  /** Interrupts what is done for a chat: its answer first; a task beside it only when there is none. */
  stopTurn(jid: string): boolean {
    return this.#lanesFor(jid)[0]?.stop() ?? false
  }

  /** Something is being done for this chat. */
  worksFor(jid: string): boolean {
    return this.#lanesFor(jid).length > 0
  }

  #lanesFor(jid: string): Lane[] {
    const working = this.#allLanes().filter((lane) => lane.claimed?.jid === jid)
    return working.sort((a, b) => LANES.indexOf(a.name) - LANES.indexOf(b.name))
  }

  stateOf(folder: string): 'idle' | 'waiting' | 'running' {
    const lanes = this.#lanesOf(folder)
    if (lanes.some((lane) => lane.claimed)) return 'running'
    return lanes.some((lane) => this.#waiting.has(lane)) ? 'waiting' : 'idle'
  }

  /** The group's containers take no further turn: they leave when they are idle, or the next turn replaces them. */
  async closeGroup(folder: string): Promise<void> {
    await Promise.all(this.#lanesOf(folder).map((lane) => this.#retire(lane)))
  }

  async #retire(lane: Lane): Promise<void> {
    lane.wearOut()
    await this.#busy.get(lane)
    if (lane.run && !this.#busy.has(lane)) await this.#leave(lane)
  }

  get idle(): boolean {
    return this.#busy.size === 0 && this.#waiting.size === 0
  }

  containers(): { folder: string; lane: TurnLane; run: AgentRun; working: boolean }[] {
    return this.#allLanes().flatMap(({ folder, name, run, claimed }) =>
      run ? [{ folder, lane: name, run, working: claimed !== undefined }] : [],
    )
  }

  /** Starts no more turns; lets running ones finish until `graceMs` is over or `now` says so; then ends every container. */
  async shutdown({ graceMs, now }: { graceMs: number; now: AbortSignal }): Promise<void> {
    this.#stopping = true
    this.#waiting.clear()
    for (const timers of [this.#dueTimers, this.#idleTimers, this.#placeTimers]) timers.clear()
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

  #lanesOf(folder: string): Lane[] {
    return LANES.flatMap((name) => this.#lanes.get(laneKey(folder, name)) ?? [])
  }

  /** Gives everyone who waits and can have one a container, in order; for the others, idle containers leave. */
  #pump(): void {
    let [free, coming] = [this.#freePlaces(), this.#leaving]
    for (const lane of this.#waiting) {
      // A container that is still leaving keeps its place for its own lane.
      const hasOwn = lane.run !== undefined || this.#hasOwnPlace(lane)
      if (hasOwn || free > 0) {
        if (!hasOwn) free--
        this.#begin(lane)
        continue
      }
      if (!this.#placeTimers.has(lane)) this.#tellPlaceLater(lane)
      if (coming > 0) coming--
      else this.#makeRoom()
    }
  }

  #begin(lane: Lane): void {
    this.#waiting.delete(lane)
    for (const timers of [this.#dueTimers, this.#idleTimers, this.#placeTimers]) timers.cancel(lane)
    // Not at once: work that turns out to be none would be over before it stands here as busy.
    const work = Promise.resolve().then(() => this.#work(lane))
    this.#busy.set(lane, work)
  }

  /** Who waits for long is told that it was heard, and how many are before it. */
  #tellPlaceLater(lane: Lane): void {
    const { clock, desk, deliver } = this.#ports
    const tell = () =>
      this.#attempt(lane.folder, () => {
        desk.tellPlace(lane.folder, [...this.#waiting].indexOf(lane) + 1)
        deliver()
      })
    if (lane.name === 'chat') this.#placeTimers.set(lane, clock.wakeAt(clock.now() + SILENT_WAIT_MS, tell))
  }

  /** Main's chats have a place of their own; the others, and all tasks beside them, share `maxContainers`. */
  #hasOwnPlace({ folder, name }: Lane): boolean {
    return name === 'chat' && this.#ports.isMain(folder)
  }

  #hasPlace(lane: Lane): boolean {
    return this.#hasOwnPlace(lane) || this.#freePlaces() > 0
  }

  #freePlaces(): number {
    const taken = this.#allLanes().filter((lane) => (this.#busy.has(lane) || lane.run) && !this.#hasOwnPlace(lane))
    return this.#rules.maxContainers - taken.length
  }

  /** The container that has been idle for longest leaves; when it is gone, the queue moves on. */
  #makeRoom(): void {
    const idle = this.#allLanes().filter((lane) => lane.warm && !this.#busy.has(lane) && !this.#hasOwnPlace(lane))
    const oldest = idle.sort((a, b) => a.idleSince - b.idleSince)[0]
    if (oldest) void this.#leave(oldest)
  }

  #leave(lane: Lane): Promise<void> {
    this.#leaving++
    const gone = lane.close().finally(() => {
      this.#leaving--
      this.#free(lane)
    })
    this.#busy.set(lane, gone)
    return gone
  }

  /** Works off what the lane has, until there is no more or others wait for its place. */
  async #work(lane: Lane): Promise<void> {
    const { desk, clock, log } = this.#ports
    let restUntil: Instant | undefined
    try {
      while (!this.#stopping) {
        const claimed = desk.claim(lane.folder, lane.name)
        if (!claimed) break
        await this.#turn(lane, claimed)
        if (this.#waiting.size > 0) break
      }
      if (this.#waiting.size > 0 && !this.#mayStay(lane)) await lane.close()
    } catch (error) {
      restUntil = clock.now() + WRITE_RETRY_MS
      log.error(`Group ${lane.folder}: ${errorText(error)}`)
    } finally {
      this.#free(lane, restUntil)
    }
  }

  /** A warm container stays when those that wait have places without it. */
  #mayStay(lane: Lane): boolean {
    if (this.#hasOwnPlace(lane)) return true
    return [...this.#waiting].every((other) => other !== lane && (other.run !== undefined || this.#hasPlace(other)))
  }

  #free(lane: Lane, restUntil?: Instant): void {
    const { folder, name } = lane
    this.#busy.delete(lane)
    lane.idleSince = this.#ports.clock.now()
    if (this.#stopping) return
    if (restUntil === undefined) this.#attempt(folder, () => this.#wakeLane(folder, name))
    else this.#wakeLaneAt(lane, restUntil)
    if (lane.run && !this.#busy.has(lane)) this.#keepOrEnd(lane)
    this.#pump()
  }

  /** A warm container waits for more to do; one that takes no further turn has no place to keep. */
  #keepOrEnd(lane: Lane): void {
    if (lane.warm) this.#closeWhenIdle(lane)
    else void this.#leave(lane)
  }

  #closeWhenIdle(lane: Lane): void {
    const { clock } = this.#ports
    const leave = () => {
      if (lane.warm && !this.#busy.has(lane)) void this.#leave(lane)
    }
    this.#idleTimers.set(lane, clock.wakeAt(lane.idleSince + this.#rules.idleTimeoutMs, leave))
  }

  async #turn(lane: Lane, claimed: ClaimedTurn): Promise<void> {
    const { desk, deliver, showWork } = this.#ports
    const showNoMore = claimed.task ? () => {} : showWork(claimed.jid)
    try {
      for await (const { turns, outcome } of lane.work(claimed)) {
        // What failed only because we are stopping is no failure: it goes on at the next start.
        const shelve = this.#stopping && outcome.type !== 'answered'
        await this.#commit(() => (shelve ? desk.shelve(turns) : desk.finish(turns, outcome)))
        deliver()
      }
    } finally {
      showNoMore()
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
        await new Promise<void>((resolve) => this.#ports.clock.wakeAt(this.#ports.clock.now() + WRITE_RETRY_MS, resolve))
      }
    }
  }
}

function laneKey(folder: string, name: TurnLane): string {
  return `${folder}/${name}`
}

/** At most one alarm for each lane: a new one takes the place of the old. */
class Timers {
  readonly #cancels = new Map<Lane, () => void>()

  has(lane: Lane): boolean {
    return this.#cancels.has(lane)
  }

  set(lane: Lane, cancel: () => void): void {
    this.cancel(lane)
    this.#cancels.set(lane, cancel)
  }

  cancel(lane: Lane): void {
    this.#cancels.get(lane)?.()
    this.#cancels.delete(lane)
  }

  clear(): void {
    for (const lane of [...this.#cancels.keys()]) this.cancel(lane)
  }
}
