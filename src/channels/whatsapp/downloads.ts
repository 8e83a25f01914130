import type { Readable } from 'node:stream'
import {
  downloadContentFromMessage,
  getContentType,
  type MediaType,
  normalizeMessageContent,
  type proto,
  type WAMessage,
  type WASocket,
} from 'baileys'
import { AppError } from '../../domain/errors.ts'

const MEDIA_TYPES: Record<string, MediaType> = {
  imageMessage: 'image',
  videoMessage: 'video',
  ptvMessage: 'video',
  audioMessage: 'audio',
  documentMessage: 'document',
  stickerMessage: 'sticker',
}

/** The codes by which WhatsApp says that it no longer has a file; the sender's phone may still have it. */
const GONE = new Set([404, 410])

/** A message's file: what it must hash to, and the way to it. Whatever `signal` ends is to be taken up later. */
export type Source = { sha256: Uint8Array | undefined; signal: AbortSignal; fetch(): Promise<Readable> }

/** Fetches the files of messages, from WhatsApp alone, until the signal aborts. */
export class Downloads {
  readonly #online: (signal: AbortSignal) => Promise<WASocket>
  readonly #signal: AbortSignal

  constructor({ online, signal }: { online: (signal: AbortSignal) => Promise<WASocket>; signal: AbortSignal }) {
    this.#online = online
    this.#signal = signal
  }

  /** Waits for the connection: a message that a crash left behind is read before there is one. */
  async of(message: WAMessage): Promise<Source> {
    const socket = this.#online(this.#signal)
    // No connection to come: the message goes on without its file.
    await socket.catch(() => this.#signal.throwIfAborted())
    const fetch = async () => fetchFile(message, await socket)
    return { sha256: partOf(message).fileSha256 ?? undefined, signal: this.#signal, fetch }
  }
}

async function fetchFile(message: WAMessage, socket: WASocket): Promise<Readable> {
  await socket.refreshMediaConn(false)
  try {
    return await download(message, socket.getMediaHost())
  } catch (error) {
    if (!GONE.has(statusOf(error) ?? 0)) throw error
    return download(await socket.updateMediaMessage(message), socket.getMediaHost())
  }
}

/**
 * The host is the one that WhatsApp names, and the message only gives the path: a message's own address is the sender's
 * word, and would have this machine open whatever they like.
 */
async function download(message: WAMessage, host: string): Promise<Readable> {
  const { type, mediaKey, directPath } = partOf(message)
  if (!type || !mediaKey || !directPath?.startsWith('/')) throw unusable()
  return downloadContentFromMessage({ mediaKey, directPath }, type, { host })
}

type MediaPart = Pick<proto.Message.IImageMessage, 'mediaKey' | 'directPath' | 'fileSha256'> & { type?: MediaType | undefined }

function partOf(message: WAMessage): MediaPart {
  const content = normalizeMessageContent(message.message)
  const kind = content && getContentType(content)
  const part: unknown = kind && content[kind]
  return typeof part === 'object' && part !== null && kind ? { ...part, type: MEDIA_TYPES[kind] } : {}
}

/** Baileys' errors carry the HTTP code this way. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('output' in error)) return undefined
  const { output } = error
  if (typeof output !== 'object' || output === null || !('statusCode' in output)) return undefined
  return typeof output.statusCode === 'number' ? output.statusCode : undefined
}

function unusable(): AppError {
  return new AppError({ code: 'whatsapp.media', fault: 'user', message: 'the message does not say where it is' })
}
