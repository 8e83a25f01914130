import { createReadStream, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { lines } from '@nanoclaw/protocol'
import { z } from 'zod'

const ARCHIVE = '/workspace/group/conversations'
/** One entry with a large tool result can be long; what is longer is passed over, it cannot hold a prompt of ours. */
const MAX_ENTRY_BYTES = 16 * 1024 * 1024
const MAX_ARCHIVED_CHARACTERS = 4 * 1024 * 1024

/** The fields of a transcript entry (Claude Code 2.1.329) that we read. */
const entry = z.object({
  type: z.enum(['user', 'assistant']),
  uuid: z.string().optional(),
  isSidechain: z.boolean().optional(),
  isMeta: z.boolean().optional(),
  isApiErrorMessage: z.boolean().optional(),
  timestamp: z.string().optional(),
  message: z.object({
    content: z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))]),
    stop_reason: z.string().nullish(),
  }),
})
type Entry = z.infer<typeof entry>

/** A message that came while a turn ran and went into it: not an entry of its own, but an attachment with our uuid. */
const folded = z.object({
  type: z.literal('attachment'),
  attachment: z.object({ type: z.literal('queued_command'), source_uuid: z.string() }),
})

function entryOf(value: unknown): Entry | undefined {
  const fold = folded.safeParse(value).data
  // It ends no turn: whatever answer follows is the answer to it, too.
  if (fold) return { type: 'user', uuid: fold.attachment.source_uuid, isMeta: true, message: { content: '' } }
  return entry.safeParse(value).data
}

/** How far an earlier try of a turn got, as its transcript tells. */
export type EarlierTry =
  | { state: 'absent' }
  | { state: 'interrupted' }
  | { state: 'answered'; text: string; id: string | undefined }

/** Where Claude Code keeps the transcript of a session whose working directory is the group folder. */
export function transcriptPath(sessionId: string, home: string): string {
  return path.join(home, '.claude/projects/-workspace-group', `${path.basename(sessionId)}.jsonl`)
}

type Search = { file: string; uuids: readonly string[]; siblings?: readonly string[] }

/**
 * Looks for the uuids a turn was pushed with before; the newest one found decides. Other turns that were in flight together
 * with it (`siblings`) may share its answer.
 */
export async function findEarlierTry({ file, uuids, siblings = [] }: Search): Promise<EarlierTry> {
  let found: EarlierTry = { state: 'absent' }
  if (uuids.length === 0) return found
  /** What comes next belongs to the try that was found last. */
  let open = false
  for await (const e of entries(file)) {
    if (e.isSidechain) continue
    if (e.type === 'user' && e.uuid && uuids.includes(e.uuid)) {
      found = { state: 'interrupted' }
      open = true
    } else if (open && isPrompt(e)) open = found.state === 'interrupted' && siblings.includes(e.uuid ?? '')
    else if (open) found = afterEntry(e)
  }
  return found
}

function afterEntry(e: Entry): EarlierTry {
  const final = e.type === 'assistant' && e.message.stop_reason === 'end_turn' && !e.isApiErrorMessage
  return final ? { state: 'answered', text: textOf(e), id: e.uuid } : { state: 'interrupted' }
}

/** Something the user said, as opposed to the result of a tool or a reminder. */
function isPrompt(e: Entry): boolean {
  if (e.type !== 'user' || e.isMeta) return false
  return typeof e.message.content === 'string' || e.message.content.every((block) => block.type !== 'tool_result')
}

function textOf(e: Entry): string {
  if (typeof e.message.content === 'string') return e.message.content
  return e.message.content.map((block) => (block.type === 'text' ? (block.text ?? '') : '')).join('')
}

/** Entries of user and assistant, in order; a file that is not there has none. */
async function* entries(file: string): AsyncGenerator<Entry> {
  const stream = createReadStream(file)
  try {
    for await (const line of lines(stream, MAX_ENTRY_BYTES)) {
      const parsed = line.type === 'line' ? entryOf(parseJson(line.text)) : undefined
      if (parsed) yield parsed
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    stream.destroy()
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Writes what was said, as markdown, where the agent finds it again: `conversations/2026-01-31-120000.md`. Returns the file. */
export async function archiveConversation({
  transcript,
  assistantName,
  folder = ARCHIVE,
  now = new Date(),
}: {
  transcript: string
  assistantName: string
  folder?: string
  now?: Date
}): Promise<string | undefined> {
  const parts: string[] = []
  let size = 0
  for await (const e of entries(transcript)) {
    const text = e.isSidechain || e.isMeta ? '' : textOf(e).trim()
    size += text.length
    if (text && size <= MAX_ARCHIVED_CHARACTERS)
      parts.push(`**${e.type === 'user' ? 'User' : assistantName}** (${e.timestamp ?? ''}):\n\n${text}`)
  }
  if (parts.length === 0) return undefined
  mkdirSync(folder, { recursive: true })
  const stamp = now.toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '')
  const file = path.join(folder, `${stamp}.md`)
  writeFileSync(file, `# Conversation archived ${now.toISOString()}\n\n${parts.join('\n\n---\n\n')}\n`)
  return file
}

/**
 * A transcript over the limit is archived before resuming it gets slow and then fails. Returns what became of it, in words;
 * undefined when the session can be resumed. Never rejects: without an archive, too, only a fresh session goes on.
 */
export async function archiveOversized({
  file,
  maxBytes,
  assistantName,
  folder = ARCHIVE,
}: {
  file: string
  maxBytes: number
  assistantName: string
  folder?: string
}): Promise<string | undefined> {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size <= maxBytes) return undefined
  try {
    return `archived in ${(await archiveConversation({ transcript: file, assistantName, folder })) ?? folder}; look there for what was said before`
  } catch (error) {
    return `not archived: ${error instanceof Error ? error.message : error}`
  }
}

/**
 * Claude Code reports success and silently keeps no transcript when its folder cannot be written: so we try first.
 * Returns what is wrong, for a person.
 */
export function sessionsProblem(home: string): string | undefined {
  const folder = path.join(home, '.claude')
  try {
    mkdirSync(folder, { recursive: true })
    const probe = path.join(folder, `.writable-${process.pid}`)
    writeFileSync(probe, '')
    rmSync(probe)
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return `The session folder ${folder} cannot be written, so no conversation could be continued (${why}). It must belong to the container's user; is its disk full?`
  }
}
