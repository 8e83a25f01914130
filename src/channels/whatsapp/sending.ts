import type { AnyMessageContent, WAMessageKey, WASocket } from 'baileys'
import { z } from 'zod'
import type { Clock } from '../../domain/clock.ts'
import { AppError, errorText } from '../../domain/errors.ts'
import type { Outbound, Receipt } from '../contract.ts'
import { contentFor, messageIdFor } from './outgoing.ts'
import { Pace } from './pace.ts'
import type { SentMessages } from './traffic.ts'

export type SendingParts = {
  sent: SentMessages
  clock: Clock
  prefix: string
  /** The connection; throws `NotSent` when there is none. */
  socket(): Pick<WASocket, 'sendMessage' | 'waitForMessage'>
}

type Options = { idempotencyKey: string; signal: AbortSignal }
type Dispatch = { jid: string; id: string; content: () => AnyMessageContent; ackWithinMs: number; signal: AbortSignal }

/** What WhatsApp answers to a message under its id. */
const answered = z.object({ attrs: z.object({ error: z.string().optional() }) })

const ACK_WITHIN_MS = 30_000
/** A file has to be uploaded before. */
const FILE_ACK_WITHIN_MS = 900_000

/** Sends, no faster than people do. What is sent has been accepted by WhatsApp's server. */
export class Sending {
  readonly #parts: SendingParts
  readonly #pace: Pace

  constructor(parts: SendingParts) {
    this.#parts = parts
    this.#pace = new Pace(parts.clock)
  }

  /** The same key is the same message: accepted before, it is not sent again; else it goes out under the same id. */
  async send(jid: string, message: Outbound, { idempotencyKey, signal }: Options): Promise<Receipt> {
    const { sent, prefix } = this.#parts
    const id = messageIdFor(idempotencyKey)
    if (sent.stateOf(id) === 'accepted') return { platformId: id }
    const ackWithinMs = message.file ? FILE_ACK_WITHIN_MS : ACK_WITHIN_MS
    await this.#dispatch({ jid, id, content: () => contentFor(message, prefix), ackWithinMs, signal })
    return { platformId: id }
  }

  /** Replaces the text of a message that we sent. */
  async edit({ jid, id, text }: { jid: string; id: string; text: string }, options: Options): Promise<void> {
    const content = { ...contentFor({ text }, this.#parts.prefix), edit: keyOf({ jid, id, fromMe: true }) }
    await this.#again(jid, content as AnyMessageContent, options)
  }

  /** Puts an emoji on a message; an empty one takes it away. */
  async react(
    target: { jid: string; id: string; sender: string; fromMe: boolean },
    emoji: string,
    options: Options,
  ): Promise<void> {
    await this.#again(target.jid, { react: { text: emoji, key: keyOf(target) } }, options)
  }

  #again(jid: string, content: AnyMessageContent, { idempotencyKey, signal }: Options): Promise<void> {
    return this.#dispatch({ jid, id: messageIdFor(idempotencyKey), content: () => content, ackWithinMs: ACK_WITHIN_MS, signal })
  }

  async #dispatch({ jid, id, content, ackWithinMs, signal }: Dispatch): Promise<void> {
    const { sent, clock } = this.#parts
    try {
      await this.#pace.turn(signal)
      const socket = this.#parts.socket()
      const made = content()
      sent.begin({ id, jid, at: clock.now() })
      const ack = socket.waitForMessage<unknown>(id, ackWithinMs)
      const [message, answer] = await aborting(Promise.all([socket.sendMessage(jid, made, { messageId: id }), ack]), signal)
      if (answer === undefined) throw unanswered()
      const { attrs } = answered.parse(answer)
      if (attrs.error !== undefined) throw refused(attrs.error)
      if (message?.message) sent.accept({ id, message: message.message })
    } catch (error) {
      throw explained(error)
    }
  }
}

function keyOf({ jid, id, fromMe, sender }: { jid: string; id: string; fromMe: boolean; sender?: string }): WAMessageKey {
  return { remoteJid: jid, id, fromMe, ...(jid.endsWith('@g.us') && sender && !fromMe ? { participant: sender } : {}) }
}

function aborting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function unanswered(): AppError {
  return new AppError({
    code: 'whatsapp.unanswered',
    fault: 'platform',
    message: 'WhatsApp did not confirm the message in time.',
  })
}

/** Trying these again would make matters worse, or change nothing. */
const FOR_GOOD: Record<string, string> = {
  '401': 'WhatsApp does not allow this account to write there (401).',
  '403': 'The account may not write in this chat: it is not in the group, or only admins write there (403).',
  '404': 'There is no such chat on WhatsApp (404).',
  '463': 'WhatsApp has restricted this account: it may not write to people it has no chat with (463).',
}

function refused(code: string): AppError {
  const message = FOR_GOOD[code] ?? `WhatsApp did not take the message (${code}).`
  return new AppError({ code: 'whatsapp.refused', fault: code in FOR_GOOD ? 'user' : 'platform', message })
}

function explained(error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = error instanceof Error && 'data' in error ? String(error.data) : ''
  if (code in FOR_GOOD) return refused(code)
  if (error instanceof Error && 'code' in error && ['ENOENT', 'ELOOP', 'EISDIR'].includes(String(error.code)))
    return noFile(error)
  return new AppError({ code: 'whatsapp.failed', fault: 'platform', message: `WhatsApp: ${errorText(error)}.`, cause: error })
}

function noFile(cause: Error): AppError {
  return new AppError({
    code: 'whatsapp.no-file',
    fault: 'user',
    message: `There is no such file to send: ${cause.message}.`,
    cause,
  })
}
