import type { LeftOut, Message } from './message.ts'

/** One prompt holds at most so many messages and characters; beyond that the oldest are left out, and it says so. */
export const MAX_MESSAGES = 200
export const MAX_CHARACTERS = 200_000
const LONGEST_SENDER = 200

type Prompt = {
  messages: readonly Message[]
  /** What came before these messages and belongs to them, too. */
  leftOut?: LeftOut | undefined
  timeZone: string
  /** The chat's JID, where a group has several. */
  chat?: string | undefined
  /** What people chose since, of what the agent asked before. */
  answers?: readonly { question: string; answer: string | null }[]
  undelivered?: readonly Undelivered[]
}

/** What the agent said before, in this chat, and people did not get or perhaps did. `text` is how it began. */
export type Undelivered = { text: string; state: 'failed' | 'uncertain'; why: string; at: number }

/** The text the agent gets for a batch of messages: `<context timezone>` and `<messages>`, XML-escaped, local times. */
export function promptOf({ messages, leftOut, timeZone, chat, answers = [], undelivered = [] }: Prompt): string {
  const tags = newestTags(messages, timeZone)
  const unshown = withUnread(messages.slice(0, messages.length - tags.length), leftOut)
  const chatAttribute = chat ? ` chat="${attribute(chat)}"` : ''
  const context = `<context timezone="${attribute(timeZone)}"${chatAttribute}/>`
  const chosen = answers.map(({ question, answer }) => `<answer to="${attribute(question)}">${escapeXml(answer ?? '')}</answer>`)
  const lost = undeliveredTags(undelivered, timeZone)
  return [context, ...lost, ...chosen, '<messages>', ...leftOutNote(unshown, timeZone), ...tags, '</messages>'].join('\n')
}

type TaskPrompt = {
  id: string
  prompt: string
  jid: string
  timeZone: string
  at: number
  undelivered: readonly Undelivered[]
}

/** The text the agent gets for a run of a task: nobody wrote just now, and nobody may be reading. */
export function taskPrompt({ id, prompt, jid, timeZone, at, undelivered }: TaskPrompt): string {
  return [
    `<context timezone="${attribute(timeZone)}" chat="${attribute(jid)}"/>`,
    ...undeliveredTags(undelivered, timeZone),
    `<scheduled-task id="${attribute(id)}" time="${localTime(at, timeZone)}">`,
    cut(escapeXml(prompt)),
    '</scheduled-task>',
    'This was sent by the schedule, not by a person. Your answer is posted in the chat; put what nobody needs to read into <internal>.',
  ].join('\n')
}

const MOST_UNDELIVERED = 10
const LONGEST_REASON = 200

/** Of an uncertain send the error is left out: it is the words of a library, which may hold an address or a token. */
function undeliveredTags(undelivered: readonly Undelivered[], timeZone: string): string[] {
  const shown = undelivered.slice(-MOST_UNDELIVERED)
  const more = undelivered.length - shown.length
  const tags = shown.map(({ text, state, why, at }) => {
    const outcome =
      state === 'failed' ? `refused: ${why.slice(0, LONGEST_REASON)}` : 'unknown: it may be there once, twice, or not'
    return `<undelivered time="${localTime(at, timeZone)}" outcome="${attribute(outcome)}">${escapeXml(text)}</undelivered>`
  })
  return more > 0 ? [`<undelivered count="${more}" outcome="older ones, not shown"/>`, ...tags] : tags
}

/** The newest messages that fit, oldest first. The last one is always there, cut if need be: it is what is being answered. */
function newestTags(messages: readonly Message[], timeZone: string): string[] {
  const tags: string[] = []
  let room = MAX_CHARACTERS
  for (const message of messages.slice(-MAX_MESSAGES).reverse()) {
    const tag = messageTag(message, timeZone)
    if (tag.length > room && tags.length > 0) break
    tags.unshift(tag)
    room -= tag.length
  }
  return tags
}

function messageTag({ senderName, sentAt, text }: Message, timeZone: string): string {
  const sender = attribute(senderName.slice(0, LONGEST_SENDER))
  return `<message sender="${sender}" time="${localTime(sentAt, timeZone)}">${cut(escapeXml(text))}</message>`
}

/** An escaped text of at most `MAX_CHARACTERS`, with no half of a character or of an `&amp;` at its end. */
function cut(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text
  const kept = text.slice(0, MAX_CHARACTERS).replace(/[\ud800-\udbff]$|&[a-z]*$/, '')
  return `${kept}\n[cut: ${text.length - kept.length} more characters]`
}

/** What is left out for want of room, and what was not even read. */
function withUnread(unshown: readonly Message[], unread: LeftOut | undefined): LeftOut | undefined {
  const [first, last] = [unread?.first ?? unshown[0], unshown.at(-1) ?? unread?.last]
  if (!first || !last) return undefined
  return { count: (unread?.count ?? 0) + unshown.length, hasMore: unread?.hasMore ?? false, first, last }
}

function leftOutNote(leftOut: LeftOut | undefined, timeZone: string): string[] {
  if (!leftOut) return []
  const count = leftOut.hasMore ? `more than ${leftOut.count}` : leftOut.count
  const times = `from="${localTime(leftOut.first.sentAt, timeZone)}" to="${localTime(leftOut.last.sentAt, timeZone)}"`
  const reason = `only the newest ${MAX_MESSAGES} messages and ${MAX_CHARACTERS} characters are shown`
  return [`<left-out count="${count}" ${times} reason="${reason}"/>`]
}

/** The last moment a Date can hold. */
const END_OF_TIME = 8.64e15

/** `2026-01-31 14:05`, in the person's zone. */
export function localTime(at: number, timeZone: string): string {
  // A platform's nonsense for a time must not keep its message from being answered.
  if (!(Math.abs(at) <= END_OF_TIME)) return 'unknown'
  return formatOf(timeZone).format(at)
}

/** To make one takes far longer than to use it. */
const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known) return known
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' })
  formats.set(timeZone, format)
  return format
}

/** On one line, as XML reads an attribute. */
function attribute(text: string): string {
  return escapeXml(text.replace(/\s+/gu, ' '))
}

/** Also drops lone surrogates and control characters, which break sessions on their way through JSON and XML. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
