import { randomUUID } from 'node:crypto'
import type { Query, SDKAssistantMessage, SDKMessage, SDKResultMessage, SDKSystemMessage } from '@anthropic-ai/claude-agent-sdk'
import type { ResultFrame } from '@nanoclaw/protocol'
import { Activity } from './activity.ts'
import { continuation } from './continuation.ts'
import type { Emit } from './frames.ts'
import { GroupServers } from './group-servers.ts'
import type { HostInput, HostMessage } from './host-input.ts'
import type { HostRequests } from './host-requests.ts'
import type { ClaudeOptions, Input } from './options.ts'
import { withPictures } from './pictures.ts'
import { classifyFailure, resultFrame } from './result.ts'
import { type Gate, gateOf, runScript } from './script-gate.ts'
import { findEarlierTry, transcriptPath } from './transcript.ts'
import { UserMessages } from './user-messages.ts'

type Sdk = typeof import('./sdk.ts')
type Turn = { uuid: string; prompt: string; earlier: string[]; siblings: string[]; script?: string | undefined }
type Parts = { sdk: Sdk; options: ClaudeOptions; input: Input; emit: Emit; requests: HostRequests }

const AWAKE: Gate = { type: 'awake', addition: '' }

/**
 * One run: messages of the host go to the SDK, results of the SDK go to the host.
 * Every message is in flight from its arrival until a result names its uuid; the run ends only when nothing is in flight.
 */
export class Conversation {
  readonly #sdk: Sdk
  readonly #options: ClaudeOptions
  readonly #input: Input
  readonly #emit: Emit
  readonly #requests: HostRequests
  readonly #activity: Activity
  readonly #servers = new GroupServers()
  readonly #messages = new UserMessages()
  readonly #inFlight = new Set<string>()
  #query: Query | undefined
  /** Messages reach the SDK in the order they came in, however long a script keeps one of them. */
  #pushing: Promise<void> = Promise.resolve()
  /** Stops the script that runs before a turn. */
  #script: AbortController | undefined
  #sessionId: string | undefined
  /** What the host wants said with the first prompt. */
  #notice: string | undefined
  #lastText = ''
  /** Of the transcript's entry that the last words of the assistant are. */
  #lastId: string | undefined
  #interrupting = false
  #closing = false
  #failed = false

  constructor({ sdk, options, input, emit, requests }: Parts) {
    this.#sdk = sdk
    this.#options = options
    this.#input = input
    this.#notice = input.notice
    this.#emit = emit
    this.#requests = requests
    this.#activity = new Activity({ emit })
  }

  /** The exit code of the run: 1 when its last turn failed. */
  async run(host: HostInput): Promise<number> {
    try {
      const warm = await this.#sdk.startup({ options: this.#options })
      this.#query = warm.query(this.#messages)
      this.#emit({ type: 'ready' })
      const { prompt, uuid = randomUUID(), earlier } = this.#input
      if (prompt !== undefined) this.#accept({ uuid, prompt, earlier, siblings: [] })
      void this.#listen(host).catch((error) => this.#fail(error))
      for await (const message of this.#query) {
        this.#take(message)
        if (this.#failed) break
      }
    } catch (error) {
      this.#fail(error)
    }
    return this.#failed ? 1 : 0
  }

  async #listen(host: HostInput): Promise<void> {
    for await (const frame of host.frames()) await this.#obey(frame)
  }

  async #obey(frame: HostMessage): Promise<void> {
    switch (frame.type) {
      case 'turn':
        this.#requests.chatJid = frame.chatJid
        return this.#accept(frame)
      case 'followup':
        return this.#accept({ ...frame, earlier: [], siblings: [] })
      case 'interrupt':
        return this.#interrupt()
      case 'reply':
        return this.#requests.reply(frame)
      case 'close':
        this.#closing = true
        this.#requests.hostLeft()
        this.#endIfIdle()
    }
  }

  async #interrupt(): Promise<void> {
    if (this.#inFlight.size === 0) return
    this.#requests.interrupt()
    if (this.#script) return this.#script.abort()
    this.#interrupting = true
    // Not in its type, but in SDK 0.3.329: without it, what waits behind the turn would be begun, and nobody would know.
    const query: { interrupt(options: { cancelQueued: true }): Promise<unknown> } | undefined = this.#query
    await query?.interrupt({ cancelQueued: true })
  }

  /** Does not wait: while a script decides about a turn, an interrupt must be heard. */
  #accept(turn: Turn): void {
    this.#inFlight.add(turn.uuid)
    this.#pushing = this.#pushing.then(() => this.#startTurn(turn)).catch((error) => this.#fail(error))
  }

  /** A turn that was tried before is not asked again: its answer is reported if there is one, else it is continued. */
  async #startTurn({ uuid, prompt, earlier, siblings, script }: Turn): Promise<void> {
    // An interrupt may have ended it before its turn came.
    if (!this.#inFlight.has(uuid)) return
    const sessionId = this.#sessionId ?? this.#input.sessionId
    const file = sessionId && transcriptPath(sessionId, this.#options.env.HOME ?? '/home/node')
    const before = file ? await findEarlierTry({ file, uuids: earlier, siblings }) : { state: 'absent' as const }
    if (before.state === 'answered') return this.#reportWithoutModel(uuid, before.text, before.id)
    if (before.state === 'interrupted') return this.#push({ uuid, prompt: continuation(prompt) })
    const gate = script === undefined ? AWAKE : await this.#gate(script)
    if (gate.type === 'asleep') return this.#reportWithoutModel(uuid, null)
    if (gate.type === 'stopped') return this.#reportStopped()
    return this.#push({ uuid, prompt: prompt + gate.addition })
  }

  async #gate(script: string): Promise<Gate> {
    this.#script = new AbortController()
    const { cwd, env } = this.#options
    const end = await runScript({ script, cwd, env, signal: this.#script.signal })
    this.#script = undefined
    return gateOf(end)
  }

  async #push({ uuid, prompt }: { uuid: string; prompt: string }): Promise<void> {
    const servers = this.#input.mcpServers && this.#query ? await this.#query.mcpServerStatus() : []
    const content = await withPictures((prompt + this.#servers.news(servers) + this.#takeNotice()).toWellFormed())
    // Meanwhile it may have been stopped, with what ran before it.
    if (this.#inFlight.has(uuid) && !this.#interrupting) this.#messages.push({ uuid, content })
  }

  #takeNotice(): string {
    const notice = this.#notice
    this.#notice = undefined
    return notice === undefined ? '' : `\n\n${notice}`
  }

  #reportWithoutModel(uuid: string, result: string | null, answerId?: string): void {
    this.#report({ type: 'result', status: 'success', result, consumed: [uuid], ...(answerId ? { answerId } : {}) })
  }

  #reportStopped(): void {
    const consumed = [...this.#inFlight]
    const error = 'The turn was interrupted.'
    this.#report({ type: 'result', status: 'error', result: null, error, errorClass: 'interrupted', consumed })
  }

  /** A result that comes from us, not from the SDK. */
  #report(frame: ResultFrame): void {
    const sessionId = this.#sessionId ?? this.#input.sessionId
    for (const uuid of frame.consumed) this.#inFlight.delete(uuid)
    this.#emit({ ...frame, ...(sessionId ? { newSessionId: sessionId } : {}) })
    this.#endIfIdle()
  }

  #take(message: SDKMessage): void {
    if (message.type === 'system' && message.subtype === 'init') this.#started(message)
    else if (message.type === 'stream_event') this.#activity.streamed(message)
    else if (message.type === 'assistant') this.#said(message)
    else if (message.type === 'result') this.#finished(message)
  }

  #started({ session_id }: SDKSystemMessage): void {
    if (session_id === this.#sessionId) return
    this.#sessionId = session_id
    this.#emit({ type: 'session', sessionId: session_id })
  }

  #said(message: SDKAssistantMessage): void {
    if (message.parent_tool_use_id !== null) return
    this.#activity.said(message)
    const text = message.message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
    if (text) this.#lastText = text
    this.#lastId = message.uuid
  }

  #finished(message: SDKResultMessage): void {
    const named = message.user_message_uuids ?? []
    const interrupted = this.#interrupting
    // An error or an interrupt ends everything that was pushed; a success, exactly what it names.
    const consumed = message.is_error || interrupted ? [...this.#inFlight] : named.filter((uuid) => this.#inFlight.has(uuid))
    const frame = resultFrame(message, { lastText: this.#lastText, consumed, interrupted })
    const answerId = this.#lastId
    this.#lastText = ''
    this.#lastId = undefined
    // A result that answers nothing of ours is no turn's answer.
    if (consumed.length === 0 && frame.status === 'success')
      return console.error('runner: a result answered nothing and was dropped')
    for (const uuid of consumed) this.#inFlight.delete(uuid)
    this.#interrupting = false
    this.#failed = frame.status === 'error' && !interrupted
    this.#emit({ ...frame, ...(answerId === undefined ? {} : { answerId }) })
    this.#endIfIdle()
  }

  #endIfIdle(): void {
    if (this.#closing && this.#inFlight.size === 0) this.#messages.end()
  }

  /** The SDK or `claude` gave up. After an error result it throws as well; that one is already told. */
  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    const text = error instanceof Error ? error.message : String(error)
    const errorClass = classifyFailure({ status: undefined, text })
    this.#emit({ type: 'result', status: 'error', result: null, error: text, errorClass, consumed: [...this.#inFlight] })
    this.#inFlight.clear()
    // Else the run would wait for what the SDK says next, which is nothing.
    this.#messages.end()
    this.#query?.close()
  }
}
