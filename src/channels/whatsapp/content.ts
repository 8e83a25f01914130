import { getContentType, normalizeMessageContent, type proto } from 'baileys'

export type MediaKind = 'image' | 'video' | 'audio' | 'voice' | 'document' | 'sticker'
/** What a message carries besides its text; `bytes` is what the sender says. */
export type Media = { kind: MediaKind; name: string | undefined; bytes: number; seconds: number | undefined }

/** What a message is to us. */
export type Content =
  | { type: 'said'; text: string; media: Media | undefined; context: proto.IContextInfo | undefined }
  | { type: 'edited'; id: string; text: string }
  | { type: 'deleted'; id: string }
  | { type: 'reaction'; to: proto.IMessageKey; emoji: string }
  | { type: 'nothing' }

const EDIT = 14
const REVOKE = 0

/** Reads a message, whatever wrappers it is in (disappearing, view once, with caption). */
export function contentOf(raw: proto.IMessage | null | undefined): Content {
  const message = normalizeMessageContent(raw)
  if (!message) return { type: 'nothing' }
  if (message.protocolMessage) return protocolContent(message.protocolMessage)
  const { reactionMessage: reaction } = message
  if (reaction?.key) return reaction.text ? { type: 'reaction', to: reaction.key, emoji: reaction.text } : { type: 'nothing' }
  const text = textOf(message)
  const media = mediaOf(message)
  return text === '' && !media ? { type: 'nothing' } : { type: 'said', text, media, context: contextOf(message) }
}

function protocolContent({ type, key, editedMessage }: proto.Message.IProtocolMessage): Content {
  if (!key?.id) return { type: 'nothing' }
  if (type === REVOKE) return { type: 'deleted', id: key.id }
  const edited = normalizeMessageContent(editedMessage)
  return type === EDIT && edited ? { type: 'edited', id: key.id, text: textOf(edited) } : { type: 'nothing' }
}

/** What is said in words: the text or caption, or words for what has none. */
function textOf(message: proto.IMessage): string {
  const said =
    message.conversation ||
    message.extendedTextMessage?.text ||
    message.imageMessage?.caption ||
    message.videoMessage?.caption ||
    message.documentMessage?.caption ||
    message.buttonsResponseMessage?.selectedDisplayText ||
    message.templateButtonReplyMessage?.selectedDisplayText ||
    message.listResponseMessage?.title
  return said || placeText(message) || contactText(message) || pollText(message) || ''
}

function placeText(message: proto.IMessage): string | undefined {
  const place = message.locationMessage ?? message.liveLocationMessage
  if (!place) return undefined
  const { name, address } = message.locationMessage ?? {}
  const words = [name, address, message.liveLocationMessage?.caption].filter(Boolean).join(', ')
  return `[Location: ${place.degreesLatitude}, ${place.degreesLongitude}]${words ? ` ${words}` : ''}`
}

function contactText(message: proto.IMessage): string | undefined {
  const contacts = message.contactMessage ? [message.contactMessage] : (message.contactsArrayMessage?.contacts ?? [])
  if (contacts.length === 0) return undefined
  return contacts.map(({ displayName, vcard }) => `[Contact: ${plain(displayName ?? '')}] ${numbersIn(vcard ?? '')}`).join('\n')
}

/** The telephone numbers and mail addresses of a vCard. */
function numbersIn(vcard: string): string {
  const lines = [...vcard.matchAll(/^(?:item\d+\.)?(?:TEL|EMAIL)[^:\r\n]*:(.+)$/gim)]
  return lines.map((line) => line[1]?.trim()).join(', ')
}

function pollText(message: proto.IMessage): string | undefined {
  const poll = message.pollCreationMessage ?? message.pollCreationMessageV2 ?? message.pollCreationMessageV3
  if (!poll) return undefined
  const options = (poll.options ?? []).map(({ optionName }) => `- ${optionName}`)
  return [`[Poll] ${poll.name ?? ''}`, ...options].join('\n')
}

function mediaOf(message: proto.IMessage): Media | undefined {
  const { imageMessage: image, videoMessage: video, audioMessage: audio } = message
  const { documentMessage: document, stickerMessage: sticker, ptvMessage: round } = message
  if (image) return media('image', image)
  if (video) return media('video', video)
  if (round) return media('video', round)
  if (audio) return media(audio.ptt ? 'voice' : 'audio', audio)
  if (document) return media('document', document, document.fileName ?? document.title)
  if (sticker) return media('sticker', sticker)
  return undefined
}

type Carrier = { fileLength?: number | { toNumber(): number } | null; seconds?: number | null }

function media(kind: MediaKind, { fileLength, seconds }: Carrier, name?: string | null): Media {
  const bytes = typeof fileLength === 'number' ? fileLength : (fileLength?.toNumber() ?? 0)
  return { kind, name: name ?? undefined, bytes, seconds: seconds ?? undefined }
}

function contextOf(message: proto.IMessage): proto.IContextInfo | undefined {
  const type = getContentType(message)
  const part: unknown = type && message[type]
  if (typeof part !== 'object' || part === null || !('contextInfo' in part)) return undefined
  return part.contextInfo as proto.IContextInfo | undefined
}

const LONGEST_QUOTE = 300
const KIND_WORDS = {
  image: 'a photo',
  video: 'a video',
  audio: 'a sound',
  voice: 'a voice note',
  document: 'a file',
  sticker: 'a sticker',
}

/** A few words of a message, to be shown where it is quoted. */
export function excerptOf(message: proto.IMessage | null | undefined): string {
  const content = contentOf(message)
  if (content.type !== 'said') return 'a message'
  const text = plain(content.text)
  if (text === '') return content.media ? KIND_WORDS[content.media.kind] : 'a message'
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE).toWellFormed()}...` : text
}

/** On one line and without brackets: those are for our own markers, which a trigger is looked for behind. */
export function plain(text: string): string {
  return text.replace(/\s+/gu, ' ').replaceAll('[', '(').replaceAll(']', ')').trim()
}
