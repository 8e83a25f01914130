import { type BinaryNode, decodeMessageNode, proto, unpadRandomMax16, type WAMessage } from 'baileys'
import { AppError, errorText } from '../../domain/errors.ts'
import type { IncomingMessage } from '../../domain/message.ts'
import { triggerOf } from '../../domain/routing.ts'
import type { Sink } from '../contract.ts'
import { type Addresses, userOf } from './addresses.ts'
import { type Attachments, labelOf } from './attachments.ts'
import type { AuthState } from './auth-state.ts'
import { BoundedCache } from './bounded-cache.ts'
import { type Content, contentOf, excerptOf, type Media, plain } from './content.ts'
import type { Downloads } from './downloads.ts'
import type { Groups } from './groups.ts'
import { prefixOf } from './outgoing.ts'
import type { WhatsAppPorts, WhatsAppSettings } from './ports.ts'
import type { Journal, Received, SentMessages } from './traffic.ts'
import { hear } from './voice-notes.ts'

export type IntakeParts = {
  auth: AuthState
  journal: Journal
  sent: SentMessages
  addresses: Addresses
  attachments: Attachments
  downloads: Downloads
  groups: Groups
  sink: Sink
  ports: WhatsAppPorts
  settings: WhatsAppSettings
}

/** A message with its chat and its sender under the names that the host knows. */
type Said = { message: WAMessage; jid: string; sender: string; id: string; fromMe: boolean }

/** What was decrypted is a message, or bytes that are none: whoever writes to us chooses them. */
type Opened = { type: 'message'; message: WAMessage; content: Content } | { type: 'unreadable'; error: AppError }
type Work = { received: Received; opened: Opened; chat: string }

const TRY_AGAIN_MS = 30_000
/** So often is tried what fails for a reason that does not look like passing, as a full disk does. */
const MOST_TRIES = 10

/** Hands on what was decrypted, each chat in its order; what could not be handed on stays in the journal and is tried again. */
export class Intake {
  readonly #parts: IntakeParts
  /** The last piece of work of each chat that has any. */
  readonly #chats = new Map<string, Promise<void>>()
  readonly #underWay = new Set<number>()
  /** Chats with a message that could not be handed on: what came later waits behind it. */
  readonly #stuck = new Set<string>()
  /** How often each of those was tried. */
  readonly #tries = new Map<number, number>()
  /** The names that the host was told. */
  readonly #names = new BoundedCache()
  #cancelRetry: (() => void) | undefined
  #stopped = false

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  /**
   * Resolves when the message is handed on, or when there is no need to wait: the journal has it, and a file that is being
   * fetched, or an earlier message of the chat, must not hold other chats up.
   */
  async take(received: Received): Promise<void> {
    const { seq, stanza } = received
    if (this.#underWay.has(seq)) return
    const chat = stanza.attrs.recipient ?? stanza.attrs.from ?? ''
    const opened = this.#open(received)
    const waits = this.#chats.has(chat)
    this.#underWay.add(seq)
    const work = (this.#chats.get(chat) ?? Promise.resolve()).then(() => this.#handOn({ received, opened, chat }))
    const done = work.finally(() => {
      this.#underWay.delete(seq)
      if (this.#chats.get(chat) === done) this.#chats.delete(chat)
    })
    this.#chats.set(chat, done)
    if (!waits && !carriesMedia(opened)) await done
  }

  /** Takes up what an earlier run, or a lost connection, left. Resolves as `take` does. */
  async recover(): Promise<void> {
    // Whose the messages are is known of a linked device only.
    if (!this.#parts.auth.linked) return
    const left = await this.#parts.journal.all()
    this.#stuck.clear()
    await Promise.all(left.map((received) => this.take(received)))
  }

  /** Resolves when nothing is being handed on. What is not handed on by then stays in the journal. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelRetry?.()
    await Promise.all(this.#chats.values())
  }

  /** Never rejects. */
  async #handOn({ received, opened, chat }: Work): Promise<void> {
    const { journal, ports } = this.#parts
    const { seq, stanza } = received
    if (this.#stuck.has(chat)) return
    try {
      await this.#tell(opened, stanza).catch((error) => this.#giveUp(received, error))
      journal.remove(seq)
      this.#tries.delete(seq)
    } catch (error) {
      if (this.#stopped) return
      ports.log.error(`WhatsApp message ${stanza.attrs.id} could not be stored and is tried again: ${errorText(error)}`)
      this.#stuck.add(chat)
      this.#tryAgain()
    }
  }

  /** Logs that a message is dropped, or throws the error when another try may help. */
  #giveUp({ seq, stanza }: Received, error: unknown): void {
    const tries = (this.#tries.get(seq) ?? 0) + (passes(error) ? 0 : 1)
    this.#tries.set(seq, tries)
    const isHopeless = isRefused(error) || tries >= MOST_TRIES
    if (this.#stopped || !isHopeless) throw error
    const { id, from, participant } = stanza.attrs
    const whose = participant === undefined ? from : `${participant} in ${from}`
    this.#parts.ports.log.error(`WhatsApp message ${id} of ${whose} is dropped, it cannot be stored: ${errorText(error)}`)
  }

  #tryAgain(): void {
    const { clock, log } = this.#parts.ports
    this.#cancelRetry?.()
    this.#cancelRetry = clock.wakeAt(clock.now() + TRY_AGAIN_MS, () => {
      this.recover().catch((error) => log.error(`WhatsApp's journal could not be read: ${errorText(error)}`))
    })
  }

  async #tell(opened: Opened, stanza: BinaryNode): Promise<void> {
    if (opened.type === 'unreadable') throw opened.error
    const { message, content } = opened
    const said = this.#named(message, stanza)
    const { sink } = this.#parts
    const { jid, sender } = said
    switch (content.type) {
      case 'nothing':
        return
      case 'edited':
        return sink.edited({ jid, id: content.id, sender, text: this.#addressed(jid, content.text, []) })
      case 'deleted':
        return sink.deleted({ jid, id: content.id, sender, asAdmin: this.#isAdmin(jid, sender) })
      case 'reaction':
        return this.#reaction(said, content)
      case 'said':
        return this.#said(said, content)
    }
  }

  #open({ stanza, plaintext }: Received): Opened {
    const { me } = this.#parts.auth.creds
    try {
      const { fullMessage } = decodeMessageNode(stanza, me?.id ?? '', me?.lid ?? '')
      const outer = proto.Message.decode(unpadRandomMax16(plaintext))
      const message = outer.deviceSentMessage?.message ?? outer
      return { type: 'message', message: { ...fullMessage, message }, content: contentOf(message) }
    } catch (cause) {
      return { type: 'unreadable', error: unreadable(cause) }
    }
  }

  /** Who wrote where. A message that our own phone wrote names the other side as its recipient. */
  #named(message: WAMessage, { attrs }: BinaryNode): Said {
    const { addresses } = this.#parts
    const { key } = message
    const fromMe = key.fromMe ?? false
    const recipientAlt = attrs.recipient_pn ?? attrs.recipient_lid ?? attrs.peer_recipient_pn ?? attrs.peer_recipient_lid
    const chatAlt = fromMe && attrs.recipient ? recipientAlt : key.remoteJidAlt
    const jid = addresses.chat(key.remoteJid ?? '', chatAlt)
    const sender = addresses.person(attrs.participant ?? attrs.from ?? '', key.participantAlt ?? key.remoteJidAlt)
    return { message, jid, sender, id: key.id ?? '', fromMe }
  }

  #isAdmin(jid: string, person: string): boolean {
    const { groups, addresses } = this.#parts
    return groups.isAdmin(jid, (name, other) => addresses.person(name, other) === person)
  }

  async #said(said: Said, { text, media, context }: Content & { type: 'said' }): Promise<void> {
    if (this.#isOwnEcho(said, text)) return
    const { jid } = said
    await this.#nameChat(said)
    const marks = [this.#quote(context), media && (await this.#file(said, media))]
    const words = this.#addressed(jid, text, context?.mentionedJid ?? [])
    await this.#parts.sink.message(this.#incoming(said, [...marks, words].filter(Boolean).join(' ')))
  }

  /** A reaction to what the assistant said is an answer to it; others are among people. */
  async #reaction(said: Said, { to, emoji }: Content & { type: 'reaction' }): Promise<void> {
    const { sent, sink } = this.#parts
    if (!to.id || sent.stateOf(to.id) === 'unknown') return
    const text = `[Reaction to "${excerptOf(sent.contentOf(to.id))}"] ${emoji}`
    await sink.message(this.#incoming(said, text))
  }

  #incoming({ jid, id, sender, fromMe, message }: Said, text: string): IncomingMessage {
    const senderName = message.pushName || (fromMe && this.#parts.auth.account?.name) || `+${userOf(sender)}`
    return { jid, id, sender, senderName, text, sentAt: Number(message.messageTimestamp) * 1_000, fromMe }
  }

  /**
   * Is it the assistant's own? Its messages are known by their ids; those of a link before this one by the name in front.
   * On a number of its own, whatever the account writes is the assistant's.
   */
  #isOwnEcho({ fromMe, id }: Said, text: string): boolean {
    const { sent, settings } = this.#parts
    if (!fromMe) return false
    return settings.hasOwnNumber || sent.stateOf(id) !== 'unknown' || text.startsWith(prefixOf(settings))
  }

  /** A direct chat is called by the person's name; those of groups are asked for. */
  async #nameChat({ jid, fromMe, message }: Said): Promise<void> {
    const isGroup = jid.endsWith('@g.us')
    const name = isGroup || fromMe ? undefined : message.pushName || undefined
    const known = this.#names.get<string>(jid)
    if (known !== undefined && (name === undefined || name === known)) return
    this.#names.set(jid, name ?? '')
    await this.#parts.sink.chat({ jid, isGroup, ...(name === undefined ? {} : { name }) })
  }

  /** Files of chats that are not registered are not fetched, as nothing else of them is kept. */
  async #file(said: Said, media: Media): Promise<string> {
    const { attachments, downloads, ports } = this.#parts
    const folder = ports.registration(said.jid)?.folder
    if (folder === undefined) return ''
    const refusal = ports.refuseFile(said)
    if (refusal !== undefined) return `[${labelOf(media)}: it was not kept, ${refusal}]`
    const source = await downloads.of(said.message)
    const { about, file } = await attachments.keep({ folder, message: said.id, media, ...source })
    if (media.kind !== 'voice' || file === undefined) return `[${about}]`
    const heard = await hear({ file, signal: source.signal, transcribe: ports.transcribe })
    return heard.type === 'words' ? `[${about}; transcribed:] ${heard.words}` : `[${about}; not transcribed: ${heard.why}]`
  }

  #quote(context: proto.IContextInfo | undefined): string | undefined {
    if (!context?.quotedMessage) return undefined
    const { addresses, auth, settings, sent } = this.#parts
    const author = context.participant ?? ''
    const isOurs = context.stanzaId ? sent.stateOf(context.stanzaId) !== 'unknown' : false
    const isAssistant = isOurs || (settings.hasOwnNumber && addresses.isMe(author))
    const own = addresses.isMe(author) ? auth.account?.name : undefined
    const name = isAssistant ? settings.assistantName : (own ?? `+${userOf(addresses.person(author))}`)
    return `[In reply to ${plain(name)}: "${excerptOf(context.quotedMessage)}"]`
  }

  /** A mention of our account calls the assistant, whatever words call it in this chat. */
  #addressed(jid: string, text: string, mentioned: string[]): string {
    const { addresses, ports, settings } = this.#parts
    const mine = mentioned.filter((name) => addresses.isMe(name))
    if (mine.length === 0) return text
    const trigger = ports.registration(jid)?.trigger ?? `@${settings.assistantName}`
    const named = mine.reduce((words, name) => words.replaceAll(`@${userOf(name)}`, trigger), text)
    return triggerOf(trigger)(named) ? named : `${trigger} ${named}`
  }
}

function carriesMedia(opened: Opened): boolean {
  return opened.type === 'message' && opened.content.type === 'said' && opened.content.media !== undefined
}

/** Nobody can take it, also not later; the error says why. */
function isRefused(error: unknown): boolean {
  return error instanceof AppError && error.fault === 'user' && error.code.startsWith('message.')
}

/** What the host, the disk or the database cannot do now, they may do later; a row that the database does not accept, it never will. */
function passes(error: unknown): boolean {
  if (error instanceof AppError) return true
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(E[A-Z]+|SQLITE_(?!CONSTRAINT|MISMATCH|TOOBIG)[A-Z_]+)$/.test(code)
}

function unreadable(cause: unknown): AppError {
  const message = `what was decrypted is no message (${errorText(cause)})`
  return new AppError({ code: 'message.unreadable', fault: 'user', message, cause })
}
