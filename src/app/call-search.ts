import { agentCommandOf } from '../domain/command.ts'
import type { Group, RegisteredChat } from '../domain/group.ts'
import type { Message } from '../domain/message.ts'
import { callsOf } from '../domain/routing.ts'
import { mayDo, type SenderJudge } from '../domain/senders.ts'
import type { Store } from '../store/store.ts'

/** What a search came to so far; `looking` when there is more to read. */
export type Search = { type: 'found'; seq: number } | { type: 'none' } | { type: 'looking' }

type Where = { group: Group; chat: RegisteredChat }
type Rules = { store: Pick<Store, 'messages' | 'chats'>; assistantName: string; judge: SenderJudge }
type Reading = { jid: string; calls: (message: Message) => boolean }

/**
 * What is known of a chat's messages that no turn has taken, by the numbers of the messages. None after `from` up to `low` calls
 * the assistant, and none from `high` up to `through`, but the one at `high` if `isCall`. Between `low` and `high` nobody looked.
 */
type Known = {
  rule: string
  from: number
  low: number
  high: number
  through: number
  isCall: boolean
  /** The newest change that was taken into account. */
  editNo: number
  /** None after `from` up to here is a command to the agent's own program. */
  plainThrough: number
}

/**
 * Looks for the messages that make a turn, however many wait: each call reads a page or two of them at most, and goes on where
 * the one before it stopped. What was looked at once is not read again, unless the rule of the chat is another, or a writer
 * changed it. Reads only.
 */
export class CallSearch {
  readonly #rules: Rules
  readonly #known = new Map<string, Known>()

  constructor(rules: Rules) {
    this.#rules = rules
  }

  /** The newest message after `after` that calls the assistant. */
  newestCall(where: Where, after: number): Search {
    const known = this.#knownOf(where)
    const { chat, group } = where
    const reading = { jid: chat.jid, calls: callsOf({ ...this.#rules, chat, isMain: group.isMain }) }
    if (!this.#noteEdits(known, reading)) return { type: 'looking' }
    this.#readNew(known, reading)
    if (known.isCall && !this.#stillCalls(known.high, reading.calls)) known.isCall = false
    if (!known.isCall) this.#readOld(known, { ...reading, after })
    if (known.isCall && known.high > after) return { type: 'found', seq: known.high }
    return known.high <= after + 1 || isAllRead(known) ? { type: 'none' } : { type: 'looking' }
  }

  /** The oldest message up to `through` that is a command to the agent's own program, by somebody who may give it. */
  firstCommand(where: Where, through: number): Search {
    const { group, chat } = where
    const known = this.#knownOf(where)
    const trigger = chat.trigger ?? `@${this.#rules.assistantName}`
    const may = (message: Message) => mayDo(this.#rules.judge(message, group), 'compact')
    const stretch = { jid: chat.jid, after: known.plainThrough, before: through + 1 }
    const { messages, isWhole } = this.#rules.store.messages.unansweredCommands(stretch)
    const command = messages.find((message) => agentCommandOf(message.text, trigger) !== undefined && may(message))
    if (command) return { type: 'found', seq: command.seq }
    known.plainThrough = Math.max(known.plainThrough, isWhole ? through : (messages.at(-1)?.seq ?? 0))
    return { type: isWhole ? 'none' : 'looking' }
  }

  /** Begins anew under another rule; and when what was taken no longer is, because a transaction came to nothing. */
  #knownOf({ group, chat }: Where): Known {
    const { chats, messages } = this.#rules.store
    const rule = JSON.stringify([chat.trigger, chat.requiresTrigger, group.isMain, this.#rules.judge.version?.()])
    const { answeredSeq, passedSeq } = chats.cursors(chat.jid)
    const from = Math.max(answeredSeq, passedSeq)
    const before = this.#known.get(chat.jid)
    if (before?.rule === rule && before.from <= from) return movedTo(before, from)
    const editNo = messages.newestEdit(chat.jid)
    const known = { rule, from, low: from, high: from + 1, through: from, isCall: false, editNo, plainThrough: from }
    this.#known.set(chat.jid, known)
    return known
  }

  /** False when there are more changes than one page of them. */
  #noteEdits(known: Known, { jid, calls }: Reading): boolean {
    const edits = this.#rules.store.messages.edits(jid, known.editNo)
    for (const { editNo, seq } of edits) {
      known.editNo = editNo
      if (seq > known.from && seq <= known.through) noteEdit(known, seq, this.#stillCalls(seq, calls))
    }
    return edits.length === 0 || this.#rules.store.messages.newestEdit(jid) === known.editNo
  }

  #stillCalls(seq: number, calls: (message: Message) => boolean): boolean {
    const message = this.#rules.store.messages.findUnanswered(seq)
    return message !== undefined && calls(message)
  }

  /** What came since: backwards from the newest, as far as a page goes. */
  #readNew(known: Known, { jid, calls }: Reading): void {
    const stretch = { jid, after: known.through, before: Number.MAX_SAFE_INTEGER }
    const { messages, isWhole } = this.#rules.store.messages.newestUnanswered(stretch)
    const call = messages.find(calls)
    known.through = messages[0]?.seq ?? known.through
    if (call) Object.assign(known, { high: call.seq, isCall: true })
    else if (!isWhole) Object.assign(known, { high: messages.at(-1)?.seq ?? known.high, isCall: false })
    settle(known)
  }

  /** A page further back, towards `after`. */
  #readOld(known: Known, { jid, calls, after }: Reading & { after: number }): void {
    const end = Math.max(known.low, after)
    if (known.high <= end + 1) return
    const { messages, isWhole } = this.#rules.store.messages.newestUnanswered({ jid, after: end, before: known.high })
    const call = messages.find(calls)
    known.high = call?.seq ?? (isWhole ? end + 1 : (messages.at(-1)?.seq ?? end + 1))
    known.isCall = call !== undefined
    settle(known)
  }
}

/** Turns took what was up to here. */
function movedTo(known: Known, from: number): Known {
  if (known.high <= from) Object.assign(known, { high: from + 1, isCall: false })
  known.from = from
  known.low = Math.max(known.low, from)
  known.through = Math.max(known.through, from)
  known.plainThrough = Math.max(known.plainThrough, from)
  settle(known)
  return known
}

function noteEdit(known: Known, seq: number, calls: boolean): void {
  known.plainThrough = Math.min(known.plainThrough, seq - 1)
  if (seq >= known.high && calls) Object.assign(known, { high: seq, isCall: true })
  else if (seq === known.high) known.isCall = false
  else if (seq <= known.low && calls) known.low = seq - 1
  settle(known)
}

function isAllRead({ low, high }: Known): boolean {
  return high <= low + 1
}

/** Nothing is left that nobody looked at, and nothing calls: from now on, only what comes is read. */
function settle(known: Known): void {
  if (!known.isCall && isAllRead(known)) Object.assign(known, { low: known.through, high: known.through + 1 })
}
