import type { IpcResult } from '@nanoclaw/protocol'
import type { AgentRun } from '../container/agent-run.ts'
import type { Clock } from '../domain/clock.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { Message } from '../domain/message.ts'
import { choiceOf, questionText } from '../domain/question.ts'
import type { Question } from '../store/questions.ts'
import type { Store } from '../store/store.ts'
import { type Asked, type Deed, done, type RequestOf } from './ipc-deeds.ts'
import { type SpeechPorts, speak } from './ipc-speech.ts'
import type { TurnDesk } from './turn-desk.ts'

export type QuestionPorts = {
  store: Store
  clock: Clock
  speech: SpeechPorts
  desk: Pick<TurnDesk, 'answerCommand'>
  deliver(): void
  log: { info(text: string): void }
}

type Run = Pick<AgentRun, 'turn' | 'pauseTimer'>
/** Who asked, and waits. */
type Waiting = { turns: { run: Run; uuid: string }[]; end(result: IpcResult): void }

/**
 * Questions of agents to people. The question is a row, so that an answer is never lost: it goes to the agent that waits
 * for it, or else into the prompt of the group's next turn.
 */
export class QuestionDesk {
  readonly #ports: QuestionPorts
  readonly #waiting = new Map<number, Waiting[]>()

  constructor(ports: QuestionPorts) {
    this.#ports = ports
  }

  /** In the transaction of the request: posts the question, unless the same one was asked by a container that went away. */
  ask(
    { who, request, reply }: Asked<RequestOf<'ask_user'>>,
    { chat, runs }: { chat: RegisteredChat; runs: readonly Run[] },
  ): Deed {
    const { store, clock, speech } = this.#ports
    const { question, options, timeoutMinutes } = request
    const expiresAt = clock.now() + Math.round(timeoutMinutes * 60_000)
    const asking = { folder: who.folder, jid: chat.jid, question, options, at: clock.now(), expiresAt }
    const known = store.questions.unheard(asking)
    if (known?.answer) {
      store.questions.noteTold(known.id)
      return { result: chosen(known.answer) }
    }
    const id = known?.id ?? store.questions.add(asking)
    const publish = known ? undefined : speak(speech, { chat, by: who.folder, text: questionText(question, options) })
    if (known) store.questions.extend(id, expiresAt)
    return {
      after: () => {
        publish?.()
        this.#wait({ id, runs, expiresAt, timeoutMinutes, reply })
      },
    }
  }

  #wait({ id, runs, expiresAt, timeoutMinutes, reply }: WaitParts): void {
    const turns = runs.flatMap((run) => (run.turn ? [{ run, uuid: run.turn.uuid }] : []))
    const resumes = turns.map(({ run }) => run.pauseTimer())
    const expire = () => waiting.end(done(`Nobody answered within ${timeoutMinutes} minutes.`, { answer: null }))
    const cancel = this.#ports.clock.wakeAt(expiresAt, expire)
    const waiting: Waiting = {
      turns,
      end: (result) => {
        cancel()
        for (const resume of resumes) resume()
        const others = (this.#waiting.get(id) ?? []).filter((other) => other !== waiting)
        if (others.length > 0) this.#waiting.set(id, others)
        else this.#waiting.delete(id)
        reply(result)
      },
    }
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), waiting])
  }

  /**
   * In the transaction that stores a message: takes it if it answers a question that an agent waits for, and returns what
   * is to be done after the commit. The answer to an agent that is gone goes its way as a message, and is noted for the next.
   */
  take({ message, chat }: { message: Message; chat: RegisteredChat }): (() => void) | undefined {
    const { store, clock, desk, speech } = this.#ports
    const trigger = chat.trigger ?? `@${speech.assistantName}`
    const answered = store.questions
      .open(chat.jid, clock.now())
      .map((question) => ({ question, answer: choiceOf(message.text, { options: question.options, trigger }) }))
      .find((one) => one.answer !== undefined)
    if (message.fromAssistant || !answered?.answer) return undefined
    const { question, answer } = answered
    store.questions.answer({ id: question.id, answer, at: clock.now() })
    const waiting = this.#whoWaits(question)
    if (waiting.length === 0) return undefined
    const publish = desk.answerCommand({ chat, message, reply: `You chose "${answer}".` })
    return () => this.#answered({ question, answer, message, waiting, publish })
  }

  #answered({ question, answer, message, waiting, publish }: Answered): void {
    const { store, deliver, log } = this.#ports
    publish()
    for (const one of waiting) store.afterCommit('Telling an agent the answer', () => one.end(chosen(answer, message.senderName)))
    // Where this fails, the group's next turn hears of the answer once more.
    store.afterCommit('Noting that an agent heard the answer', () => store.questions.noteTold(question.id))
    store.afterCommit('The delivery of an answer', deliver)
    log.info(`Group ${question.folder}: the question ${question.id} was answered in ${question.jid}`)
  }

  /** An agent that was stopped, or works on another turn by now, waits no more. */
  #whoWaits({ id }: Question): Waiting[] {
    return (this.#waiting.get(id) ?? []).filter(({ turns }) => turns.some(({ run, uuid }) => run.turn?.uuid === uuid))
  }
}

function chosen(answer: string, by?: string): IpcResult {
  return done(`${by ?? 'Somebody'} chose "${answer}".`, { answer, ...(by === undefined ? {} : { by }) })
}

type WaitParts = {
  id: number
  runs: readonly Run[]
  expiresAt: number
  timeoutMinutes: number
  reply: (result: IpcResult) => void
}
type Answered = { question: Question; answer: string; message: Message; waiting: Waiting[]; publish: () => void }
