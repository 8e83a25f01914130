import { type HostFrame, MAX_FRAME_BYTES, type RunnerFrame } from '@nanoclaw/protocol'
import type { Random } from '../../src/cli/bench/random.ts'
import type { ContainerExit, RunningContainer } from '../../src/runtimes/contract.ts'

/** What Claude Code keeps of a session on disk; it survives every crash. */
export type Transcript = { id: string; entries: Entry[] }
type Entry =
  | { type: 'prompt'; uuid: string; marks: string[]; continued: boolean }
  /** It came during a tool call and went into the running turn. */
  | { type: 'folded'; uuid: string; marks: string[] }
  | { type: 'tool' }
  | { type: 'answer'; id: string; text: string }

export type Mood = { fail: number; silent: number; tool: number; crash: number }
export type AgentWorld = {
  random: Random
  transcripts: Map<string, Transcript>
  /** Everything the model ever answered, also in sessions that are lost. */
  answers: { session: string; text: string }[]
  mood: Mood
  /** A login, as the model sees it. */
  loggedIn(): boolean
  newId(kind: string): string
  note(text: string): void
  /** Throws now and then. */
  mayFail(what: string): void
}

type Pushed = {
  uuid: string
  prompt: string
  earlier: readonly string[]
  siblings: readonly string[]
  script: string | undefined
}

/** Marks such as `m7` stand in messages and prompts, so that an answer can be told to be the answer to them. */
export function marksOf(text: string): string[] {
  return text.match(/\b[mt]\d+\b/g) ?? []
}

/** The marks of what a prompt asks; what did not arrive, it only quotes. */
function askedIn(prompt: string): string[] {
  return marksOf(prompt.replaceAll(/<undelivered [^>]*>[^<]*<\/undelivered>/g, ''))
}

/** The bytes one container prints, handed out a frame at a time. */
class Output implements AsyncIterable<Buffer> {
  readonly waiting: string[] = []
  #chunks: Buffer[] = []
  #ended = false
  #wake: () => void = () => {}

  deliver(): void {
    const next = this.waiting.shift()
    if (next !== undefined) this.#chunks.push(Buffer.from(next))
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.#chunks.shift()
      if (next) yield next
      else if (this.#ended) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}

/**
 * A container with an agent-runner in it, as the host sees it, and as the model sees it: what it was pushed is in flight
 * until a result names it; a second try is looked up in the transcript. It moves only when `step` is called.
 */
export class SimAgent implements RunningContainer {
  readonly id: string
  readonly stdin: RunningContainer['stdin']
  readonly stdout = new Output()
  readonly stderr = new Output()
  readonly exited: Promise<ContainerExit>
  readonly #exit: (exit: ContainerExit) => void
  readonly #world: AgentWorld
  #sessionId: string | undefined
  #open: Transcript | undefined
  #gone: ContainerExit | undefined
  #pushed: Pushed[] = []
  #current: Pushed[] = []
  #interrupted = false
  #closing = false
  #hangs = false

  constructor({ world, sessionId }: { world: AgentWorld; sessionId: string | undefined }) {
    this.#world = world
    this.id = world.newId('container').padEnd(64, 'f')
    this.#sessionId = sessionId
    const { promise, resolve } = Promise.withResolvers<ContainerExit>()
    this.exited = promise
    this.#exit = resolve
    const input = {
      writable: true,
      writableLength: 0,
      on: () => input,
      write: (text: string) => {
        this.#world.mayFail('the input of a container')
        return this.#read(text)
      },
      end: () => this.#obey({ type: 'close' }),
    }
    this.stdin = input as unknown as RunningContainer['stdin']
    this.#emit({ type: 'ready' })
  }

  get gone(): boolean {
    return this.#gone !== undefined
  }

  /** Everything it printed has reached the host, and the host knows that it is gone. */
  get drained(): boolean {
    return this.gone && this.stdout.waiting.length === 0
  }

  /** There is something it could do. */
  get canStep(): boolean {
    return (
      !this.gone &&
      (this.#interrupted || this.#closing || (!this.#hangs && (this.#current.length > 0 || this.#pushed.length > 0)))
    )
  }

  get canDeliver(): boolean {
    return this.stdout.waiting.length > 0
  }

  /** One frame reaches the host; after the last one of a container that is gone, its end. */
  deliver(): void {
    this.stdout.deliver()
    this.#finish()
  }

  /** It ends in whatever it does. */
  die(exit: ContainerExit): void {
    if (this.gone) return
    this.#gone = exit
    this.#world.note(`${this.id.slice(0, 12)} dies (${exit.oomKilled ? 'memory' : exit.code})`)
    this.#finish()
  }

  async kill(): Promise<void> {
    this.#world.mayFail('a kill')
    this.die({ code: 137, oomKilled: false })
  }

  /** What a pipe still holds when its writer is gone can be read; then it ends. */
  #finish(): void {
    if (!this.#gone || this.stdout.waiting.length > 0) return
    this.stdout.end()
    this.stderr.end()
    this.#exit(this.#gone)
  }

  #read(text: string): boolean {
    if (text.length > MAX_FRAME_BYTES) throw new Error('a frame is too long')
    if (!this.gone) this.#obey(JSON.parse(text) as HostFrame)
    return true
  }

  #obey(frame: HostFrame): void {
    if (frame.type === 'turn' || frame.type === 'followup') {
      const { uuid, prompt } = frame
      const { earlier = [], siblings = [], script } = frame.type === 'turn' ? frame : {}
      this.#pushed.push({ uuid, prompt, earlier, siblings, script })
    } else if (frame.type === 'interrupt') this.#interrupted = true
    else if (frame.type === 'close') this.#closing = true
  }

  /** The agent goes on by one step: takes what was pushed, calls a tool, answers, fails, or leaves. */
  step(): void {
    if (this.#interrupted) return this.#stop()
    if (this.#current.length === 0 && this.#pushed.length > 0) return this.#begin()
    if (this.#current.length > 0) return this.#goOn()
    if (this.#closing) this.die({ code: 0, oomKilled: false })
  }

  #stop(): void {
    this.#interrupted = false
    this.#hangs = false
    const consumed = [...this.#current, ...this.#pushed].map(({ uuid }) => uuid)
    this.#current = []
    this.#pushed = []
    if (consumed.length === 0) return
    const text = this.#world.random.chance(0.5) ? 'so far' : null
    this.#emit({ type: 'result', status: 'error', result: text, error: 'interrupted', errorClass: 'interrupted', consumed })
  }

  /** A turn that was tried before is not asked again; what was pushed together is asked together. */
  #begin(): void {
    const [first] = this.#pushed
    if (!first) return
    const session = this.#session()
    if (!session) return this.#fail('session-lost', 'No conversation found')
    const before = earlierTry(session, first)
    if (before.state === 'answered') {
      this.#pushed.shift()
      return this.#answer({ text: before.text, answerId: before.id, consumed: [first.uuid] })
    }
    this.#current =
      before.state === 'interrupted' ? [first] : this.#pushed.filter((one) => one === first || one.earlier.length === 0)
    this.#pushed = this.#pushed.filter((one) => !this.#current.includes(one))
    for (const one of this.#current) {
      const continued = before.state === 'interrupted'
      session.entries.push({ type: 'prompt', uuid: one.uuid, marks: askedIn(one.prompt), continued })
    }
    this.#hangs = this.#world.random.chance(this.#world.mood.crash / 2)
  }

  #goOn(): void {
    const { random, mood, loggedIn } = this.#world
    if (!loggedIn()) return this.#fail('login', '401')
    const what = random.weighted([
      [mood.tool, 'tool'],
      [mood.fail, 'fail'],
      [mood.crash, 'crash'],
      [1, 'answer'],
    ] as const)
    const session = this.#session()
    if (!session) return
    if (what === 'tool') return this.#callTool(session)
    if (what === 'fail')
      return this.#fail(random.pick(['overload', 'rate-limit', 'too-large', 'invalid-request', 'crash']), 'the model')
    if (what === 'crash') return this.die({ code: 1, oomKilled: random.chance(0.5) })
    this.#finalAnswer(session)
  }

  #callTool(session: Transcript): void {
    session.entries.push({ type: 'tool' })
    this.#emit({ type: 'activity', kind: 'tool', detail: 'Bash' })
    for (const one of this.#pushed) session.entries.push({ type: 'folded', uuid: one.uuid, marks: askedIn(one.prompt) })
    this.#current.push(...this.#pushed.splice(0))
  }

  #finalAnswer(session: Transcript): void {
    const silent = this.#world.random.chance(this.#world.mood.silent)
    const asked = session.entries.filter((entry) => entry.type === 'prompt' || entry.type === 'folded')
    const uuids = this.#current.map(({ uuid }) => uuid)
    const marks = [...new Set(asked.flatMap((entry) => (uuids.includes(entry.uuid) ? entry.marks : [])))]
    const text = silent ? `<internal>${marks.join(' ')}</internal>` : `answer to ${marks.join(' ')}`
    const id = this.#world.newId('answer')
    session.entries.push({ type: 'answer', id, text })
    this.#world.answers.push({ session: session.id, text })
    const consumed = this.#current.map(({ uuid }) => uuid)
    this.#current = []
    this.#emit({ type: 'result', status: 'success', result: text, newSessionId: session.id, answerId: id, consumed })
  }

  #answer({ text, answerId, consumed }: { text: string; answerId: string; consumed: string[] }): void {
    const newSessionId = this.#sessionId
    this.#emit({ type: 'result', status: 'success', result: text, answerId, consumed, ...(newSessionId ? { newSessionId } : {}) })
  }

  /** After an error the runner ends. */
  #fail(
    errorClass: 'login' | 'overload' | 'rate-limit' | 'too-large' | 'invalid-request' | 'crash' | 'session-lost',
    error: string,
  ): void {
    const consumed = [...this.#current, ...this.#pushed].map(({ uuid }) => uuid)
    this.#emit({ type: 'result', status: 'error', result: null, error, errorClass, consumed })
    this.die({ code: 1, oomKilled: false })
  }

  /**
   * The session it was started with, or a fresh one; undefined when the one it was started with is lost. That it is lost
   * while it runs, it does not notice.
   */
  #session(): Transcript | undefined {
    this.#open ??= this.#sessionId === undefined ? this.#begun() : this.#world.transcripts.get(this.#sessionId)
    return this.#open
  }

  #begun(): Transcript {
    const { transcripts, newId } = this.#world
    const session: Transcript = { id: newId('session'), entries: [] }
    transcripts.set(session.id, session)
    this.#sessionId = session.id
    this.#emit({ type: 'session', sessionId: session.id })
    return session
  }

  #emit(frame: Partial<RunnerFrame>): void {
    this.stdout.waiting.push(`${JSON.stringify(frame)}\n`)
  }
}

type EarlierTry = { state: 'absent' } | { state: 'interrupted' } | { state: 'answered'; text: string; id: string }

/** What the real runner finds (container/agent-runner/src/transcript.ts). */
function earlierTry({ entries }: Transcript, { earlier, siblings }: Pushed): EarlierTry {
  let found: EarlierTry = { state: 'absent' }
  let open = false
  for (const entry of entries) {
    if ((entry.type === 'prompt' || entry.type === 'folded') && earlier.includes(entry.uuid)) {
      found = { state: 'interrupted' }
      open = true
    } else if (open && entry.type === 'prompt') open = found.state === 'interrupted' && siblings.includes(entry.uuid)
    else if (open)
      found = entry.type === 'answer' ? { state: 'answered', text: entry.text, id: entry.id } : { state: 'interrupted' }
  }
  return found
}
