import { obey } from './commands.ts'
import { type Conversation, summaryOf } from './conversation.ts'
import { type Reply, type Script, say } from './reply.ts'
import { talk } from './talk.ts'

/** The script of the demo and of the tests: `!commands` are obeyed to the letter, everything else is small talk. */
export const demoScript: Script = (conversation) => {
  if (isCompaction(conversation)) return say(`<summary>\n${summaryOf(conversation.history.slice(0, -1))}\n</summary>`)
  return withUnansweredResults(obey(conversation) ?? talk(conversation), conversation)
}

/** Claude Code asks for a summary in these words when the conversation gets too long. */
function isCompaction({ said }: Conversation): boolean {
  return said.some((words) => words.includes('Your task is to create a detailed summary of the conversation'))
}

/**
 * A message that came during a tool call is answered together with what the tool brought, in one block:
 * Claude Code's result is the last text block alone.
 */
function withUnansweredResults(reply: Reply, { step, results }: Conversation): Reply {
  if (reply.type !== 'answer' || step > 0 || results.length === 0) return reply
  const text = `RESULT:${results.join('|')}\n`
  const [first, ...rest] = reply.blocks
  if (first?.type === 'text') return { ...reply, blocks: [{ type: 'text', text: text + first.text }, ...rest] }
  return { ...reply, blocks: [{ type: 'text', text }, ...reply.blocks] }
}
