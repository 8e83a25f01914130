import { unlessAborted } from '../domain/abort.ts'
import { attempt, complain } from '../domain/attempt.ts'
import { type Clock, type Instant, pause } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import { IllegalTransition } from '../domain/turn.ts'
import type { TurnLane } from '../store/turns.ts'
import { type Finished, Lane, type LanePorts, type LaneRules, type LaneRun } from './lane.ts'
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

/** A chat that waits for a place for a shorter time is told nothing. */
const SILENT_WAIT_MS = 30_000
/** Between two tries of something that the host could not do, such as to write to a full disk. */
const RETRY_MS = 5_000
/** How long a shutdown waits for containers that were killed: an engine that hangs must not keep the host from ending. */
const KILL_WAIT_MS = 10_000
/** The same for a shutdown that is to end at once. */
const LAST_WAIT_MS = 2_000

const LANES: readonly TurnLane[] = ['chat', 'isolated']

/**
 * Decides who works when. Whatever a port or the store throws, each turn that was claimed reaches its end: it is written
 * down, or it is found by the next start.
 *
 * A lane's turns run one after another, and lanes are served first come, first served. There are no more containers than
 * allowed plus one that only main's chats may take. An idle container gives way at once when another group waits.
 */
export class GroupQueue {
  readonly #ports: QueuePorts
  readonly #rules: QueueRules
  /** By folder and name; made when there is work. */
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that have work and no place for a container, oldest first. */
  readonly #waiting = new Set<Lane>()
  /** Lanes that work, or whose container is starting or leaving, each with the end of that. */
  readonly #busy = new Map<Lane, Promise<void>>()
  readonly #stop = new AbortController()
  /** The host ends without its containers: nothing is written any more. */
  #abandoned = false
  /** Containers that were asked to leave and are not gone yet. */
  #leaving = 0
  /** When a lane's next try falls due. */
  readonly #dueTimers = new Timers()
  /** When a chat that waits for a place is told its position. */
  readonly #placeTimers = new Timers()
  /** When an idle container has waited long enough. */
  readonly #idleTimers = new Timers()

  constructor(ports: QueuePorts, rules: QueueRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /** There may be work for this group. Called for every event; the store decides. */
  wake(folder: string): void {
    for (const name of LANES) this.#wakeLane(folder, name)
  }

  #wakeLane(folder: string, name: TurnLane): void {
    if (this.#stopping) return
    const lane = this.#lanes.get(laneKey(folder, name))
    const looked = this.#attempt(folder, () => {
      if (lane && this.#busy.has(lane)) this.#followUp(lane)
      else this.#enqueue(folder, name)
    })
    if (!looked && lane && !this.#busy.has(lane)) this.#wakeLaneAt(lane, this.#ports.clock.now() + RETRY_MS)
  }

  #enqueue(folder: string, name: TurnLane): void {
    const next = this.#ports.desk.look(folder, name)
    if (next.type === 'nothing') return
    const isMain = this.#ports.isMain(folder)
    const lane = this.#lanes.get(laneKey(folder, name)) ?? this.#addLane(folder, name)
    lane.isMain = isMain
    if (next.type === 'wait') return this.#wakeLaneAt(lane, next.at)
    this.#waiting.add(lane)
    this.#pump()
  }

  #wakeLaneAt(lane: Lane, at: Instant): void {
    const wake = () => this.#wakeLane(lane.folder, lane.name)
    this.#dueTimers.set(lane, this.#ports.clock.wakeAt(at, wake))
  }

  /** Does work that nobody waits for. The next event or the sweep retries what fails here. */
  #attempt(folder: string, act: () => void): boolean {
    return attempt({ what: `Group ${folder}`, log: this.#ports.log }, act)
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted
  }

  #addLane(folder: string, name: TurnLane): Lane {
    const ports = { ...this.#ports.lane, onLive: (lane: Lane) => this.#followUp(lane) }
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

  containers(): { folder: string; lane: TurnLane; run: LaneRun; working: boolean }[] {
    return this.#allLanes().flatMap(({ folder, name, run, claimed }) =>
      run ? [{ folder, lane: name, run, working: claimed !== undefined }] : [],
    )
  }

  /**
   * Starts no more turns; lets running ones finish until `graceMs` is over or `now` says so; then ends every container. What
   * an engine does not end within ten seconds, or two after `now`, is left to the next start, which removes it.
   */
  async shutdown({ graceMs, now }: { graceMs: number; now: AbortSignal }): Promise<void> {
    const { clock } = this.#ports
    this.#stop.abort()
    this.#waiting.clear()
    for (const timers of [this.#dueTimers, this.#idleTimers, this.#placeTimers]) timers.clear()
    const giveUp = new AbortController()
    let cancel = clock.wakeAt(clock.now() + graceMs, killAll)
    const lanes = this.#allLanes()
    function killAll() {
      cancel()
      cancel = clock.wakeAt(clock.now() + (now.aborted ? LAST_WAIT_MS : KILL_WAIT_MS), () => giveUp.abort())
      for (const lane of lanes) void lane.kill()
    }
    now.addEventListener('abort', killAll, { once: true })
    if (now.aborted) killAll()
    await unlessAborted(this.#settled(), giveUp.signal).catch(() => this.#abandon())
    now.removeEventListener('abort', killAll)
    cancel()
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#busy.values())
    await Promise.all(this.#allLanes().map((lane) => lane.close()))
  }

  /** What is still in flight goes on at the next start, and this does not count as a failure. */
  #abandon(): void {
    const left = this.#allLanes().filter(({ run, claimed }) => run ?? claimed)
    this.#abandoned = true
    complain(this.#ports.log, `The engine did not end all containers in time (left: ${left.length}); the next start removes them`)
    for (const { folder, inFlight } of left) this.#attempt(folder, () => this.#ports.desk.shelve(inFlight))
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

  /** A chat that waits for long is told its position. */
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
  #hasOwnPlace({ isMain, name }: Lane): boolean {
    return name === 'chat' && isMain
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

  /** Works off what the lane has, until there is no more or others wait for its place. Never rejects. */
  async #work(lane: Lane): Promise<void> {
    let mayClaim = true
    while (mayClaim && !this.#stopping) {
      let claimed: ClaimedTurn | undefined
      mayClaim = this.#attempt(lane.folder, () => {
        claimed = this.#ports.desk.claim(lane.folder, lane.name)
      })
      if (!claimed) break
      await this.#turn(lane, claimed)
      if (this.#waiting.size > 0) break
    }
    if (this.#waiting.size > 0 && !this.#mayStay(lane)) await lane.close()
    this.#free(lane, mayClaim ? undefined : this.#ports.clock.now() + RETRY_MS)
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
    if (restUntil === undefined) this.#wakeLane(folder, name)
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
    const { folder } = lane
    let showNoMore = () => {}
    if (!claimed.task)
      this.#attempt(folder, () => {
        showNoMore = this.#ports.showWork(claimed.jid)
      })
    await lane.work(claimed, (finished) => this.#end(lane, finished))
    this.#attempt(folder, showNoMore)
  }

  async #end(lane: Lane, finished: Finished): Promise<void> {
    const { turns, outcome } = finished
    const written = await this.#commit(() => this.#write(lane, finished))
    // One of several that is gone must not take the others along.
    if (written === 'gone' && turns.length > 1) for (const turn of turns) await this.#end(lane, { turns: [turn], outcome })
    else this.#attempt(lane.folder, () => this.#ports.deliver())
  }

  #write(lane: Lane, { turns, outcome }: Finished): void {
    const { desk } = this.#ports
    this.#attempt(lane.folder, () => lane.nameSession())
    // What failed only because we are stopping is no failure: it goes on at the next start.
    if (this.#stopping && outcome.type !== 'answered') desk.shelve(turns)
    else desk.finish(turns, outcome)
  }

  /** What the chat of the running turn says goes into it, unless another group waits for the place. */
  #followUp(lane: Lane): void {
    while (lane.claimed && lane.takesFollowUps && this.#waiting.size === 0) {
      const more = this.#ports.desk.claimFollowUp(lane.claimed)
      if (!more) return
      lane.followUp(more)
    }
  }

  /**
   * An answer that cannot be stored is kept until it can: a full disk delays it, nothing else. While the host stops there is
   * one try, and the next start finds the turn. `gone`: the turn is not running any more. Never rejects.
   */
  async #commit(write: () => void): Promise<'written' | 'gone' | 'left'> {
    const { clock, log } = this.#ports
    while (!this.#abandoned) {
      try {
        write()
        return 'written'
      } catch (error) {
        const isGone = error instanceof IllegalTransition
        const next = isGone ? 'its turn is gone' : this.#stopping ? 'the next start asks for it again' : 'it is tried again'
        complain(log, `An answer could not be stored, ${next}: ${errorText(error)}`)
        if (isGone) return 'gone'
        if (this.#stopping) return 'left'
        await pause({ clock, until: clock.now() + RETRY_MS, signal: this.#stop.signal })
      }
    }
    return 'left'
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
