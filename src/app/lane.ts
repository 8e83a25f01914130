import { statSync } from 'node:fs'
import path from 'node:path'
import type { ActivityFrame } from '@nanoclaw/protocol'
import type { AgentRun, TurnOutcome, TurnRequest } from '../container/agent-run.ts'
import { type StartRequest, sessionsFolder } from '../container-runner.ts'
import { unlessAborted } from '../domain/abort.ts'
import { attempt } from '../domain/attempt.ts'
import { AppError, errorText } from '../domain/errors.ts'
import type { FailureClass } from '../domain/turn.ts'
import type { TurnLane } from '../store/turns.ts'
import type { ClaimedTurn } from './turn-desk.ts'

/** A turn as its container gets it, with the claim that the host holds on it. */
export type LaneRequest = TurnRequest & { claimed: ClaimedTurn }
export type LaneRun = AgentRun<LaneRequest>

export type LanePorts = {
  /** Rejects soon after `signal` aborts, and leaves nothing behind then. */
  start(request: StartRequest, signal: AbortSignal): Promise<LaneRun>
  onSession(claimed: ClaimedTurn, sessionId: string): void
  onActivity(jid: string, activity: ActivityFrame): void
  /** The container has the turn: from now on it takes follow-ups. */
  onLive(lane: Lane): void
  log: { info(text: string): void; error(text: string): void }
}

export type LaneRules = { root: string; assistantName: string; timeoutMs: number }

/** How long a container may take to leave when it is asked to. */
const CLOSE_GRACE_MS = 5_000

/** Turns that ended with one outcome, oldest first. */
export type Finished = { turns: ClaimedTurn[]; outcome: TurnOutcome }

/** A container and what it was started with. `worn`: its settings are outdated or it leaves, so it takes no further turn. */
type Session = { readonly run: LaneRun; readonly inode: number | undefined; worn: boolean }

/**
 * What a lane does. `sessions` are its containers that are not gone: today at most one, and with threads one for each.
 * A turn is in flight from its claim to its end: while its container starts it is `claimed`, then it is in its run's list.
 */
export type LaneState = { sessions: readonly Session[] } & (
  | { type: 'idle' }
  /** `worn`: the settings changed since the start began. */
  | { type: 'starting'; claimed: ClaimedTurn; abort: AbortController; worn: boolean }
  /** `stopped`: it was interrupted, so it takes no follow-ups. */
  | { type: 'working'; on: Session; stopped: boolean }
)

/**
 * One lane of a group: one turn at a time and its follow-ups. The chat lane keeps its container warm between turns; in the
 * isolated lane each run of a task gets a fresh one.
 */
export class Lane {
  readonly folder: string
  readonly name: TurnLane
  /** The group is main, as the store said last. */
  isMain = false
  /** When its last turn ended; the container idle for longest gives way first. */
  idleSince = 0
  readonly #ports: LanePorts
  readonly #rules: LaneRules
  #state: LaneState = { type: 'idle', sessions: [] }
  /** The id of a session that could not be stored yet, and the turn that it belongs to. */
  #unnamed: { claimed: ClaimedTurn; sessionId: string } | undefined

  constructor({ folder, name, ports, rules }: { folder: string; name: TurnLane; ports: LanePorts; rules: LaneRules }) {
    this.folder = folder
    this.name = name
    this.#ports = ports
    this.#rules = rules
  }

  /** The container there is, working or warm. */
  get run(): LaneRun | undefined {
    return this.#state.sessions.at(-1)?.run
  }

  /** The turn that is being worked on. */
  get claimed(): ClaimedTurn | undefined {
    return this.inFlight[0]
  }

  /** The turns that were claimed and have not ended, oldest first. */
  get inFlight(): ClaimedTurn[] {
    if (this.#state.type === 'starting') return [this.#state.claimed]
    return this.#state.type === 'working' ? this.#state.on.run.inFlight.map(({ claimed }) => claimed) : []
  }

  /** A container that could take a turn at once. */
  get warm(): boolean {
    const session = this.#state.sessions.at(-1)
    return session !== undefined && !session.worn && session.run.usable
  }

  /** The running turn could take what its chat says now. A task's run takes nothing: its answer is not for them. */
  get takesFollowUps(): boolean {
    const state = this.#state
    return state.type === 'working' && !state.stopped && !this.claimed?.task && state.on.run.takesFollowUps
  }

  /**
   * Works on one turn, in the warm container if it still fits, and on the follow-ups that join it. Hands each of them to
   * `end` once, with its outcome. Never rejects, provided that `end` does not: what goes wrong is an outcome.
   */
  async work(claimed: ClaimedTurn, end: (finished: Finished) => Promise<void>): Promise<void> {
    const failure = await this.#handOver(claimed)
    if (failure) await end({ turns: [claimed], outcome: failure })
    while (this.#state.type === 'working' && this.#state.on.run.hasUnfinished) {
      const { requests, outcome } = await this.#state.on.run.settled()
      await end({ turns: requests.map((request) => request.claimed), outcome })
    }
    this.#enter({ type: 'idle' })
    if (this.name === 'isolated') await this.close()
  }

  /** Gives the turn to a container. Returns why it did not get there. */
  async #handOver(claimed: ClaimedTurn): Promise<TurnOutcome | undefined> {
    const abort = new AbortController()
    this.#unnamed = undefined
    this.#enter({ type: 'starting', claimed, abort, worn: false })
    try {
      const session = await this.#sessionFor(claimed, abort.signal)
      abort.signal.throwIfAborted()
      session.run.push(this.#request(claimed))
      this.#enter({ type: 'working', on: session, stopped: false })
    } catch (error) {
      this.#enter({ type: 'idle' })
      if (abort.signal.aborted) return { type: 'stopped', text: null }
      this.#wearSessions()
      void this.run?.kill()
      return { type: 'failed', reason: reasonOf(error), detail: errorText(error) }
    }
    this.#attempt(() => this.#ports.onLive(this))
    return undefined
  }

  /** The running turn's chat said more: it goes into the same container. Only while `takesFollowUps`. */
  followUp(claimed: ClaimedTurn): void {
    this.run?.push(this.#request(claimed))
  }

  #request(claimed: ClaimedTurn): LaneRequest {
    const { uuid, prompt, jid, earlier, siblings, group, task } = claimed
    const timeoutMs = group.config.timeout ?? this.#rules.timeoutMs
    return { uuid, prompt, chatJid: jid, earlier, siblings, timeoutMs, script: task?.script ?? undefined, claimed }
  }

  /** Interrupts what is being worked on; the start of a container is broken off. */
  stop(): boolean {
    const state = this.#state
    if (state.type === 'starting') state.abort.abort()
    if (state.type === 'working') {
      state.stopped = true
      return state.on.run.stop()
    }
    return state.type === 'starting'
  }

  /** Neither the container that there is nor the one that is starting is used for another turn. */
  wearOut(): void {
    this.#wearSessions()
    if (this.#state.type === 'starting') this.#state.worn = true
  }

  #wearSessions(): void {
    for (const session of this.#state.sessions) session.worn = true
  }

  /** Ends the container, gracefully. Resolves when it is gone. Never rejects. */
  async close(): Promise<void> {
    this.#wearSessions()
    await Promise.all(this.#state.sessions.map(({ run }) => run.close(CLOSE_GRACE_MS)))
  }

  /** Ends the container by force, and breaks off the start of one. Never rejects. */
  async kill(): Promise<void> {
    if (this.#state.type === 'starting') this.#state.abort.abort()
    await Promise.all(this.#state.sessions.map(({ run }) => run.kill()))
  }

  /** Stores the name of a session that could not be stored when it was said. Throws when it still cannot. */
  nameSession(): void {
    if (!this.#unnamed) return
    const { claimed, sessionId } = this.#unnamed
    this.#ports.onSession(claimed, sessionId)
    this.#unnamed = undefined
  }

  async #sessionFor(claimed: ClaimedTurn, signal: AbortSignal): Promise<Session> {
    const warm = this.#state.sessions.at(-1)
    if (warm && this.#fits(warm, claimed)) {
      this.#logSession(claimed.sessionId ?? '')
      return warm
    }
    await unlessAborted(this.close(), signal)
    const starting = this.#ports.start(this.#startRequest(claimed), signal)
    // A start that ignores the signal still brings a container, which nobody waits for any more.
    starting.then((run) => (signal.aborted ? run.kill() : undefined)).catch(() => {})
    return this.#addSession(await unlessAborted(starting, signal))
  }

  #startRequest({ group, jid: chatJid, sessionId }: ClaimedTurn): StartRequest {
    const listener = {
      onSession: (id: string) => this.#named(id),
      onActivity: (activity: ActivityFrame) => this.claimed && this.#ports.onActivity(this.claimed.jid, activity),
    }
    return { group, lane: this.name, chatJid, sessionId, assistantName: this.#rules.assistantName, listener }
  }

  #addSession(run: LaneRun): Session {
    const worn = this.#state.type === 'starting' && this.#state.worn
    const session: Session = { run, inode: this.#inode(), worn }
    this.#state = { ...this.#state, sessions: [...this.#state.sessions, session] }
    void run.ended.then(() => {
      this.#state = { ...this.#state, sessions: this.#state.sessions.filter((other) => other !== session) }
    })
    return session
  }

  /** A warm container goes on only with the session the store names, in the session folder and with the mounts it was given. */
  #fits({ run, inode, worn }: Session, claimed: ClaimedTurn): boolean {
    return !run.outdated && !worn && run.usable && run.sessionId === claimed.sessionId && inode === this.#inode()
  }

  /** Undefined where there is no such folder. One that cannot be looked at is NaN, so it equals nothing: a fresh container starts. */
  #inode(): number | undefined {
    try {
      return statSync(path.join(this.#rules.root, sessionsFolder(this.folder, this.name)), { throwIfNoEntry: false })?.ino
    } catch {
      return Number.NaN
    }
  }

  #named(sessionId: string): void {
    if (!this.claimed) return
    this.#unnamed = { claimed: this.claimed, sessionId }
    this.#attempt(() => this.nameSession())
    this.#logSession(sessionId)
  }

  /** One line for each turn, ending with the id: the guides tell people to compare the last ones of the conversation. */
  #logSession(sessionId: string): void {
    const what = this.name === 'chat' ? 'Session' : 'Session of a task'
    this.#attempt(() => this.#ports.log.info(`Group ${this.folder}: ${what} initialized: ${sessionId}`))
  }

  #attempt(act: () => void): void {
    attempt({ what: `Group ${this.folder}`, log: this.#ports.log }, act)
  }

  #enter(state: StateOf): void {
    this.#state = { ...state, sessions: this.#state.sessions }
  }
}

type StateOf<State = LaneState> = State extends LaneState ? Omit<State, 'sessions'> : never

function reasonOf(error: unknown): FailureClass {
  if (!(error instanceof AppError)) return 'crash'
  if (error.code === 'engine.image-missing' || error.fault === 'user' || error.fault === 'agent') return 'setup'
  return error.fault === 'engine' ? 'engine' : 'crash'
}
