import { Commands } from '../../src/app/commands.ts'
import { Feed } from '../../src/app/feed.ts'
import { GroupQueue } from '../../src/app/group-queue.ts'
import { Inbox } from '../../src/app/inbox.ts'
import type { LaneRun } from '../../src/app/lane.ts'
import { LoginWatch } from '../../src/app/login-watch.ts'
import { Courier } from '../../src/app/outbox.ts'
import { Scheduler } from '../../src/app/scheduler.ts'
import { TaskBook } from '../../src/app/tasks.ts'
import { TurnDesk } from '../../src/app/turn-desk.ts'
import { AgentRun, type RunTrail } from '../../src/container/agent-run.ts'
import type { StartRequest } from '../../src/container-runner.ts'
import type { Clock } from '../../src/domain/clock.ts'
import { AppError } from '../../src/domain/errors.ts'
import type { SenderJudge } from '../../src/domain/senders.ts'
import { everybody } from '../fakes/senders.ts'
import { SimAgent } from './agent.ts'
import { CHATS, Fault, HostDied, type Sent, storeOfHost, type World } from './world.ts'

const QUIET = { debug() {}, info() {}, warn() {}, error() {} }
const NO_LOG: RunTrail = { section() {}, line() {}, redact: (text) => text, close() {} }

type Start = { request: StartRequest; end(run: LaneRun): void; fail(error: Error): void }

/** One life of the host: the real app on the world's store. What it is told to do after its death has no effect. */
export class SimHost {
  readonly #world: World
  readonly #life: { dead: boolean; die(): void }
  readonly #queue: GroupQueue
  readonly #courier: Courier
  readonly #desk: TurnDesk
  readonly #inbox: Inbox
  readonly #scheduler: Scheduler
  readonly #tasks: TaskBook
  readonly #login: LoginWatch
  readonly #now = new AbortController()
  starts: Start[] = []
  agents: SimAgent[] = []
  #stopped: Promise<void> | undefined
  #started = false

  constructor(world: World, { maxContainers }: { maxContainers: number }) {
    this.#world = world
    this.#life = { dead: false, die: () => this.die() }
    const store = storeOfHost(world, this.#life)
    const clock = this.#clock()
    const feed = new Feed(QUIET)
    for (const { jid } of CHATS) feed.subscribe(jid, () => this.#mayFail('a watcher'))
    const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 3, installId: 'sim' }
    const judge: SenderJudge = (speaker, group) => {
      this.#mayFail('the judgement of a sender')
      return everybody(speaker, group)
    }
    this.#desk = new TurnDesk({ store, feed, now: clock.now, judge, loginChanges: () => this.#login.changes }, rules)
    const channels = world.platforms.map((platform) => platform.seenBy(this.#life, this.#mayFail))
    const channelOf = (jid: string) => channels.find((channel) => channel.owns(jid))
    this.#courier = new Courier({ store, clock, channelOf, random: world.random.next, forget: () => {}, log: QUIET })
    const deliver = () => this.#courier.deliver()
    const lane = {
      start: (request: StartRequest) => this.#start(request),
      onSession: this.#desk.sessionNamed.bind(this.#desk),
      onActivity: () => this.#mayFail('a listener of activities'),
      log: QUIET,
    }
    const limits = { root: '/nowhere', assistantName: 'Andy', timeoutMs: 120_000, maxContainers, idleTimeoutMs: 60_000 }
    const isMain = (folder: string) => {
      this.#mayFail('the question for main')
      return folder === 'main'
    }
    const showWork = () => {
      this.#mayFail('the sign of work')
      return () => this.#mayFail('the end of the sign of work')
    }
    const afterTurn = () => {
      this.#mayFail('what follows a turn')
      deliver()
    }
    this.#queue = new GroupQueue({ desk: this.#desk, clock, lane, deliver: afterTurn, isMain, showWork, log: QUIET }, limits)
    const commandRules = { root: '/nowhere', assistantName: 'Andy', timeZone: 'UTC' }
    const unused = { audit() {}, hardReset: { want: () => () => {} } }
    const commands = new Commands(
      { store, desk: this.#desk, queue: this.#queue, deliver, troubles: () => [], now: clock.now, log: QUIET, ...unused },
      commandRules,
    )
    const wake = (folder: string) => this.#queue.wake(folder)
    const heard = { judge: everybody, onDropped() {}, takeCommand: commands.take.bind(commands) }
    this.#inbox = new Inbox({ store, feed, wake, deliver, ...heard })
    const later = (work: () => void) => queueMicrotask(() => this.#begin(work))
    const zone = { timeZone: 'UTC' }
    this.#scheduler = new Scheduler({ store, clock, wake, deliver, changed: () => {}, log: QUIET }, zone)
    const newId = () => world.newId('task')
    const changed = () => later(() => this.#scheduler.wake())
    this.#tasks = new TaskBook({ store, now: clock.now, newId, wake: (folder) => later(() => wake(folder)), changed }, zone)
    const login = async () => {
      this.#mayFail('the look at the login')
      return { fingerprint: String(world.logins) }
    }
    this.#login = new LoginWatch({ store, login, wakeAll: () => this.#begin(() => this.#wakeAll()) })
    this.#begin(() => {
      this.#desk.recover()
      this.#courier.recover()
      this.#scheduler.start()
      this.#started = true
      this.sweep()
    })
    // Without room for what it must write, a host does not start.
    if (!this.#started) this.die()
  }

  get dead(): boolean {
    return this.#life.dead
  }

  get stopping(): boolean {
    return this.#stopped !== undefined
  }

  die(): void {
    if (this.#life.dead) return
    this.#life.dead = true
    this.#world.crashes++
    for (const platform of this.#world.platforms) platform.calls = []
  }

  sweep(): void {
    this.#beginSafe(() => this.#wakeAll())
    this.#beginSafe(() => this.#scheduler.wake())
    this.#beginSafe(() => this.#courier.deliver())
    this.#login.check().catch((error: unknown) => this.#failed(error))
  }

  #wakeAll(): void {
    for (const { folder } of this.#world.store.groups.all()) this.#queue.wake(folder)
  }

  /** Somebody changes something about tasks. */
  changeTasks(change: (tasks: TaskBook) => void): void {
    this.#begin(() => change(this.#tasks))
  }

  /** A platform hands a message over; it is told only when that is done. */
  receive(message: Sent): void {
    this.#begin(() => {
      const { jid, id, text, fromMe } = message
      this.#inbox.receive({ jid, id, text, fromMe, sender: 'ann', senderName: 'Ann', sentAt: this.#world.clock.now() })
      message.acknowledged = true
    })
  }

  /** Its sender changes what was said, or takes it back. */
  change({ jid, id, text, changed }: Sent): void {
    const change = { jid, id, sender: 'ann', text }
    const done = changed === 'edited' ? this.#inbox.edited(change) : this.#inbox.deleted(change)
    done.catch((error: unknown) => this.#failed(error))
  }

  stateChanged(): void {
    this.#beginSafe(() => this.#inbox.stateChanged())
  }

  stop(): void {
    this.#stopped ??= this.#end().catch((error: unknown) => this.#failed(error))
  }

  stopNow(): void {
    this.#now.abort()
  }

  async #end(): Promise<void> {
    this.#scheduler.stop()
    await this.#queue.shutdown({ graceMs: 20_000, now: this.#now.signal })
    await this.#courier.stop()
    this.#life.dead = true
  }

  #mayFail = (what: string): void => {
    if (!this.#life.dead) this.#world.mayFail(what)
  }

  /** Nobody catches what this throws: it would end the process. */
  #beginSafe(work: () => void): void {
    if (this.#life.dead) return
    try {
      work()
    } catch (error) {
      if (!(error instanceof HostDied)) throw new Error(`nobody catches this: ${error}`, { cause: error })
    }
  }

  #begin(work: () => void): void {
    if (this.#life.dead) return
    try {
      work()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** A death is one, and a fault or a full disk is told to whoever asked; anything else is a mistake of ours. */
  #failed(error: unknown): void {
    if (error instanceof HostDied || error instanceof Fault || (error instanceof AppError && error.code === 'store.disk')) return
    throw error
  }

  #start(request: StartRequest): Promise<LaneRun> {
    return new Promise((end, fail) => this.starts.push({ request, end, fail }))
  }

  /** The engine comes to an end with starting a container. */
  finishStart(start: Start, { refused }: { refused: boolean }): void {
    this.starts = this.starts.filter((other) => other !== start)
    if (refused) return start.fail(new AppError({ code: 'engine.unreachable', fault: 'engine', message: 'no engine' }))
    const { request } = start
    const agent = new SimAgent({ world: this.#world, sessionId: request.sessionId })
    this.agents.push(agent)
    this.#world.agents.push(agent)
    const run: LaneRun = new AgentRun({
      name: `${request.group.folder}/${request.lane}`,
      container: agent,
      clock: this.#clock(),
      log: NO_LOG,
      listener: request.listener,
      limit: () => undefined,
    })
    start.end(run)
  }

  /** Time as this host sees it: its alarms end with it. */
  #clock(): Clock {
    const { clock } = this.#world
    return { now: clock.now, wakeAt: (at, wake) => clock.wakeAt(at, () => this.#beginSafe(wake)) }
  }
}
