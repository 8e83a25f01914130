import {
  type ActivityFrame,
  type HostFrame,
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
export type TurnRequest = { uuid: string; prompt: string; chatJid: string; earlier: string[]; timeoutMs: number }

/** How a turn ended. `text` is what the agent said, null when it said nothing. */
export type TurnOutcome =
  | { type: 'answered'; text: string | null; usage: Usage | undefined }
  | { type: 'stopped'; text: string | null }
  | { type: 'failed'; reason: FailureClass; detail: string; retryAt?: number | undefined }

export type RunListener = {
  /** The SDK named its session. */
  onSession(sessionId: string): void
  onActivity(activity: ActivityFrame): void
}

/** Between an interrupt and the kill that follows when it shows no effect. */
const INTERRUPT_GRACE_MS = 5_000
/** A container that prints more than this without one frame in it is flooding us. */
const MAX_NOISE_BYTES = 16 * 1024 * 1024
/** stderr lines are log text; a longer one is cut. */
const MAX_LOG_LINE_BYTES = 64 * 1024

type RunParts = {
  name: string
  container: RunningContainer
  clock: Clock
  log: RunLog
  listener: RunListener
  /** When the model API may be asked again, as it said to the gateway. */
  retryAt: () => number | undefined
}

type Current = {
  request: TurnRequest
  settle: (outcome: TurnOutcome) => void
  ending?: 'stopped' | 'timeout'
  /** The runner said that it crashed; why may be known only when the container is gone. */
  crashed?: TurnOutcome
  timers: (() => void)[]
}

/**
 * A live container with an agent in it: one turn at a time goes in, its outcome comes out. What the container prints
 * is bounded and never trusted: a result counts only for the turn that is running, by its uuid.
 */
export class AgentRun {
  readonly name: string
  readonly id: string
  readonly startedAt: number
  /** Resolves when the container is gone and its log is closed. Never rejects. */
  readonly ended: Promise<void>
  readonly #container: RunningContainer
  readonly #clock: Clock
  readonly #log: RunLog
  readonly #listener: RunListener
  readonly #retryAt: () => number | undefined
  #current: Current | undefined
  #sessionId: string | undefined
  #over = false
  #noise = 0
  #lastError = ''

  constructor({ name, container, clock, log, listener, retryAt }: RunParts) {
    this.name = name
    this.id = container.id
    this.startedAt = clock.now()
    this.#container = container
    this.#clock = clock
    this.#log = log
    this.#listener = listener
    this.#retryAt = retryAt
    container.stdin.on('error', () => {}) // a container that is gone is noticed by `exited`
    this.ended = this.#live()
  }

  get sessionId(): string | undefined {
    return this.#sessionId
  }

  /** True while a next turn can go in. */
  get usable(): boolean {
    return !this.#over && this.#current === undefined
  }

  /** Runs one turn to its end. Never rejects. */
  ask(request: TurnRequest): Promise<TurnOutcome> {
    if (!this.usable) throw new Error(`run ${this.name} cannot take a turn now`)
    return new Promise((settle) => {
      const current: Current = { request, settle, timers: [] }
      current.timers.push(this.#clock.wakeAt(this.#clock.now() + request.timeoutMs, () => this.#interrupt('timeout')))
      this.#current = current
      const { uuid, prompt, chatJid, earlier } = request
      this.#log.section('input', prompt)
      this.#send({ type: 'turn', uuid, prompt, chatJid, earlier })
    })
  }

  /** Interrupts the running turn; true when there was one. */
  stop(): boolean {
    if (!this.#current) return false
    this.#interrupt('stopped')
    return true
  }

  /** Lets the container finish and go; after `graceMs` it is killed. Resolves when it is gone. */
  async close(graceMs: number): Promise<void> {
    this.#send({ type: 'close' })
    this.#container.stdin.end()
    const cancel = this.#clock.wakeAt(this.#clock.now() + graceMs, () => void this.kill())
    await this.ended
    cancel()
  }

  async kill(): Promise<void> {
    try {
      await this.#container.kill()
    } catch (error) {
      this.#note(`could not be killed: ${errorText(error)}`)
    }
  }

  #send(frame: HostFrame): void {
    if (this.#container.stdin.writable) this.#container.stdin.write(`${JSON.stringify(frame)}\n`)
  }

  #interrupt(ending: 'stopped' | 'timeout'): void {
    const current = this.#current
    if (!current || current.ending) return
    current.ending = ending
    this.#send({ type: 'interrupt' })
    current.timers.push(this.#clock.wakeAt(this.#clock.now() + INTERRUPT_GRACE_MS, () => void this.kill()))
  }

  async #live(): Promise<void> {
    const [exit] = await Promise.all([this.#exit(), this.#readFrames(), this.#readErrors()])
    this.#over = true
    this.#log.close(exit instanceof Error ? exit.message : `exit code ${exit.code}${exit.oomKilled ? ', out of memory' : ''}`)
    this.#settle(this.#outcomeOfExit(exit))
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
      for await (const line of lines(this.#container.stdout, MAX_FRAME_BYTES)) this.#takeLine(line)
    } catch (error) {
      this.#note(`stdout broke: ${errorText(error)}`)
    }
  }

  async #readErrors(): Promise<void> {
    try {
      for await (const line of lines(this.#container.stderr, MAX_LOG_LINE_BYTES)) {
        const text = line.type === 'line' ? line.text : `[a line of ${line.bytes} bytes was dropped]`
        this.#log.line('stderr', text)
        if (text.trim()) this.#lastError = text.trim().slice(0, 500)
      }
    } catch (error) {
      this.#note(`stderr broke: ${errorText(error)}`)
    }
  }

  #takeLine(line: Line): void {
    const frame = line.type === 'line' ? parseFrame(line.text) : undefined
    if (!frame) return this.#takeNoise(line)
    if (frame.type !== 'activity') this.#log.line('stdout', JSON.stringify(frame))
    this.#noise = 0
    if (frame.type === 'session') this.#named(frame.sessionId)
    else if (frame.type === 'activity') this.#listener.onActivity(frame)
    else if (frame.type === 'result') this.#takeResult(frame)
  }

  #takeNoise(line: Line): void {
    const bytes = line.type === 'line' ? Buffer.byteLength(line.text) : line.bytes
    this.#log.line(
      'stdout',
      line.type === 'line' ? line.text : `[a line of ${bytes} bytes was dropped: longer than a frame may be]`,
    )
    this.#noise += bytes
    if (this.#noise > MAX_NOISE_BYTES && !this.#over) {
      this.#over = true
      this.#note(`printed ${this.#noise} bytes that are no frames, and was killed`)
      void this.kill()
    }
  }

  #named(sessionId: string): void {
    if (sessionId === this.#sessionId) return
    this.#sessionId = sessionId
    this.#listener.onSession(sessionId)
  }

  #takeResult(frame: ResultFrame): void {
    const current = this.#current
    const ours =
      current && (frame.consumed.includes(current.request.uuid) || (frame.status === 'error' && frame.consumed.length === 0))
    if (!ours) return this.#note('a result for a turn that is not running was ignored')
    if (frame.newSessionId) this.#named(frame.newSessionId)
    // After an error the runner ends; the next turn gets a fresh container.
    if (frame.status === 'error' && frame.errorClass !== 'interrupted') this.#over = true
    const outcome = outcomeOf({ frame, ending: current.ending, retryAt: this.#retryAt() })
    if (outcome.type === 'failed' && outcome.reason === 'crash') current.crashed = outcome
    else this.#settle(outcome)
  }

  #settle(outcome: TurnOutcome): void {
    const current = this.#current
    if (!current) return
    this.#current = undefined
    for (const cancel of current.timers) cancel()
    current.settle(outcome)
  }

  /** The container ended in mid-turn: by our own hand, for memory, or by itself. */
  #outcomeOfExit(exit: ContainerExit | Error): TurnOutcome {
    const ending = this.#current?.ending
    if (ending === 'stopped') return { type: 'stopped', text: null }
    if (ending === 'timeout') return { type: 'failed', reason: 'timeout', detail: 'it was killed after its time was over' }
    if (exit instanceof Error) return { type: 'failed', reason: 'engine', detail: exit.message }
    if (exit.oomKilled) return { type: 'failed', reason: 'oom', detail: 'out of memory' }
    if (this.#current?.crashed) return this.#current.crashed
    return { type: 'failed', reason: 'crash', detail: this.#lastError || `the container ended with exit code ${exit.code}` }
  }

  #note(text: string): void {
    this.#lastError = text
    this.#log.section('host', text)
  }
}

function parseFrame(text: string) {
  if (!text.startsWith('{')) return undefined
  try {
    return runnerFrame.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

type Ended = { frame: ResultFrame; ending: Current['ending']; retryAt: number | undefined }

function outcomeOf({ frame, ending, retryAt }: Ended): TurnOutcome {
  if (frame.status === 'success') return { type: 'answered', text: frame.result, usage: frame.usage }
  if (ending === 'timeout') return { type: 'failed', reason: 'timeout', detail: 'its time was over' }
  if (frame.errorClass === 'interrupted' || ending === 'stopped') return { type: 'stopped', text: frame.result }
  const reason = frame.errorClass ?? 'crash'
  return {
    type: 'failed',
    reason,
    detail: (frame.error ?? 'no reason was given').slice(0, 1_000),
    retryAt: reason === 'rate-limit' ? retryAt : undefined,
  }
}
