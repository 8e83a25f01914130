import { createHash } from 'node:crypto'
import type { TurnOutcome } from '../container/agent-run.ts'
import { visibleAnswer } from '../domain/answer.ts'
import type { Instant } from '../domain/clock.ts'
import { agentCommandOf } from '../domain/command.ts'
import { failureText } from '../domain/failure.ts'
import type { Group, RegisteredChat } from '../domain/group.ts'
import type { Message } from '../domain/message.ts'
import { promptOf } from '../domain/prompt.ts'
import { nextBatch } from '../domain/routing.ts'
import { type Effect, nextTurn, type RunningTurn, type TurnEvent, type TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Feed } from './feed.ts'

/** A turn that was taken up: stored as running, with everything an agent needs to work on it. */
export type ClaimedTurn = {
  turn: RunningTurn
  group: Group
  jid: string
  prompt: string
  /** The newest message it answers. */
  throughSeq: number
  uuid: string
  /** Uuids of its earlier tries, oldest first. */
  earlier: string[]
  sessionId: string | undefined
}

/** What a group has to do: a turn now, nothing before `at`, or nothing at all. */
export type NextWork = { type: 'turn'; work: Work } | { type: 'wait'; at: Instant } | { type: 'nothing' }

/** A turn that could be started: `first` is its oldest message, `last` its newest. */
export type Work = { jid: string; at: Instant; first: number; last: number; start: () => ClaimedTurn }

export type TurnDeskPorts = { store: Store; feed: Feed; now(): Instant }
export type TurnRules = { assistantName: string; timeZone: string; maxRetries: number; installId: string }

/**
 * Takes turns up and writes their ends down. Each step is one transaction: whatever crashes when, a message is either
 * unanswered with a next step, or answered exactly once.
 */
export class TurnDesk {
  readonly #ports: TurnDeskPorts
  readonly #rules: TurnRules

  constructor(ports: TurnDeskPorts, rules: TurnRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /** Is there work for this group? Reads only. */
  look(folder: string): NextWork {
    const { store, now } = this.#ports
    const group = store.groups.find(folder)
    const works = group ? store.groups.chatsOf(folder).flatMap((chat) => this.#workOf(group, chat)) : []
    const oldest = works.filter((work) => work.at <= now()).sort((a, b) => a.first - b.first)[0]
    if (oldest) return { type: 'turn', work: oldest }
    return works.length > 0 ? { type: 'wait', at: Math.min(...works.map((work) => work.at)) } : { type: 'nothing' }
  }

  /** Takes up the oldest work of a group that is due; undefined when there is none. A chat never has two open turns. */
  claim(folder: string): ClaimedTurn | undefined {
    const claimed = this.#ports.store.tx(() => {
      const next = this.look(folder)
      return next.type === 'turn' ? next.work.start() : undefined
    })
    if (claimed) this.#ports.feed.publish(claimed.jid, { type: 'turn', state: 'running', throughSeq: claimed.throughSeq })
    return claimed
  }

  /** Says in the waiting chat that it was heard; once for each message it waits with. */
  tellPlace(folder: string, place: number): void {
    const { store, feed, now } = this.#ports
    const next = this.look(folder)
    if (next.type !== 'turn') return
    const { jid, last } = next.work
    const text = `I am busy in other chats; you are number ${place} in the queue.`
    store.tx(() => store.outbox.add({ jid, text, key: `place-${last}`, turnId: null, at: now() }))
    feed.publish(jid, { type: 'turn', state: 'waiting', throughSeq: last, detail: text })
  }

  /** What the chat of a running turn said since, taken up to join it; undefined when there is nothing. */
  claimFollowUp(running: ClaimedTurn): ClaimedTurn | undefined {
    const { store, now } = this.#ports
    return store.tx(() => {
      const chat = store.groups.chat(running.jid)
      if (!chat || chat.folder !== running.group.folder) return undefined
      const work = this.#nextOf(running.group, chat)
      return work && work.at <= now() ? work.start() : undefined
    })
  }

  /** A chat whose turn runs has no work of its own: what it says joins that turn, or waits for its end. */
  #workOf(group: Group, chat: RegisteredChat): Work[] {
    const runs = this.#ports.store.turns.openOf(chat.jid).some(({ turn }) => turn.state === 'running')
    const work = runs ? undefined : this.#nextOf(group, chat)
    return work ? [work] : []
  }

  /** The one thing a chat waits for: its oldest pending turn, or else a turn to be made of its unanswered messages. */
  #nextOf(group: Group, chat: RegisteredChat): Work | undefined {
    const { store, now } = this.#ports
    const { jid } = chat
    const pending = store.turns
      .openOf(jid)
      .map(({ turn }) => turn)
      .find((turn) => turn.state === 'pending')
    const messages = pending ? store.messages.ofTurn(pending.id) : this.#batch(group, chat)
    if (!messages[0]) return undefined
    const start = () => this.#start({ group, jid, id: pending?.id ?? this.#add({ group, jid, messages }), messages })
    const [first, last] = [messages[0].seq, messages.at(-1)?.seq ?? messages[0].seq]
    return { jid, at: pending?.notBefore ?? now(), first, last, start }
  }

  #batch(group: Group, chat: RegisteredChat): Message[] {
    const { chats, messages } = this.#ports.store
    const { answeredSeq, parkedSeq } = chats.cursors(chat.jid)
    const unanswered = messages.unanswered(chat.jid, answeredSeq)
    if ((unanswered.at(-1)?.seq ?? 0) <= parkedSeq) return []
    const batch = nextBatch({ messages: unanswered, chat, isMain: group.isMain, assistantName: this.#rules.assistantName })
    return this.#untilAgentCommand(batch, chat.jid)
  }

  /** A command to the agent's own program is a turn of its own: what was said before it is answered first. */
  #untilAgentCommand(batch: Message[], jid: string): Message[] {
    const at = batch.findIndex((message) => message.fromMe && agentCommandOf(message.text, this.#trigger(jid)) !== undefined)
    return at === -1 ? batch : batch.slice(0, Math.max(at, 1))
  }

  #trigger(jid: string): string {
    return this.#ports.store.groups.chat(jid)?.trigger ?? `@${this.#rules.assistantName}`
  }

  #add({ group, jid, messages }: { group: Group; jid: string; messages: Message[] }): TurnId {
    const { store, now } = this.#ports
    const id = store.turns.add({ folder: group.folder, jid, at: now() })
    store.messages.take(messages, id)
    return id
  }

  #start({ group, jid, id, messages }: { group: Group; jid: string; id: TurnId; messages: Message[] }): ClaimedTurn {
    const { store, now } = this.#ports
    const turn = this.#step(id, { type: 'started', at: now() }).turn
    if (turn.state !== 'running') throw new Error(`turn ${id} did not start`)
    const uuids = Array.from({ length: turn.tries }, (_, n) => this.#uuid(id, n + 1))
    const severalChats = store.groups.chatsOf(group.folder).length > 1
    const raw = messages.length === 1 && messages[0]?.fromMe ? agentCommandOf(messages[0].text, this.#trigger(jid)) : undefined
    const prompt = raw ?? promptOf({ messages, timeZone: this.#rules.timeZone, chat: severalChats ? jid : undefined })
    const uuid = uuids.pop() ?? ''
    return {
      turn,
      group,
      jid,
      prompt,
      throughSeq: messages.at(-1)?.seq ?? 0,
      uuid,
      earlier: uuids,
      sessionId: store.sessions.get(group.folder),
    }
  }

  /** The same turn and try always give the same uuid, so a transcript can be asked for it after a crash. */
  #uuid(id: TurnId, attempt: number): string {
    const hash = createHash('sha256').update(`${this.#rules.installId}/turn/${id}/${attempt}`).digest('hex')
    return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
  }

  /** The session that the SDK named. A row that somebody cleared or changed meanwhile is left as it is. */
  sessionNamed(claimed: ClaimedTurn, sessionId: string): void {
    const { sessions } = this.#ports.store
    const { folder } = claimed.group
    if (claimed.sessionId === undefined && sessions.get(folder) === undefined) sessions.set(folder, sessionId)
    else if (claimed.sessionId !== undefined) sessions.advance({ folder, from: claimed.sessionId, to: sessionId })
  }

  /**
   * Writes the end of turns down, in one transaction: answer, outbox, cursor, session, usage, states. Turns that end
   * together have one answer; it is the first one's.
   */
  finish(turns: readonly ClaimedTurn[], outcome: TurnOutcome): void {
    const { store, feed } = this.#ports
    const after = store.tx(() => (outcome.type === 'failed' ? this.#failAll(turns, outcome) : this.#answer(turns, outcome)))
    for (const publish of after) publish(feed)
  }

  #answer(turns: readonly ClaimedTurn[], outcome: Exclude<TurnOutcome, { type: 'failed' }>): Publish[] {
    const { store, now } = this.#ports
    const [first] = turns
    if (!first) return []
    const { turn, jid } = first
    const throughSeq = Math.max(...turns.map((one) => one.throughSeq))
    for (const {
      turn: { id },
    } of turns) {
      this.#step(id, { type: outcome.type, at: now() })
      if (id !== turn.id) store.turns.noteMerged(id, turn.id)
    }
    if (outcome.type === 'answered' && outcome.usage) store.turns.noteUsage(turn.id, outcome.usage)
    store.chats.markAnswered(jid, throughSeq)
    const state = outcome.type === 'answered' ? 'done' : 'stopped'
    const done: Publish = (feed) => feed.publish(jid, { type: 'turn', state, throughSeq })
    const text = visibleAnswer(outcome.text)
    return text === null ? [done] : [this.#say(first, text + this.#sessionNote(turn.id)), done]
  }

  /** Whoever is answered by an agent that forgot everything should know why. */
  #sessionNote(id: TurnId): string {
    const lost = this.#ports.store.turns.find(id)?.error?.startsWith('session-lost')
    return lost ? '\n\n(The earlier conversation could not be continued, so this is a fresh one.)' : ''
  }

  #say({ turn, jid }: { turn: { id: TurnId }; jid: string }, text: string): Publish {
    const { store, now } = this.#ports
    const answer = {
      jid,
      id: `turn-${turn.id}`,
      sender: 'assistant',
      senderName: this.#rules.assistantName,
      text,
      sentAt: now(),
      fromMe: true,
    }
    const message = store.messages.addAnswer(answer, turn.id)
    store.outbox.add({ jid, text, key: `turn-${turn.id}`, turnId: turn.id, at: now() })
    return (feed) => feed.publish(jid, { type: 'message', message })
  }

  /** Turns that fail together are told as one failure: the first one's. */
  #failAll(turns: readonly ClaimedTurn[], outcome: Failure): Publish[] {
    return turns.flatMap((claimed, index) => this.#fail({ claimed, outcome, quiet: index > 0 }))
  }

  #fail({ claimed, outcome, quiet }: { claimed: ClaimedTurn; outcome: Failure; quiet: boolean }): Publish[] {
    const { store, now } = this.#ports
    const { turn, jid, throughSeq } = claimed
    const { reason, detail, retryAt } = outcome
    const step = this.#step(turn.id, { type: 'failed', at: now(), reason, retryAt })
    store.turns.noteError(turn.id, `${reason}: ${detail}`)
    const effects = step.effects.filter((effect) => !(quiet && effect.type === 'tell-chat'))
    for (const effect of effects) this.#perform({ effect, claimed, detail })
    const next = step.turn.state === 'pending' ? step.turn.notBefore : undefined
    const text = failureText({ reason, detail, retryAt: next, timeZone: this.#rules.timeZone })
    const state = next === undefined ? 'failed' : 'waiting'
    return [(feed) => feed.publish(jid, { type: 'turn', state, throughSeq, detail: text })]
  }

  #perform({ effect, claimed, detail }: { effect: Effect; claimed: ClaimedTurn; detail: string }): void {
    const { store, now } = this.#ports
    const { jid, turn, throughSeq, group } = claimed
    switch (effect.type) {
      case 'tell-chat': {
        const text = failureText({ reason: effect.reason, detail, retryAt: effect.retryAt, timeZone: this.#rules.timeZone })
        return store.outbox.add({ jid, text, key: `turn-${turn.id}-told-${turn.tries}`, turnId: turn.id, at: now() })
      }
      case 'forget-session':
        return store.sessions.clear(group.folder)
      case 'park-messages':
        store.messages.release(turn.id)
        return store.chats.park(jid, throughSeq)
      case 'give-up-messages':
        return store.chats.markAnswered(jid, throughSeq)
    }
  }

  /**
   * Inside the transaction that stores a command: it is a turn that is done at once, with the host's words as its answer.
   * Returns what tells the watchers, for after the commit.
   */
  answerCommand({ chat, message, reply }: { chat: RegisteredChat; message: Message; reply: string }): () => void {
    const { store, feed, now } = this.#ports
    const { jid, folder } = chat
    const id = store.turns.add({ folder, jid, at: now() })
    store.messages.take([message], id)
    this.#step(id, { type: 'started', at: now() })
    const { turn } = this.#step(id, { type: 'answered', at: now() })
    const say = this.#say({ turn, jid }, reply)
    return () => {
      say(feed)
      feed.publish(jid, { type: 'turn', state: 'done', throughSeq: message.seq })
    }
  }

  /** The host is stopping: the turns go on at the next start, and this does not count as a failure. */
  shelve(turns: readonly ClaimedTurn[]): void {
    const { store, now } = this.#ports
    store.tx(() => {
      for (const { turn } of turns) this.#step(turn.id, { type: 'shelved', at: now() })
    })
  }

  /** At start: turns whose host went away are tried again or, after too many tries, given up and told. Returns how many there were. */
  recover(): number {
    const { store, now } = this.#ports
    return store.tx(() => {
      store.chats.unparkAll()
      const orphans = store.turns.running()
      for (const { turn, folder, jid } of orphans) {
        const group = store.groups.find(folder)
        if (turn.state !== 'running' || !group) continue
        const throughSeq = store.messages.ofTurn(turn.id).at(-1)?.seq ?? 0
        const step = this.#step(turn.id, { type: 'orphaned', at: now() })
        const claimed = { turn, group, jid, throughSeq, prompt: '', uuid: '', earlier: [], sessionId: undefined }
        for (const effect of step.effects) this.#perform({ effect, claimed, detail: 'the host was stopped in the middle of it' })
      }
      return orphans.length
    })
  }

  #step(id: TurnId, event: TurnEvent) {
    const { turns } = this.#ports.store
    const stored = turns.find(id)
    if (!stored) throw new Error(`turn ${id} is not in the store`)
    const step = nextTurn(stored.turn, event, { maxRetries: this.#rules.maxRetries })
    turns.save(step.turn)
    return step
  }
}

type Failure = Extract<TurnOutcome, { type: 'failed' }>

/** Said after the transaction, never in it: a watcher must not see what may still be rolled back. */
type Publish = (feed: Feed) => void
