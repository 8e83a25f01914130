import { createHash } from 'node:crypto'
import type { TurnOutcome } from '../container/agent-run.ts'
import type { Instant } from '../domain/clock.ts'
import { agentCommandOf } from '../domain/command.ts'
import type { Group, RegisteredChat } from '../domain/group.ts'
import type { Batch, Message } from '../domain/message.ts'
import { promptOf, taskPrompt } from '../domain/prompt.ts'
import { mayDo, type SenderJudge } from '../domain/senders.ts'
import type { RunningTurn, TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import type { StoredTurn, TurnLane } from '../store/turns.ts'
import type { Feed } from './feed.ts'
import { TurnLedger } from './turn-ledger.ts'
import { type NextWork, type Work, WorkFinder } from './work-finder.ts'

/** A turn that was taken up: stored as running, with everything an agent needs to work on it. */
export type ClaimedTurn = {
  turn: RunningTurn
  group: Group
  jid: string
  prompt: string
  /** The newest message it answers; 0 for a run of a task. */
  throughSeq: number
  uuid: string
  /** Uuids of its earlier tries, oldest first. */
  earlier: string[]
  /** Uuids of the first tries of turns that were in flight together with an earlier try. */
  siblings: string[]
  sessionId: string | undefined
  lane: TurnLane
  /** How often the login had changed when it began. */
  loginChanges: number
  /** There where the turn is a run of a task. */
  task: { runId: number; id: string; title: string; script: string | null } | undefined
}

export type TurnDeskPorts = { store: Store; feed: Feed; now(): Instant; judge: SenderJudge; loginChanges?(): number }
export type TurnRules = { assistantName: string; timeZone: string; maxRetries: number; installId: string }

/**
 * Takes turns up and has their ends written down. Each step is one transaction: whatever crashes when, a message is
 * either unanswered with a next step, or answered exactly once.
 */
export class TurnDesk {
  readonly #ports: TurnDeskPorts
  readonly #rules: TurnRules
  readonly #finder: WorkFinder
  readonly #ledger: TurnLedger

  constructor(ports: TurnDeskPorts, rules: TurnRules) {
    this.#ports = ports
    this.#rules = rules
    this.#finder = new WorkFinder({ ...ports, assistantName: rules.assistantName })
    this.#ledger = new TurnLedger(ports, rules)
  }

  /** Is there work for this lane of a group? Reads only. */
  look(folder: string, lane: TurnLane): NextWork {
    return this.#finder.next(folder, lane)
  }

  /** Takes up the next work of a lane that is due; undefined when there is none. A chat never has two open turns. */
  claim(folder: string, lane: TurnLane): ClaimedTurn | undefined {
    const claimed = this.#ports.store.tx(() => {
      for (;;) {
        const next = this.look(folder, lane)
        if (next.type === 'wait' && next.isLooking) continue
        const group = this.#ports.store.groups.find(folder)
        if (next.type !== 'work' || !group) return undefined
        const started = this.#start(group, next.work)
        if (started) return started
      }
    })
    if (claimed) this.#ports.feed.publish(claimed.jid, { type: 'turn', state: 'running', throughSeq: claimed.throughSeq })
    return claimed
  }

  /** What the chat of a running turn said since, taken up to join it; undefined when there is nothing. */
  claimFollowUp(running: ClaimedTurn): ClaimedTurn | undefined {
    const { store, now } = this.#ports
    return store.tx(() => {
      const chat = store.groups.chat(running.jid)
      if (!chat || chat.folder !== running.group.folder) return undefined
      const work = this.#finder.ofChat(running.group, chat)
      // What was tried before must be looked up in the transcript first, which only a turn of its own is.
      if (!work || work.turn !== undefined || work.at > now()) return undefined
      const joined = this.#start(running.group, work)
      if (joined) store.turns.noteJoined(joined.turn.id, running.turn.id)
      return joined
    })
  }

  /** Says in the waiting chat that it was heard; once for each message it waits with. */
  tellPlace(folder: string, place: number): void {
    const { store, feed } = this.#ports
    const next = this.look(folder, 'chat')
    const last = next.type === 'work' && next.work.type === 'messages' ? next.work.messages.at(-1) : undefined
    if (!last) return
    const { jid, seq } = last
    const text = `I am busy in other chats; you are number ${place} in the queue.`
    store.tx(() => this.#ledger.tell({ jid, text, key: `place-${seq}`, turnId: null }))
    feed.publish(jid, { type: 'turn', state: 'waiting', throughSeq: seq, detail: text })
  }

  /** The work as a running turn; undefined when what it was for is gone, which ends it. */
  #start(group: Group, work: Work): ClaimedTurn | undefined {
    switch (work.type) {
      case 'void':
        this.#ledger.dropVoid(work)
        return undefined
      case 'task': {
        const { task, runId, lane } = work
        const started = this.#started({ group, jid: work.jid, id: work.turn, lane, runId })
        const prompt = this.#taskPrompt(task, started)
        return { ...started, prompt, throughSeq: 0, task: { runId, id: task.id, title: titleOf(task), script: task.script } }
      }
      case 'messages': {
        const { jid, messages } = work
        const id = work.turn ?? this.#add(group, work)
        // It is tried again: what it waited for is looked at anew.
        this.#ports.store.chats.unpark(jid)
        const started = this.#started({ group, jid, id, lane: 'chat', runId: undefined })
        return {
          ...started,
          prompt: this.#prompt(started.turn, { ...work, group }),
          throughSeq: messages.at(-1)?.seq ?? 0,
          task: undefined,
        }
      }
    }
  }

  #add(group: Group, { jid, messages, leftOut }: Batch & { jid: string }): TurnId {
    const { store, now } = this.#ports
    const id = store.turns.add({ folder: group.folder, jid, at: now() })
    if (leftOut) store.turns.notePassed(id, leftOut)
    store.messages.take(messages, id)
    return id
  }

  #started({ group, jid, id, lane, runId }: Starting): Omit<ClaimedTurn, 'prompt' | 'throughSeq' | 'task'> {
    const { store, now } = this.#ports
    const { turn } = this.#ledger.step(id, { type: 'started', at: now() })
    if (turn.state !== 'running') throw new Error(`turn ${id} did not start`)
    const uuids = this.#uuids({ id, tries: turn.tries })
    const uuid = uuids.pop() ?? ''
    // A further try is a run of its own: only first ones go in together.
    const siblings = uuids.length > 0 ? store.turns.siblings(id).map((sibling) => this.#uuid(sibling, 1)) : []
    const sessionId =
      lane === 'isolated' && runId !== undefined ? store.tasks.sessionOfRun(runId) : store.sessions.get(group.folder)
    return {
      turn,
      group,
      jid,
      uuid,
      earlier: uuids.slice(store.turns.staleTries(id)),
      siblings,
      sessionId,
      lane,
      loginChanges: this.#loginChanges(),
    }
  }

  #loginChanges(): number {
    return this.#ports.loginChanges?.() ?? 0
  }

  /** What the agent reads; a command to its own program reaches that as it is. */
  #prompt(turn: RunningTurn, { messages, leftOut, group }: Batch & { group: Group }): string {
    const { judge, store } = this.#ports
    const { groups, questions, outbox } = store
    const [first] = messages
    const chat = first && groups.chat(first.jid)
    if (!chat) return ''
    const { timeZone, assistantName } = this.#rules
    const may = messages.length === 1 && !leftOut && mayDo(judge(first, group), 'compact')
    const command = may ? agentCommandOf(first.text, chat.trigger ?? `@${assistantName}`) : undefined
    if (command !== undefined) return command
    const severalChats = groups.chatsOf(chat.folder).length > 1
    return promptOf({
      messages,
      leftOut,
      timeZone,
      chat: severalChats ? chat.jid : undefined,
      answers: questions.tellIn({ folder: chat.folder, jid: chat.jid, turn: turn.id }),
      undelivered: outbox.tellIn(turn, chat.jid),
    })
  }

  /** Beside the conversation nobody knows what was said in it. */
  #taskPrompt(task: Task, { turn, lane, jid }: { turn: RunningTurn; lane: TurnLane; jid: string }): string {
    const undelivered = lane === 'chat' ? this.#ports.store.outbox.tellIn(turn, jid) : []
    return taskPrompt({ ...task, timeZone: this.#rules.timeZone, at: this.#ports.now(), undelivered })
  }

  #uuids({ id, tries }: { id: TurnId; tries: number }): string[] {
    return Array.from({ length: tries }, (_, n) => this.#uuid(id, n + 1))
  }

  /** The same turn and try always give the same uuid, so a transcript can be asked for it after a crash. */
  #uuid(id: TurnId, attempt: number): string {
    const hash = createHash('sha256').update(`${this.#rules.installId}/turn/${id}/${attempt}`).digest('hex')
    return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
  }

  /** The session that the SDK named. A row that somebody cleared or changed meanwhile is left as it is. */
  sessionNamed({ group: { folder }, sessionId: from, lane, task }: ClaimedTurn, sessionId: string): void {
    const { sessions, tasks } = this.#ports.store
    if (lane === 'isolated' && task) tasks.noteSession(task.runId, sessionId)
    else if (from === undefined && sessions.get(folder) === undefined) sessions.set(folder, sessionId)
    else if (from !== undefined) sessions.advance({ folder, from, to: sessionId })
  }

  /** Writes the end of turns down, in one transaction. Turns that end together have one answer; it is the first one's. */
  finish(turns: readonly ClaimedTurn[], outcome: TurnOutcome): void {
    // The login that was refused is not the one there is now.
    const isPast = outcome.type === 'failed' && outcome.reason === 'login' && turns[0]?.loginChanges !== this.#loginChanges()
    if (isPast) return this.shelve(turns)
    const { store, feed } = this.#ports
    const after = store.tx(() =>
      outcome.type === 'failed' ? this.#ledger.fail(turns, outcome) : this.#ledger.answer(turns, outcome),
    )
    for (const publish of after) publish(feed)
  }

  /**
   * Inside the transaction that stores a command: it is a turn that is done at once, with the host's words as its answer.
   * Returns what tells the watchers, for after the commit.
   */
  answerCommand({ chat, message, reply }: { chat: RegisteredChat; message: Message; reply: string }): () => void {
    const { store, feed, now } = this.#ports
    const id = store.turns.add({ folder: chat.folder, jid: chat.jid, at: now() })
    store.messages.take([message], id)
    this.#ledger.step(id, { type: 'started', at: now() })
    const publish = this.#ledger.command({ id, jid: chat.jid, reply, throughSeq: message.seq })
    return () => publish(feed)
  }

  /** The host is stopping: the turns go on at the next start, and this does not count as a failure. */
  shelve(turns: readonly ClaimedTurn[]): void {
    const { store, now } = this.#ports
    store.tx(() => {
      for (const { turn } of turns) this.#ledger.step(turn.id, { type: 'shelved', at: now() })
    })
  }

  /** At start: turns whose host went away are tried again or, after too many tries, given up and told. Returns how many there were. */
  recover(): number {
    const { store } = this.#ports
    return store.tx(() => {
      store.chats.unparkAll()
      const orphans = store.turns.running()
      for (const orphan of orphans) {
        const claimed = this.#orphan(orphan)
        if (!claimed || (orphan.runId !== null && !claimed.task)) this.#ledger.dropVoid({ turn: orphan.turn.id })
        else this.#ledger.orphaned(claimed)
      }
      return orphans.length
    })
  }

  /** An orphan as it was claimed, as far as its end needs it. */
  #orphan({ turn, folder, jid, lane, runId }: StoredTurn): ClaimedTurn | undefined {
    const { store } = this.#ports
    const group = store.groups.find(folder)
    if (turn.state !== 'running' || !group) return undefined
    const throughSeq = store.messages.ofTurn(turn.id).messages.at(-1)?.seq ?? 0
    const task = runId === null ? undefined : store.tasks.taskOfRun(runId)
    const run = runId !== null && task ? { runId, id: task.id, title: titleOf(task), script: task.script } : undefined
    return {
      turn,
      group,
      jid,
      lane,
      throughSeq,
      task: run,
      prompt: '',
      uuid: '',
      earlier: [],
      siblings: [],
      sessionId: undefined,
      loginChanges: 0,
    }
  }
}

type Starting = { group: Group; jid: string; id: TurnId; lane: TurnLane; runId: number | undefined }

const LONGEST_TITLE = 60

/** How people are told which task is meant. */
function titleOf({ prompt }: Task): string {
  const line = prompt.trim().replaceAll(/\s+/g, ' ')
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE - 1)}…` : line
}
