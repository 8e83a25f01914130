import { z } from 'zod'
import { escapeXml } from '../domain/prompt.ts'

const block = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  content: z.unknown().optional(),
})
type Block = z.infer<typeof block>

/** What the scripted model reads of a request to the Messages API; everything else in it is ignored. */
export const messagesRequest = z.looseObject({
  model: z.string(),
  stream: z.boolean().default(false),
  messages: z.array(z.object({ role: z.string(), content: z.union([z.string(), z.array(block)]) })).min(1),
})
export type MessagesRequest = z.infer<typeof messagesRequest>

/** A request as a script sees it: the people's words, without the wrapping of NanoClaw and Claude Code. */
export type Conversation = {
  /** The newest messages, oldest first. A message that came during a tool call replaces the ones before it. */
  said: string[]
  /** How often the model has answered (with a tool call) since `said`. */
  step: number
  /** What the tools of the last step brought. */
  results: string[]
  /** The model was asked once more, after something broke off. */
  resumed: boolean
  /** Everything people wrote in this session, oldest first, `said` included. */
  history: string[]
}

export function readConversation({ messages }: MessagesRequest): Conversation {
  const conversation: Conversation = { said: [], step: 0, results: [], resumed: false, history: [] }
  for (const { role, content } of messages) {
    if (role === 'assistant') {
      conversation.step += 1
      conversation.results = []
      continue
    }
    for (const block of typeof content === 'string' ? [{ type: 'text', text: content }] : content)
      hear(conversation, { role, block })
  }
  return conversation
}

function hear(conversation: Conversation, { role, block }: { role: string; block: Block }): void {
  const text = block.type === 'tool_result' ? textOf(block.content) : (block.text ?? '')
  if (block.type === 'tool_result') conversation.results.push(withoutNotes(text).trim())
  else if (role === 'user') startTurn(conversation, text)
  for (const [, message = ''] of text.matchAll(MID_TURN)) note(conversation, wordsOf(message))
}

function startTurn(conversation: Conversation, text: string): void {
  const words = wordsOf(text)
  if (words.length === 0) return
  if (withoutNotes(text).trimStart().startsWith(CONTINUED)) return resume(conversation, words)
  conversation.results = []
  note(conversation, words)
  // What a summary repeats was answered before the conversation was compacted.
  if (text.startsWith(COMPACTED)) conversation.said = []
}

/** The newest goes on from where it was; anything older begins anew. */
function resume(conversation: Conversation, words: string[]): void {
  if (words.join() !== conversation.said.join()) note(conversation, words)
  conversation.resumed = true
}

function note(conversation: Conversation, words: string[]): void {
  if (words.length === 0) return
  conversation.said = words
  conversation.step = 0
  conversation.resumed = false
  conversation.history.push(...words)
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  const blocks = z.array(block).safeParse(content)
  return blocks.success ? blocks.data.map(({ type, text }) => text ?? `[${type}]`).join('\n') : ''
}

/**
 * How Claude Code 2.1 tells the model of a message that came during a tool call: in a message of role `system`,
 * or, for older models, in a note inside the tool's result.
 */
const MID_TURN = /The user sent a new message while you were working:\n([\s\S]*?)\n\nThis is how Claude Code/g
/** How the agent runner begins when it has the model go on with a turn that was interrupted. */
const CONTINUED = 'The previous attempt at this was interrupted'
const COMPACTED = 'This session is being continued from a previous conversation'
const MESSAGE = /<message\b[^>]*>([\s\S]*?)<\/message>/g

/** The messages inside NanoClaw's `<messages>`, unescaped, or the text as it is when it has none. */
function wordsOf(text: string): string[] {
  const plain = withoutNotes(text)
  const wrapped = [...plain.matchAll(MESSAGE)].map(([, words = '']) => unescapeXml(words))
  return (wrapped.length > 0 ? wrapped : [plain]).map((words) => words.trim()).filter((words) => words !== '')
}

/** Claude Code puts notes of its own beside the person's words, and the agent runner where each picture is from. */
const NOTES = [
  /<system-reminder>[\s\S]*?<\/system-reminder>/g,
  /^\[Request interrupted by user[^\]]*\]/gm,
  /^\[Image(?: could not be processed| removed|: source):[^\]]*\]$/gm,
  /^<picture path="[^"]*"\/>$/gm,
]

function withoutNotes(text: string): string {
  return NOTES.reduce((rest, note) => rest.replace(note, ''), text)
}

/** A summary of the conversation from which `readConversation` gets the history back. */
export function summaryOf(history: string[]): string {
  return `<messages>\n${history.map((words) => `<message>${escapeXml(words)}</message>`).join('\n')}\n</messages>`
}

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", amp: '&' }

function unescapeXml(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|#39|amp);/g, (entity, name: string) => ENTITIES[name] ?? entity)
}
