import { createHash } from 'node:crypto'
import { constants, createReadStream, openSync } from 'node:fs'
import type { AnyMessageContent } from 'baileys'
import type { Outbound, OutboundFile } from '../contract.ts'
import { whatsappText } from './formatting.ts'

/**
 * The id under which a delivery goes out, the same for the same key: WhatsApp shows one message per id, so what is sent
 * again after a crash is seen once. It looks like an id of WhatsApp Web's.
 */
export function messageIdFor(idempotencyKey: string): string {
  return `3EB0${createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 18).toUpperCase()}`
}

/** On a shared number the assistant's messages begin with its name, or nobody could tell who speaks. */
export function prefixOf({ assistantName, hasOwnNumber }: { assistantName: string; hasOwnNumber: boolean }): string {
  return hasOwnNumber ? '' : `${assistantName}: `
}

export function contentFor({ text, file }: Outbound, prefix: string): AnyMessageContent {
  const words = text === '' ? '' : `${prefix}${whatsappText(text)}`
  return file ? fileContent(file, words) : textContent(words)
}

/** Without a link preview: making one would have this machine open whatever address an agent or a stranger wrote. */
export function textContent(text: string): AnyMessageContent {
  return { text, linkPreview: null }
}

/** WhatsApp shows these itself; all else goes as a document. */
const IMAGES = new Set(['image/jpeg', 'image/png'])
const VIDEOS = new Set(['video/mp4', 'video/3gpp'])

/**
 * Thumbnails are given, empty, and durations too: Baileys would else decode files of the agent's making in this process.
 */
function fileContent({ path, name, mimeType }: OutboundFile, caption: string): AnyMessageContent {
  const stream = createReadStream(path, { fd: openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW) })
  const mimetype = mimeType
  if (IMAGES.has(mimeType)) return { image: { stream }, mimetype, caption, jpegThumbnail: '' }
  if (VIDEOS.has(mimeType)) return { video: { stream }, mimetype, caption, jpegThumbnail: '' }
  // An audio message has no caption: with words beside it, it goes as a document.
  if (mimeType.startsWith('audio/') && caption === '') {
    const ptt = mimeType.startsWith('audio/ogg')
    return { audio: { stream }, mimetype: ptt ? 'audio/ogg; codecs=opus' : mimetype, ptt, seconds: 0 }
  }
  return { document: { stream }, mimetype, caption, fileName: name }
}
