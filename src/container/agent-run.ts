import {
  type ActivityFrame,
  type HostFrame,
  type IpcResult,
  type Line,
  lines,
  MAX_FRAME_BYTES,
  type ResultFrame,
  runnerFrame,
  type Usage,
} from '@nanoclaw/protocol'
import type { Clock } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import type { FailureClass } from '../domain/turn.ts'
import type { ContainerExit, RunningContainer } from '../runtimes/contract.ts'
import type { RunLog } from './run-log.ts'

/** One turn as the container gets it. */
export type TurnRequest = {
  uuid: string
  prompt: string
  chatJid: string
  earlier: string[]
  siblings: string[]
  timeoutMs: number
  /** Decides in the container whether the model is asked at all. */
  script?: string | undefined
}

/** How a turn ended. `text` is what the agent said, null when it said nothing. */
export type TurnOutcome =
  /** `answerId`: the same for two turns, it is one answer to both. */
  | { type: 'answered'; text: string | null; usage: Usage | undefined; answerId?: string | undefined }
  | { type: 'stopped'; text: string | null }
  | { type: 'failed'; reason: FailureClass; detail: string; retryAt?: number | undefined }

export type RunListener = {
  /** The SDK named its session. */
  onSession(sessionId: string): void
  onActivity(activity: ActivityFrame): void
}

/** Between an interrupt and the kill that follows when it shows no effect. */
const INTERRUPT_GRACE_MS = 5_000
const KILL_AGAIN_MS = 30_000
/** A container that prints more than this at once, or faster than this in the long run, is flooding us, be it with frames. */
const OUTPUT = { burst: 16 * 1024 * 1024, perSecond: 256 * 1024 }
/** What a line counts for beside its bytes: to read a short one takes as long. */
const LINE_COST = 128
/** A conversation is named anew now and then; each name may be written down. */
const MAX_NAMES = 100
/** Fewer than the 64 messages that a result can name. */
const MAX_IN_FLIGHT = 32
/** All the time that a turn may wait for people: an agent must not keep its place for ever by asking. */
const MAX_PAUSE_MS = 24 * 60 * 60_000
/** A container that leaves more than this unread gets no more replies. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024
/** stderr lines are log text; a longer one is cut. */
const MAX_LOG_LINE_BYTES = 64 * 1024

/** Why the model may not be asked before `retryAt`. Unlike a frame, it cannot be forged by an agent. */
export type ModelLimit = { type: 'rate-limit'; retryAt: number } | { type: 'budget'; retryAt: number; why: string }

/** Where what a run takes in and says is written down. */
export type RunTrail = Pick<RunLog, 'section' | 'line' | 'redact' | 'close'>

type RunParts = {
  name: string
  container: RunningContainer
  clock: Clock
  log: RunTrail
  listener: RunListener
  /** What the gateway knows of why the model does not answer. */
  limit: () => ModelLimit | undefined
  /** What the container was given is not what a new one would get. */
  outdated?: () => boolean
  /** The container is not what it was promised to be, as the program in it says. */
  onWrongSetup?: (why: string) => void
  /** The container is gone: takes away what it had on the host, and may still write to the log. Never rejects. */
  cleanUp?: () => Promise<void>
}

/** Turns that ended together, oldest first: what came while the first ran may have gone into its answer. */
export type Settled<Request> = { requests: Request[]; outcome: TurnOutcome }

type InFlight<Request> = {
  request: Request
  /** When its time is over; while it is paused, that moment moves on, but never beyond `latest`. */
  deadline: number
  latest: number
  pauses: number
  pausedAt: number
  ending?: 'stopped' | 'timeout'
  /** The runner said that it crashed; why may be known only when the container is gone. */
  crashed?: TurnOutcome
}

/**
 * A live container with an agent in it: a turn and its follow-ups go in, their outcomes come out. What the container
 * prints is bounded and never trusted: a result counts only for turns that are in flight, by their uuids.
 */
export class AgentRun<Request extends TurnRequest = TurnRequest> {
  readonly name: string
  readonly id: string
  readonly startedAt: number
  /** Resolves when the container is gone, what it had is cleaned up, and its log is closed. Never rejects. */
  readonly ended: Promise<void>
  readonly #container: RunningContainer
  readonly #clock: Clock
  readonly #log: RunTrail
  readonly #listener: RunListener
  readonly #limit: () => ModelLimit | undefined
  readonly #outdated: () => boolean
  readonly #onWrongSetup: (why: string) => void
  readonly #cleanUp: () => Promise<void>
  readonly #inFlight: InFlight<Request>[] = []
  readonly #settled: Settled<Request>[] = []
  #wake: () => void = () => {}
  #cancelTimer: () => void = () => {}
  #sessionId: string | undefined
  #names = 0
  #cancelKill: () => void = () => {}
  /** Nothing more goes in. */
  #over = false
  #gone = false
  #printable = OUTPUT.burst
  #printedAt: number
  #flooded = false
  #lastError = ''
  #wrongSetup: (TurnOutcome & { type: 'failed' }) | undefined

  constructor({ name, container, clock, log, listener, limit, ...rest }: RunParts) {
    this.name = name
    this.id = container.id
    this.startedAt = clock.now()
    this.#printedAt = this.startedAt
    this.#container = container
    this.#clock = clock
    this.#log = log
    this.#listener = listener
    this.#limit = limit
    this.#outdated = rest.outdated ?? (() => false)
    this.#onWrongSetup = rest.onWrongSetup ?? (() => {})
    this.#cleanUp = rest.cleanUp ?? (async () => {})
    container.stdin.on('error', () => {}) // a container that is gone is noticed by `exited`
    this.ended = this.#live()
  }

  get sessionId(): string | undefined {
    return this.#sessionId
  }

  /** True while a next turn can go in. */
  get usable(): boolean {
    return !this.#over && this.#inFlight.length === 0 && this.#settled.length === 0
  }

  /** True when a fresh container would be given other things. */
  get outdated(): boolean {
    return this.#outdated()
  }

  /** True while the running turn can take a follow-up. The SDK names at most 64 messages in a result. */
  get takesFollowUps(): boolean {
    const head = this.#inFlight[0]
    return !this.#over && head !== undefined && !head.ending && this.#inFlight.length < MAX_IN_FLIGHT
  }

  /** The turn that runs, and its chat. */
  get turn(): { uuid: string; chatJid: string } | undefined {
    return this.#inFlight[0]?.request
  }

  /** The turns that went in and have not ended, oldest first. */
  get inFlight(): Request[] {
    return this.#inFlight.map(({ request }) => request)
  }

  /** True while `settled` has something to come. */
  get hasUnfinished(): boolean {
    return this.#inFlight.length > 0 || this.#settled.length > 0
  }

  /** Answers a request of the agent. False when nobody is there to read it. */
  reply({ id, ok, result }: { id: string; ok: boolean; result: unknown }): boolean {
    const { writable, writableLength } = this.#container.stdin
    if (this.#over || !writable || writableLength > MAX_UNREAD_BYTES) return false
    const frame = { type: 'reply' as const, id, ok, result }
    const bytes = Buffer.byteLength(JSON.stringify(frame))
    // Longer than a line may be, it would not be read, and the agent would wait for it.
    this.#send(bytes < MAX_FRAME_BYTES ? frame : { ...frame, ok: false, result: tooLongToSay(bytes) })
    return true
  }

  /** The time of the running turn stands still while it waits for a person. Returns what lets it go on. */
  pauseTimer(): () => void {
    const head = this.#inFlight[0]
    if (!head || head.ending) return () => {}
    if (head.pauses++ === 0) {
      head.pausedAt = this.#clock.now()
      this.#arm(head.latest)
    }
    let over = false
    return () => {
      if (over || this.#inFlight[0] !== head || head.ending) return
      over = true
      if (--head.pauses > 0) return
      head.deadline = Math.min(head.deadline + this.#clock.now() - head.pausedAt, head.latest)
      this.#arm(head.deadline)
    }
  }

  /** A turn goes in, or a follow-up of the one that runs. Its end comes by `settled`. Throws when the run cannot take it. */
  push(request: Request): void {
    const { uuid, prompt, chatJid, earlier, siblings, script } = request
    const isFollowUp = this.#inFlight.length > 0
    if (isFollowUp ? !this.takesFollowUps : !this.usable) throw new Error(`run ${this.name} cannot take a turn now`)
    this.#inFlight.push({ request, deadline: 0, latest: 0, pauses: 0, pausedAt: 0 })
    this.#attempt(() => this.#log.section('input', prompt))
    this.#send(
      isFollowUp ? { type: 'followup', uuid, prompt } : { type: 'turn', uuid, prompt, chatJid, earlier, siblings, script },
    )
    if (!isFollowUp) this.#timeHead()
  }

  /** The next turns that ended, in order. Every turn that was pushed ends, whatever becomes of the container. */
  async settled(): Promise<Settled<Request>> {
    for (;;) {
      const next = this.#settled.shift()
      if (next) return next
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** The time of a turn runs from when it is the oldest in flight; follow-ups do not prolong it. */
  #timeHead(): void {
    const head = this.#inFlight[0]
    if (!head) return this.#cancelTimer()
    head.deadline = this.#clock.now() + head.request.timeoutMs
    head.latest = head.deadline + MAX_PAUSE_MS
    this.#arm(head.deadline)
  }

  #arm(at: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.wakeAt(at, () => this.#interrupt('timeout'))
  }

  /** Interrupts what is running; true when there was something. */
  stop(): boolean {
    if (this.#inFlight.length === 0) return false
    this.#interrupt('stopped')
    return true
  }

  /** Lets the container finish and go; after `graceMs` it is killed. Resolves when it is gone. */
  async close(graceMs: number): Promise<void> {
    this.#send({ type: 'close' })
    this.#attempt(() => this.#container.stdin.end())
    const cancel = this.#clock.wakeAt(this.#clock.now() + graceMs, () => void this.kill())
    await this.ended
    cancel()
  }

  /** By force, and again until it is gone: an engine may not answer for a while. */
  async kill(): Promise<void> {
    try {
      await this.#container.kill()
    } catch (error) {
      this.#note(`could not be killed: ${errorText(error)}`)
      this.#cancelKill()
      if (!this.#gone) this.#cancelKill = this.#clock.wakeAt(this.#clock.now() + KILL_AGAIN_MS, () => void this.kill())
    }
  }

  /** A container that cannot be written to is of no use: what is in flight would wait for its whole time. */
  #send(frame: HostFrame): void {
    try {
      if (this.#container.stdin.writable) this.#container.stdin.write(`${JSON.stringify(frame)}\n`)
    } catch (error) {
      this.#giveUp(`its input broke: ${errorText(error)}`)
    }
  }

  /** The container is ended, and with it all that is in flight. */
  #giveUp(why: string): void {
    this.#over = true
    this.#note(why)
    void this.kill()
  }

  /** A listener or a log that throws is no reason to stop reading frames. */
  #attempt(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#logHost(`the host failed beside this run: ${errorText(error)}`)
    }
  }

  #interrupt(ending: 'stopped' | 'timeout'): void {
    const head = this.#inFlight[0]
    if (!head || head.ending) return
    head.ending = ending
    this.#send({ type: 'interrupt' })
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.wakeAt(this.#clock.now() + INTERRUPT_GRACE_MS, () => void this.kill())
  }

  async #live(): Promise<void> {
    const [exit] = await Promise.all([this.#exit(), this.#readFrames(), this.#readErrors()])
    this.#over = true
    this.#gone = true
    this.#cancelKill()
    this.#settle(this.#inFlight.length, this.#outcomeOfExit(exit))
    try {
      await this.#cleanUp()
      this.#log.close(exit instanceof Error ? exit.message : `exit code ${exit.code}${exit.oomKilled ? ', out of memory' : ''}`)
    } catch (error) {
      this.#note(`it could not be cleaned up: ${errorText(error)}`)
    }
  }

  async #exit(): Promise<ContainerExit | Error> {
    try {
      return await this.#container.exited
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  async #readFrames(): Promise<void> {
    try {
      for await (const line of lines(this.#counted(this.#container.stdout), MAX_FRAME_BYTES)) this.#takeLineSafely(line)
    } catch (error) {
      this.#note(`stdout broke: ${errorText(error)}`)
    }
  }

  async #readErrors(): Promise<void> {
    try {
      for await (const line of lines(this.#counted(this.#container.stderr), MAX_LOG_LINE_BYTES)) {
        this.#attempt(() => this.#takeErrorLine(line))
      }
    } catch (error) {
      this.#note(`stderr broke: ${errorText(error)}`)
    }
  }

  /** A frame that is lost may be the result that a turn waits for. */
  #takeLineSafely(line: Line): void {
    try {
      this.#takeLine(line)
    } catch (error) {
      this.#giveUp(`the host failed to read its output: ${errorText(error)}`)
    }
  }

  #takeErrorLine(line: Line): void {
    this.#charge(LINE_COST)
    if (this.#flooded) return
    const text = line.type === 'line' ? line.text : tooLong(line.bytes)
    this.#log.line('stderr', text)
    if (text.trim()) this.#lastError = this.#log.redact(text.trim().slice(0, 500))
  }

  /** Counted as it comes: a flood may have no end of a line in it, or nothing but frames. */
  async *#counted(output: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of output) {
      this.#charge(chunk.length)
      yield chunk
    }
  }

  #charge(bytes: number): void {
    const now = this.#clock.now()
    const refill = (Math.max(now - this.#printedAt, 0) / 1_000) * OUTPUT.perSecond
    this.#printable = Math.min(this.#printable + refill, OUTPUT.burst) - bytes
    this.#printedAt = now
    if (this.#printable >= 0 || this.#flooded) return
    this.#flooded = true
    this.#giveUp('it printed more than any agent needs to, and was killed')
  }

  #takeLine(line: Line): void {
    this.#charge(LINE_COST)
    if (this.#flooded) return
    const frame = line.type === 'line' ? parseFrame(this.#log.redact(line.text)) : undefined
    const shown = frame ? JSON.stringify(frame) : line.type === 'line' ? line.text : tooLong(line.bytes)
    if (frame?.type !== 'activity') this.#attempt(() => this.#log.line('stdout', shown))
    if (frame?.type === 'session') this.#named(frame.sessionId)
    else if (frame?.type === 'activity') this.#attempt(() => this.#listener.onActivity(frame))
    else if (frame?.type === 'result') this.#takeResult(frame)
  }

  #named(sessionId: string): void {
    if (sessionId === this.#sessionId || this.#names >= MAX_NAMES) return
    this.#names++
    this.#sessionId = sessionId
    this.#attempt(() => this.#listener.onSession(sessionId))
  }

  #takeResult(frame: ResultFrame): void {
    if (frame.errorClass === 'setup') this.#takeWrongSetup(frame)
    const head = this.#inFlight[0]
    const ended = frame.status === 'error' ? this.#inFlight.length : this.#consumedBy(frame)
    if (!head || ended === 0 || !this.#mayEnd(frame)) return this.#note('a result for a turn that is not running was ignored')
    if (frame.newSessionId) this.#named(frame.newSessionId)
    // After an error the runner ends; the next turn gets a fresh container.
    if (frame.status === 'error' && frame.errorClass !== 'interrupted') this.#over = true
    const outcome = outcomeOf({ frame, ending: head.ending, limit: this.#limit() })
    if (outcome.type === 'failed' && outcome.reason === 'crash') head.crashed = outcome
    else this.#settle(ended, outcome)
  }

  /** Known as soon as the program in the container looks, which may be before the first turn goes in. */
  #takeWrongSetup({ error = '' }: ResultFrame): void {
    if (this.#wrongSetup) return
    this.#wrongSetup = { type: 'failed', reason: 'setup', detail: error.slice(0, 1_000) }
    const { detail } = this.#wrongSetup
    this.#attempt(() => this.#onWrongSetup(detail))
  }

  /** How many of the oldest turns in flight a result names: a later one never ends before an earlier one. */
  #consumedBy({ consumed }: ResultFrame): number {
    const first = this.#inFlight.findIndex(({ request }) => !consumed.includes(request.uuid))
    return first === -1 ? this.#inFlight.length : first
  }

  /** An error that names nobody ends everything; one that names turns must name the running one. */
  #mayEnd({ status, consumed }: ResultFrame): boolean {
    const head = this.#inFlight[0]
    return (status === 'error' && consumed.length === 0) || (head !== undefined && consumed.includes(head.request.uuid))
  }

  #settle(count: number, outcome: TurnOutcome): void {
    if (count === 0) return
    const requests = this.#inFlight.splice(0, count).map(({ request }) => request)
    this.#settled.push({ requests, outcome })
    this.#timeHead()
    this.#wake()
  }

  /** The container ended in mid-turn: by our own hand, for memory, or by itself. */
  #outcomeOfExit(exit: ContainerExit | Error): TurnOutcome {
    const head = this.#inFlight[0]
    if (head?.ending === 'stopped') return { type: 'stopped', text: null }
    if (head?.ending === 'timeout') return { type: 'failed', reason: 'timeout', detail: 'it was killed after its time was over' }
    if (exit instanceof Error) return { type: 'failed', reason: 'engine', detail: exit.message }
    if (exit.oomKilled) return { type: 'failed', reason: 'oom', detail: 'out of memory' }
    if (this.#wrongSetup) return this.#wrongSetup
    if (head?.crashed) return head.crashed
    return { type: 'failed', reason: 'crash', detail: this.#lastError || `the container ended with exit code ${exit.code}` }
  }

  #note(text: string): void {
    this.#lastError = text
    this.#logHost(text)
  }

  #logHost(text: string): void {
    try {
      this.#log.section('host', text)
    } catch {
      // The log of the run is broken, and nobody else can be told.
    }
  }
}

function tooLong(bytes: number): string {
  return `[a line of ${bytes} bytes was dropped: longer than a line may be]`
}

function tooLongToSay(bytes: number): IpcResult {
  return { status: 'failed', text: `What there is to say is too long (${bytes} bytes). Ask for less of it.` }
}

function parseFrame(text: string) {
  if (!text.startsWith('{')) return undefined
  try {
    return runnerFrame.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

type Ended = { frame: ResultFrame; ending: InFlight<unknown>['ending']; limit: ModelLimit | undefined }

function outcomeOf({ frame, ending, limit }: Ended): TurnOutcome {
  const { answerId } = frame
  if (frame.status === 'success')
    return { type: 'answered', text: frame.result, usage: frame.usage, ...(answerId === undefined ? {} : { answerId }) }
  if (ending === 'timeout') return { type: 'failed', reason: 'timeout', detail: 'its time was over' }
  if (frame.errorClass === 'interrupted' || ending === 'stopped') return { type: 'stopped', text: frame.result }
  if (limit?.type === 'budget') return { type: 'failed', reason: 'budget', detail: limit.why, retryAt: limit.retryAt }
  // That a budget is used up is for the host to say: such a turn is tried again without end.
  const reason = frame.errorClass === 'budget' ? 'crash' : (frame.errorClass ?? 'crash')
  const detail = (frame.error ?? 'no reason was given').slice(0, 1_000)
  return { type: 'failed', reason, detail, retryAt: reason === 'rate-limit' ? limit?.retryAt : undefined }
}
