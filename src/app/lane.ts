import { statSync } from 'node:fs'
import path from 'node:path'
import type { ActivityFrame } from '@nanoclaw/protocol'
import type { AgentRun, TurnOutcome, TurnRequest } from '../container/agent-run.ts'
import { type StartRequest, sessionsFolder } from '../container-runner.ts'
import { AppError, errorText } from '../domain/errors.ts'
import type { FailureClass } from '../domain/turn.ts'
import type { TurnLane } from '../store/turns.ts'
import type { ClaimedTurn } from './turn-desk.ts'

export type LanePorts = {
  start(request: StartRequest, signal?: AbortSignal): Promise<AgentRun>
  onSession(claimed: ClaimedTurn, sessionId: string): void
  onActivity(jid: string, activity: ActivityFrame): void
  /** The container has the turn: from now on it takes follow-ups. */
  onLive(lane: Lane): void
  log: { info(text: string): void; warn(text: string): void }
}

export type LaneRules = { root: string; assistantName: string; timeoutMs: number }

/** How long a container may take to leave when it is asked to. */
const CLOSE_GRACE_MS = 5_000

/** Turns that ended with one outcome, oldest first. */
export type Finished = { turns: ClaimedTurn[]; outcome: TurnOutcome }

/**
 * One lane of a group: at most one container, one turn at a time and its follow-ups. The chat lane keeps its container
 * warm between turns; in the isolated lane each run of a task gets a fresh one.
 */
export class Lane {
  readonly folder: string
  readonly name: TurnLane
  /** When its last turn ended; the container idle for longest gives way first. */
  idleSince = 0
  readonly #ports: LanePorts
  readonly #rules: LaneRules
  #run: AgentRun | undefined
  #sessionsInode: number | undefined
  readonly #inFlight: ClaimedTurn[] = []
  #stopWanted = false
  /** The container has the turn that is worked on. Until then it may be the last turn's, on its way out. */
  #live = false
  #worn: AgentRun | undefined

  constructor({ folder, name, ports, rules }: { folder: string; name: TurnLane; ports: LanePorts; rules: LaneRules }) {
    this.folder = folder
    this.name = name
    this.#ports = ports
    this.#rules = rules
  }

  /** The container there is, working or warm. */
  get run(): AgentRun | undefined {
    return this.#run
  }

  /** The turn that is being worked on. */
  get claimed(): ClaimedTurn | undefined {
    return this.#inFlight[0]
  }

  /** A container that could take a turn at once. */
  get warm(): boolean {
    return this.#run?.usable ?? false
  }

  /** The running turn could take what its chat says now. A task's run takes nothing: its answer is not for them. */
  get takesFollowUps(): boolean {
    return (
      this.#live && this.claimed !== undefined && !this.claimed.task && !this.#stopWanted && (this.#run?.takesFollowUps ?? false)
    )
  }

  /**
   * Works on one turn, in the warm container if it still fits, and on the follow-ups that join it, until none is in
   * flight. Never throws: what goes wrong is an outcome.
   */
  async *work(claimed: ClaimedTurn): AsyncGenerator<Finished> {
    this.#inFlight.push(claimed)
    this.#stopWanted = false
    try {
      const run = await this.#runFor(claimed)
      if (this.#stopWanted) return yield this.#finishAll({ type: 'stopped', text: null })
      run.push(this.#request(claimed))
      this.#live = true
      this.#ports.onLive(this)
      while (this.#inFlight.length > 0) {
        const { uuids, outcome } = await run.settled()
        yield { turns: this.#inFlight.splice(0, uuids.length), outcome }
      }
    } catch (error) {
      this.#live = false
      // What it was asked already would be answered to nobody, in a container that nobody ends.
      await this.#run?.kill()
      yield this.#finishAll({ type: 'failed', reason: reasonOf(error), detail: errorText(error) })
    } finally {
      this.#live = false
      if (this.name === 'isolated') await this.close()
    }
  }

  /** The running turn's chat said more: it goes into the same container. Only while `takesFollowUps`. */
  followUp(claimed: ClaimedTurn): void {
    this.#inFlight.push(claimed)
    this.#run?.push(this.#request(claimed))
  }

  #request({ uuid, prompt, jid, earlier, siblings, group, task }: ClaimedTurn): TurnRequest {
    const timeoutMs = group.config.timeout ?? this.#rules.timeoutMs
    return { uuid, prompt, chatJid: jid, earlier, siblings, timeoutMs, script: task?.script ?? undefined }
  }

  #finishAll(outcome: TurnOutcome): Finished {
    return { turns: this.#inFlight.splice(0), outcome }
  }

  /** Interrupts what is being worked on; also a turn whose container is only starting. */
  stop(): boolean {
    if (this.#inFlight.length === 0) return false
    this.#stopWanted = true
    this.#run?.stop()
    return true
  }

  /** The container is not used for another turn. */
  wearOut(): void {
    this.#worn = this.#run
  }

  /** Ends the container, gracefully. Resolves when it is gone. */
  async close(): Promise<void> {
    const run = this.#run
    await run?.close(CLOSE_GRACE_MS)
  }

  /** Ends the container by force; a turn whose container is only starting does not begin. */
  async kill(): Promise<void> {
    this.#stopWanted = true
    await this.#run?.kill()
  }

  async #runFor(claimed: ClaimedTurn): Promise<AgentRun> {
    const warm = this.#run
    if (warm && this.#fits(warm, claimed)) {
      this.#logSession(claimed.sessionId ?? '')
      return warm
    }
    await this.close()
    const { group, jid: chatJid, sessionId } = claimed
    const listener = {
      onSession: (id: string) => this.#named(id),
      onActivity: (activity: ActivityFrame) => this.claimed && this.#ports.onActivity(this.claimed.jid, activity),
    }
    const run = await this.#ports.start({
      group,
      lane: this.name,
      chatJid,
      sessionId,
      assistantName: this.#rules.assistantName,
      listener,
    })
    this.#run = run
    this.#sessionsInode = this.#inode()
    void run.ended.then(() => {
      if (this.#run === run) this.#run = undefined
    })
    return run
  }

  /** A warm container goes on only with the session the store names, in the session folder and with the mounts it was given. */
  #fits(run: AgentRun, claimed: ClaimedTurn): boolean {
    return (
      !run.outdated &&
      run !== this.#worn &&
      run.usable &&
      run.sessionId === claimed.sessionId &&
      this.#sessionsInode === this.#inode()
    )
  }

  #inode(): number | undefined {
    return statSync(path.join(this.#rules.root, sessionsFolder(this.folder, this.name)), { throwIfNoEntry: false })?.ino
  }

  #named(sessionId: string): void {
    if (!this.claimed) return
    this.#ports.onSession(this.claimed, sessionId)
    this.#logSession(sessionId)
  }

  /** One line for each turn, ending with the id: the guides tell people to compare the last ones of the conversation. */
  #logSession(sessionId: string): void {
    const what = this.name === 'chat' ? 'Session' : 'Session of a task'
    this.#ports.log.info(`Group ${this.folder}: ${what} initialized: ${sessionId}`)
  }
}

function reasonOf(error: unknown): FailureClass {
  if (!(error instanceof AppError)) return 'crash'
  if (error.code === 'engine.image-missing' || error.fault === 'user' || error.fault === 'agent') return 'setup'
  return error.fault === 'engine' ? 'engine' : 'crash'
}
