import type { Message } from './message.ts'

/** Characters of one prompt; beyond that the oldest messages are left out and counted. */
const MAX_CHARACTERS = 200_000

/**
 * The text the agent gets for a batch of messages: `<context timezone>` and `<messages>`, XML-escaped, local times.
 * `chat` names the chat when a group has several.
 */
export function promptOf({
  messages,
  timeZone,
  chat,
}: {
  messages: readonly Message[]
  timeZone: string
  chat?: string | undefined
}): string {
  const { kept, leftOut } = withinLimit(messages.map((message) => messageTag(message, timeZone)))
  const note = leftOut > 0 ? `<left-out count="${leftOut}" reason="older messages, over the size limit"/>\n` : ''
  const chatAttribute = chat ? ` chat="${escapeXml(chat)}"` : ''
  return `<context timezone="${escapeXml(timeZone)}"${chatAttribute}/>\n<messages>\n${note}${kept.join('\n')}\n</messages>`
}

function messageTag({ senderName, sentAt, text }: Message, timeZone: string): string {
  return `<message sender="${escapeXml(senderName)}" time="${localTime(sentAt, timeZone)}">${escapeXml(text)}</message>`
}

/** The newest that fit. The last one always stays, cut if need be: it is what is being answered. */
function withinLimit(tags: string[]): { kept: string[]; leftOut: number } {
  let size = 0
  let from = tags.length
  while (from > 0 && size + (tags[from - 1]?.length ?? 0) <= MAX_CHARACTERS) size += tags[--from]?.length ?? 0
  if (from === tags.length && from > 0)
    return { kept: [`${tags[from - 1]?.slice(0, MAX_CHARACTERS)}[cut]</message>`], leftOut: from - 1 }
  return { kept: tags.slice(from), leftOut: from }
}

/** `2026-01-31 14:05`, in the person's zone. */
export function localTime(at: number, timeZone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' })
  return format.format(at)
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
