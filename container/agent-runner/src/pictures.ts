import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'

type Content = SDKUserMessage['message']['content']
type MediaType = 'image/jpeg' | 'image/png' | 'image/gif' | 'image/webp'
type Mark = { name: string; mediaType: MediaType }

/** Where the host keeps what people send, read-only. */
const ATTACHMENTS = '/workspace/attachments'
/** The newest so many of a prompt, and together so many bytes: a transcript's entry must stay readable (transcript.ts). */
const MOST_PICTURES = 8
const MOST_BYTES = 6 * 1024 * 1024

/** How the host's channels tell of a picture. Somebody may write the same by hand, and get what the group has got anyway. */
const MARKS = /\[(?:Image|Sticker): \/workspace\/attachments\/([^,[\]]+), (image\/(?:jpeg|png|gif|webp)), /g

/**
 * A prompt with the pictures that it tells of beside it, each behind its path. Claude Code makes large ones smaller, and says
 * in words which it cannot read; one that does not come along can still be read at its path.
 */
export async function withPictures(prompt: string, root = ATTACHMENTS): Promise<Content> {
  const pictures = await readPictures(marksIn(prompt), root)
  if (pictures.length === 0) return prompt
  const blocks = pictures.flatMap(({ name, mediaType, data }) => [
    { type: 'text' as const, text: `<picture path="${ATTACHMENTS}/${name}"/>` },
    { type: 'image' as const, source: { type: 'base64' as const, media_type: mediaType, data: data.toString('base64') } },
  ])
  return [{ type: 'text', text: prompt }, ...blocks]
}

function marksIn(prompt: string): Mark[] {
  const marks = [...prompt.matchAll(MARKS)].map(([, name = '', mediaType]) => ({ name, mediaType: mediaType as MediaType }))
  return marks.filter(({ name }) => !name.split('/').includes('..')).slice(-MOST_PICTURES)
}

async function readPictures(marks: readonly Mark[], root: string): Promise<(Mark & { data: Buffer })[]> {
  const pictures: (Mark & { data: Buffer })[] = []
  let room = MOST_BYTES
  for (const mark of marks.toReversed()) {
    const data = await readAtMost(path.join(root, mark.name), room)
    if (data === undefined) continue
    room -= data.length
    pictures.unshift({ ...mark, data })
  }
  return pictures
}

/** Undefined for what is larger, or not there any more: the oldest attachments go when there are too many. */
async function readAtMost(file: string, bytes: number): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(file)
    return size <= bytes ? await readFile(file) : undefined
  } catch {
    return undefined
  }
}
