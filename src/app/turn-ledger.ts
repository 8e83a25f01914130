import type { TurnOutcome } from '../container/agent-run.ts'
import { visibleAnswer } from '../domain/answer.ts'
import type { Instant } from '../domain/clock.ts'
import { failureText, taskFailureText } from '../domain/failure.ts'
import { type Effect, IllegalTransition, isObstacle, nextTurn, type Step, type TurnEvent, type TurnId } from '../domain/turn.ts'
import type { Store } from '../store/store.ts'
import type { StoredTurn } from '../store/turns.ts'
import type { Feed } from './feed.ts'
import { postNotice } from './notices.ts'
import type { ClaimedTurn } from './turn-desk.ts'

type Failure = Extract<TurnOutcome, { type: 'failed' }>
type Answer = Exclude<TurnOutcome, { type: 'failed' }>

/** Said after the transaction, never in it: a watcher must not see what may still be rolled back. */
export type Publish = (feed: Feed) => void

export type LedgerRules = { assistantName: string; timeZone: string; maxRetries: number }

/** A run of a task that broke off is begun anew once, if its missed moments are to be made up for at all. */
const TASK_RETRIES = 1

/** Writes down what became of turns. Every method belongs in a transaction. */
export class TurnLedger {
  readonly #store: Store
  readonly #now: () => Instant
  readonly #rules: LedgerRules

  constructor({ store, now }: { store: Store; now(): Instant }, rules: LedgerRules) {
    this.#store = store
    this.#now = now
    this.#rules = rules
  }

  /** The one place where a turn changes its state. */
  step(id: TurnId, event: TurnEvent): Step {
    const stored = this.#store.turns.find(id)
    if (!stored) throw new IllegalTransition(`turn ${id} is not in the store`)
    const step = nextTurn(stored.turn, event, { maxRetries: this.#retries(stored), parks: stored.runId === null })
    this.#store.turns.save(step.turn)
    return step
  }

  #retries({ runId }: StoredTurn): number {
    const { maxRetries } = this.#rules
    if (runId === null) return maxRetries
    return this.#store.tasks.taskOfRun(runId)?.catchUp === 'skip' ? 0 : Math.min(maxRetries, TASK_RETRIES)
  }

  /** What a turn was for is gone before it began, or before it could go on. */
  dropVoid({ turn }: { turn: TurnId }): void {
    const runId = this.#store.turns.find(turn)?.runId
    this.step(turn, { type: 'stopped', at: this.#now() })
    if (runId) this.#store.tasks.endRun({ runId, at: this.#now(), status: 'error', result: null, error: 'the task was removed' })
  }

  /** Answer, outbox, cursor, usage, states: turns that end together have one answer, the first one's. */
  answer(turns: readonly ClaimedTurn[], outcome: Answer): Publish[] {
    const [first] = turns
    if (!first) return []
    const { turn, jid, task } = first
    const throughSeq = Math.max(...turns.map((one) => one.throughSeq))
    const answerId = outcome.type === 'answered' ? outcome.answerId : undefined
    const said = answerId === undefined ? undefined : this.#store.turns.withAnswer(jid, answerId)
    for (const { turn: one } of turns) {
      this.step(one.id, { type: outcome.type, at: this.#now() })
      if (one.id !== (said ?? turn.id)) this.#store.turns.noteMerged(one.id, said ?? turn.id)
    }
    if (answerId !== undefined && said === undefined) this.#store.turns.noteAnswer(turn.id, answerId)
    if (outcome.type === 'answered' && outcome.usage) this.#store.turns.noteUsage(turn.id, outcome.usage)
    this.#store.chats.markAnswered(jid, throughSeq)
    this.#store.chats.unpark(jid)
    if (task) this.#endRun(task.runId, outcome)
    const state = outcome.type === 'answered' ? 'done' : 'stopped'
    const done: Publish = (feed) => feed.publish(jid, { type: 'turn', state, throughSeq })
    const text = said === undefined ? visibleAnswer(outcome.text) : null
    return text === null ? [done] : [this.#say({ id: turn.id, jid, text: text + this.#sessionNote(turn.id) }), done]
  }

  #endRun(runId: number, outcome: Answer): void {
    const stopped = outcome.type === 'stopped'
    const end = { status: stopped ? ('error' as const) : ('success' as const), error: stopped ? 'stopped by somebody' : null }
    this.#store.tasks.endRun({ runId, at: this.#now(), result: outcome.text, ...end })
  }

  /** Whoever is answered by an agent that forgot everything should know why. */
  #sessionNote(id: TurnId): string {
    const lost = this.#store.turns.find(id)?.error?.startsWith('session-lost')
    return lost ? '\n\n(The earlier conversation could not be continued, so this is a fresh one.)' : ''
  }

  #say({ id, jid, text, byHost = false }: { id: TurnId; jid: string; text: string; byHost?: boolean }): Publish {
    const answer = {
      jid,
      id: `turn-${id}`,
      sender: 'assistant',
      senderName: this.#rules.assistantName,
      text,
      sentAt: this.#now(),
      fromMe: true,
    }
    const message = this.#store.messages.addAnswer(answer, id)
    this.#store.outbox.add({ jid, text, key: `turn-${id}`, turnId: id, byHost, at: this.#now() })
    return (feed) => feed.publish(jid, { type: 'message', message })
  }

  /** A command's turn, started a moment ago, ends with the host's own words. */
  command({ id, jid, reply, throughSeq }: { id: TurnId; jid: string; reply: string; throughSeq: number }): Publish {
    this.step(id, { type: 'answered', at: this.#now() })
    const say = this.#say({ id, jid, text: reply, byHost: true })
    return (feed) => {
      say(feed)
      feed.publish(jid, { type: 'turn', state: 'done', throughSeq })
    }
  }

  /** The host's own words: people find them in the chat, and agents do not take them for anybody's. */
  tell({ jid, text, key, turnId }: { jid: string; text: string; key: string; turnId: TurnId | null }): void {
    postNotice(this.#store, { jid, text, key, turnId, at: this.#now() })
  }

  /** Turns that fail together are told as one failure: the first one's. */
  fail(turns: readonly ClaimedTurn[], outcome: Failure): Publish[] {
    return turns.map((claimed, index) => this.#fail({ claimed, outcome, quiet: index > 0 }))
  }

  #fail({ claimed, outcome, quiet }: { claimed: ClaimedTurn; outcome: Failure; quiet: boolean }): Publish {
    const { turn, jid, throughSeq } = claimed
    const { reason, detail, retryAt } = outcome
    const step = this.step(turn.id, { type: 'failed', at: this.#now(), reason, retryAt })
    this.#store.turns.noteError(turn.id, `${reason}: ${detail}`)
    this.#performAll({ step, claimed, detail, quiet })
    const next = step.turn.state === 'pending' && !step.turn.waitsFor ? step.turn.notBefore : undefined
    const text = failureText({ reason, detail, retryAt: next, timeZone: this.#rules.timeZone })
    return (feed) =>
      feed.publish(jid, { type: 'turn', state: next === undefined ? 'failed' : 'waiting', throughSeq, detail: text })
  }

  /** The host went away while the turn ran. */
  orphaned(claimed: ClaimedTurn): void {
    const step = this.step(claimed.turn.id, { type: 'orphaned', at: this.#now() })
    this.#performAll({ step, claimed, detail: 'the host was stopped in the middle of it', quiet: false })
  }

  #performAll({ step, claimed, detail, quiet }: { step: Step; claimed: ClaimedTurn; detail: string; quiet: boolean }): void {
    if (claimed.task && step.turn.state === 'failed')
      return this.#failRun({ claimed, task: claimed.task, reason: step.turn.reason, detail })
    for (const effect of step.effects) {
      const silent = effect.type === 'tell-chat' && (quiet || claimed.task)
      if (!silent) this.#perform({ effect, claimed, detail })
    }
  }

  #perform({ effect, claimed, detail }: { effect: Effect; claimed: ClaimedTurn; detail: string }): void {
    const { jid, turn, throughSeq, group, task, lane } = claimed
    switch (effect.type) {
      case 'tell-chat': {
        const { reason, retryAt } = effect
        const text = failureText({ reason, detail, retryAt, timeZone: this.#rules.timeZone })
        // What is parked may be tried and fail again without anybody having said more: that is one piece of news.
        const key = isObstacle(reason)
          ? `parked-${jid}-${this.#newest(claimed)}-told-${reason}`
          : `turn-${turn.id}-told-${turn.tries}`
        return void this.tell({ jid, text, key, turnId: turn.id })
      }
      case 'forget-session':
        if (lane === 'isolated' && task) return this.#store.tasks.noteSession(task.runId, null)
        return this.#store.sessions.clear(group.folder)
      case 'park-chat':
        return this.#store.chats.park(jid, this.#newest(claimed))
      case 'give-up-messages':
        return this.#store.chats.markAnswered(jid, throughSeq)
    }
  }

  /** The newest thing that was said in a chat and is not answered. */
  #newest({ jid, throughSeq }: ClaimedTurn): number {
    const { chats, messages } = this.#store
    const { answeredSeq, passedSeq } = chats.cursors(jid)
    return Math.max(throughSeq, messages.newestUnansweredSeq(jid, Math.max(answeredSeq, passedSeq)))
  }

  /** A task that fails in the same way each time is told once. */
  #failRun({ claimed, task, reason, detail }: FailedRun): void {
    const { tasks } = this.#store
    const { jid, turn } = claimed
    const error = `${reason}: ${detail}`
    tasks.endRun({ runId: task.runId, at: this.#now(), status: 'error', result: null, error })
    const before = tasks.runBefore(task)
    if (before?.error?.startsWith(`${reason}:`)) return
    const { timeZone } = this.#rules
    const nextRun = tasks.find(task.id)?.nextRun ?? null
    const text = taskFailureText({ title: task.title, reason, detail, nextRun, timeZone })
    this.tell({ jid, text, key: `turn-${turn.id}-told-${turn.tries}`, turnId: turn.id })
  }
}

type FailedRun = {
  claimed: ClaimedTurn
  task: NonNullable<ClaimedTurn['task']>
  reason: Failure['reason']
  detail: string
}
