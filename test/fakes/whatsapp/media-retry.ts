import { aesEncryptGCM, type BinaryNode, hkdf, proto } from 'baileys'
import { node, seconds } from './nodes.ts'

type Retry = { id: string; chat: string }

/** The sender's phone has uploaded the file of a message again, and says where. */
export function uploadedAgain({
  id,
  chat,
  mediaKey,
  directPath,
}: Retry & { mediaKey: Uint8Array; directPath: string }): BinaryNode {
  const { MediaRetryNotification } = proto
  const said = { stanzaId: id, directPath, result: MediaRetryNotification.ResultType.SUCCESS }
  const iv = Buffer.alloc(12, id)
  const key = Buffer.from(hkdf(Buffer.from(mediaKey), 32, { info: 'WhatsApp Media Retry Notification' }))
  const sealed = aesEncryptGCM(MediaRetryNotification.encode(said).finish(), key, iv, Buffer.from(id))
  return notification({ id, chat }, node('encrypt', {}, [node('enc_p', {}, sealed), node('enc_iv', {}, iv)]))
}

/** The sender's phone does not have it any more either. */
export function notUploadedAgain({ id, chat }: Retry): BinaryNode {
  return notification({ id, chat }, node('error', { code: '2' }))
}

function notification({ id, chat }: Retry, content: BinaryNode): BinaryNode {
  return node('notification', { id, from: chat, type: 'mediaretry', t: seconds() }, [
    node('rmr', { jid: chat, from_me: 'false' }),
    content,
  ])
}
