import type { Instant } from '../domain/clock.ts'
import { agentCommandOf } from '../domain/command.ts'
import type { Group, RegisteredChat } from '../domain/group.ts'
import type { Message } from '../domain/message.ts'
import { nextBatch } from '../domain/routing.ts'
import { everybody, mayDo, type SenderJudge } from '../domain/senders.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import type { StoredTurn, TurnLane } from '../store/turns.ts'

/** What could be made a running turn from `at` on. `turn` is there where the turn is, and only waits. */
export type Work = { jid: string; at: Instant } & (
  | { type: 'messages'; turn: TurnId | undefined; messages: Message[] }
  | { type: 'task'; turn: TurnId; lane: TurnLane; task: Task; runId: number }
  /** What the turn was for is gone: the task was removed, or every message was taken back. */
  | { type: 'void'; turn: TurnId }
)

/** What a lane has to do: something now, nothing before `at`, or nothing at all. */
export type NextWork = { type: 'work'; work: Work } | { type: 'wait'; at: Instant } | { type: 'nothing' }

export type FinderPorts = { store: Store; now: () => Instant; assistantName: string; judge?: SenderJudge | undefined }

/** Finds what is to be done next. Reads only. */
export class WorkFinder {
  readonly #store: Store
  readonly #now: () => Instant
  readonly #assistantName: string
  readonly #judge: SenderJudge
  /** Up to where nothing unanswered calls the assistant, by chat, and by which rule: what was looked at once is not read again. */
  readonly #quiet = new Map<string, { rule: string; through: number }>()

  constructor({ store, now, assistantName, judge = everybody }: FinderPorts) {
    this.#store = store
    this.#now = now
    this.#assistantName = assistantName
    this.#judge = judge
  }

  /** Runs of tasks go before messages, and of those, the chat that waits for longest. */
  next(folder: string, lane: TurnLane): NextWork {
    const group = this.#store.groups.find(folder)
    if (!group) return { type: 'nothing' }
    const task = this.#store.turns.nextTask({ folder, lane, now: this.#now() })
    const works = [...(task ? [this.#taskWork(task)] : []), ...(lane === 'chat' ? this.#messageWorks(group) : [])]
    const due = works.find((work) => work.at <= this.#now())
    if (due) return { type: 'work', work: due }
    return works.length > 0 ? { type: 'wait', at: Math.min(...works.map((work) => work.at)) } : { type: 'nothing' }
  }

  #taskWork({ turn, jid, lane, runId }: StoredTurn): Work {
    const at = turn.state === 'pending' ? turn.notBefore : this.#now()
    const task = runId === null ? undefined : this.#store.tasks.taskOfRun(runId)
    if (runId === null || !task) return { type: 'void', jid, at, turn: turn.id }
    return { type: 'task', jid, at, turn: turn.id, lane, task, runId }
  }

  #messageWorks(group: Group): Work[] {
    const works = this.#store.groups.chatsOf(group.folder).flatMap((chat) => this.#workOf(group, chat))
    return works.sort((a, b) => firstSeq(a) - firstSeq(b))
  }

  /** A chat whose turn runs has no work of its own: what it says joins that turn, or waits for its end. */
  #workOf(group: Group, chat: RegisteredChat): Work[] {
    const open = this.#store.turns.openOf(chat.jid)
    if (open.some(({ turn }) => turn.state === 'running')) return []
    const work = this.ofChat(group, chat, open)
    return work ? [work] : []
  }

  /** The one thing a chat waits for: its oldest pending turn, or else a turn to be made of its unanswered messages. */
  ofChat(group: Group, chat: RegisteredChat, open = this.#store.turns.openOf(chat.jid)): Work | undefined {
    const { jid } = chat
    const pending = open.find(({ turn }) => turn.state === 'pending')?.turn
    const asked = pending ? this.#store.messages.ofTurn(pending.id) : []
    if (pending && asked.length === 0) return { type: 'void', jid, at: this.#now(), turn: pending.id }
    const parked = this.#isParked(group, chat)
    if (pending?.state === 'pending') {
      // A login is not tried again by itself: it is noticed when there is another.
      if (parked && pending.waitsFor === 'login') return undefined
      const at = pending.waitsFor && !parked ? this.#now() : pending.notBefore
      return { type: 'messages', jid, at, turn: pending.id, messages: asked }
    }
    if (parked) return undefined
    const messages = this.#batch(group, chat)
    return messages.length > 0 ? { type: 'messages', jid, at: this.#now(), turn: undefined, messages } : undefined
  }

  /** It waits for what a person must put right: until they did, or somebody calls the assistant again. */
  #isParked(group: Group, chat: RegisteredChat): boolean {
    return this.#store.chats.cursors(chat.jid).parkedSeq > 0 && this.#isQuiet(group, chat)
  }

  /** Nothing calls the assistant that is not answered, or was not told that it must wait. */
  #isQuiet(group: Group, chat: RegisteredChat): boolean {
    const { jid } = chat
    const { answeredSeq, parkedSeq } = this.#store.chats.cursors(jid)
    const from = Math.max(answeredSeq, parkedSeq)
    const rule = JSON.stringify([chat.trigger, chat.requiresTrigger, group.isMain, parkedSeq, this.#judge.version?.()])
    const known = this.#quiet.get(jid)
    const through = Math.max(from, known?.rule === rule ? known.through : 0)
    const fresh = this.#store.messages.unanswered(jid, through)
    const edited = this.#store.messages.unansweredEdited(jid, from)
    if (this.#nextBatch({ group, chat, messages: [...edited, ...fresh] }).length > 0) return false
    this.#quiet.set(jid, { rule, through: fresh.at(-1)?.seq ?? through })
    this.#store.onRollback('Forgetting which messages call nobody', () => this.#quiet.delete(jid))
    return true
  }

  #batch(group: Group, chat: RegisteredChat): Message[] {
    if (this.#isQuiet(group, chat)) return []
    const { messages, chats } = this.#store
    const unanswered = messages.unanswered(chat.jid, chats.cursors(chat.jid).answeredSeq)
    const batch = this.#nextBatch({ group, chat, messages: unanswered })
    return this.#untilAgentCommand(batch, { isMain: group.isMain, trigger: chat.trigger ?? `@${this.#assistantName}` })
  }

  #nextBatch({ group, ...said }: { group: Group; chat: RegisteredChat; messages: Message[] }): Message[] {
    return nextBatch({ ...said, isMain: group.isMain, assistantName: this.#assistantName, judge: this.#judge })
  }

  /** A command to the agent's own program is a turn of its own: what was said before it is answered first. */
  #untilAgentCommand(batch: Message[], { isMain, trigger }: { isMain: boolean; trigger: string }): Message[] {
    const may = (message: Message) => mayDo(this.#judge(message, { isMain }), 'compact')
    const at = batch.findIndex((message) => agentCommandOf(message.text, trigger) !== undefined && may(message))
    return at === -1 ? batch : batch.slice(0, Math.max(at, 1))
  }
}

function firstSeq(work: Work): number {
  return work.type === 'messages' ? (work.messages[0]?.seq ?? 0) : 0
}
