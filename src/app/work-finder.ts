import type { Instant } from '../domain/clock.ts'
import type { Group, RegisteredChat } from '../domain/group.ts'
import type { Batch } from '../domain/message.ts'
import type { SenderJudge } from '../domain/senders.ts'
import type { TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import type { StoredTurn, TurnLane } from '../store/turns.ts'
import { CallSearch } from './call-search.ts'

/** What could be made a running turn from `at` on. `turn` is there where the turn is, and only waits. */
export type Work = { jid: string; at: Instant } & (
  | ({ type: 'messages'; turn: TurnId | undefined } & Batch)
  | { type: 'task'; turn: TurnId; lane: TurnLane; task: Task; runId: number }
  /** What the turn was for is gone: the task was removed, or every message was taken back. */
  | { type: 'void'; turn: TurnId }
)

/** What a lane has to do: something now, nothing before `at`, or nothing at all. `isLooking`: it is not known yet, so ask again. */
export type NextWork = { type: 'work'; work: Work } | { type: 'wait'; at: Instant; isLooking?: true } | { type: 'nothing' }

/** Too much waits in the chat to be read at once. */
type Looking = { type: 'looking' }

export type FinderPorts = { store: Store; now: () => Instant; assistantName: string; judge: SenderJudge }

/** Finds what is to be done next. Reads only, and of each chat no more than a few pages of messages at a time. */
export class WorkFinder {
  readonly #store: Store
  readonly #now: () => Instant
  readonly #calls: CallSearch

  constructor({ store, now, assistantName, judge }: FinderPorts) {
    this.#store = store
    this.#now = now
    this.#calls = new CallSearch({ store, assistantName, judge })
  }

  /** Runs of tasks go before messages, and of those, the chat that waits for longest. */
  next(folder: string, lane: TurnLane): NextWork {
    const group = this.#store.groups.find(folder)
    if (!group) return { type: 'nothing' }
    const task = this.#store.turns.nextTask({ folder, lane, now: this.#now() })
    const tasks = task ? [this.#taskWork(task)] : []
    const said = tasks.some((work) => this.#isDue(work)) || lane !== 'chat' ? [] : this.#messageWorks(group)
    if (said === 'looking') return { type: 'wait', at: this.#now(), isLooking: true }
    const works = [...tasks, ...said]
    const due = works.find((work) => this.#isDue(work))
    if (due) return { type: 'work', work: due }
    return works.length > 0 ? { type: 'wait', at: Math.min(...works.map((work) => work.at)) } : { type: 'nothing' }
  }

  #isDue(work: Work): boolean {
    return work.at <= this.#now()
  }

  #taskWork({ turn, jid, lane, runId }: StoredTurn): Work {
    const at = turn.state === 'pending' ? turn.notBefore : this.#now()
    const task = runId === null ? undefined : this.#store.tasks.taskOfRun(runId)
    if (runId === null || !task) return { type: 'void', jid, at, turn: turn.id }
    return { type: 'task', jid, at, turn: turn.id, lane, task, runId }
  }

  /** `looking` while one of the chats is searched: which one waits for longest is known only then. */
  #messageWorks(group: Group): Work[] | 'looking' {
    const found = this.#store.groups.chatsOf(group.folder).flatMap((chat) => this.#workOf(group, chat))
    const works = found.filter((work) => work.type !== 'looking')
    return works.length < found.length ? 'looking' : works.sort((a, b) => firstSeq(a) - firstSeq(b))
  }

  /** A chat whose turn runs has no work of its own: what it says joins that turn, or waits for its end. */
  #workOf(group: Group, chat: RegisteredChat): (Work | Looking)[] {
    const open = this.#store.turns.openOf(chat.jid)
    if (open.some(({ turn }) => turn.state === 'running')) return []
    const work = this.#look({ group, chat, open })
    return work ? [work] : []
  }

  /** The one thing a chat waits for: its oldest pending turn, or else a turn to be made of its unanswered messages. */
  ofChat(group: Group, chat: RegisteredChat): Work | undefined {
    const work = this.#look({ group, chat, open: this.#store.turns.openOf(chat.jid) })
    return work?.type === 'looking' ? undefined : work
  }

  #look({ group, chat, open }: { group: Group; chat: RegisteredChat; open: StoredTurn[] }): Work | Looking | undefined {
    const { jid } = chat
    const pending = open.find(({ turn }) => turn.state === 'pending')?.turn
    const asked = pending && this.#store.messages.ofTurn(pending.id)
    if (pending && asked?.messages.length === 0) return { type: 'void', jid, at: this.#now(), turn: pending.id }
    const { answeredSeq, parkedSeq, passedSeq } = this.#store.chats.cursors(jid)
    const isParked = parkedSeq > 0
    // What is parked waits for what a person must put right: until they did, or somebody calls the assistant again.
    const after = Math.max(answeredSeq, passedSeq, parkedSeq)
    const call = pending && !isParked ? undefined : this.#calls.newestCall({ group, chat }, after)
    if (call?.type === 'looking') return call
    if (pending?.state === 'pending' && asked) {
      const stays = isParked && call?.type === 'none'
      // A login is not tried again by itself: it is noticed when there is another.
      if (stays && pending.waitsFor === 'login') return undefined
      const at = pending.waitsFor && !stays ? this.#now() : pending.notBefore
      return { type: 'messages', jid, at, turn: pending.id, ...asked }
    }
    return call?.type === 'found' ? this.#workUntil(call.seq, { group, chat }) : undefined
  }

  /** A command to the agent's own program is a turn of its own: what was said before it is answered first. */
  #workUntil(call: number, where: { group: Group; chat: RegisteredChat }): Work | Looking {
    const { jid } = where.chat
    const command = this.#calls.firstCommand(where, call)
    if (command.type === 'looking') return command
    const { messages, chats } = this.#store
    const { answeredSeq, passedSeq } = chats.cursors(jid)
    const after = Math.max(answeredSeq, passedSeq)
    const isFirst = command.type === 'found' && messages.oldestUnansweredSeq(jid, after) === command.seq
    const before = command.type === 'none' ? call + 1 : command.seq + (isFirst ? 1 : 0)
    return { type: 'messages', jid, at: this.#now(), turn: undefined, ...messages.batch({ jid, after, before }) }
  }
}

function firstSeq(work: Work): number {
  return work.type === 'messages' ? (work.leftOut?.first.seq ?? work.messages[0]?.seq ?? 0) : 0
}
