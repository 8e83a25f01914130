import type { Conversation } from './conversation.ts'
import { type Answer, callTool, say } from './reply.ts'

const SHOWN_CHARACTERS = 3_000

/** Something a person can say to the scripted model. A trick that calls a tool says with `after` what came of it. */
type Trick = {
  example: string
  pattern: RegExp
  answer: (words: string, conversation: Conversation) => Answer
  after?: (output: string, words: string) => string
}

const TRICKS: readonly Trick[] = [
  {
    example: '`run: ls -la` (runs a command in the container)',
    pattern: /^run:\s*(.+)$/is,
    answer: (command) => bash(command, 'Run what the person asked for'),
    after: (output) => `The container says:\n${fenced(output)}`,
  },
  {
    example: '`remember that I like tea` (writes to this group’s CLAUDE.md)',
    pattern: /^remember(?:\s+that)?[:\s]\s*(.+)$/is,
    answer: (fact) => bash(`printf '%s\\n' ${quoted(`- ${fact}`)} >> CLAUDE.md`, 'Write it into CLAUDE.md'),
    after: (output, fact) => (output ? `That did not work:\n${fenced(output)}` : `Noted in CLAUDE.md: ${fact}`),
  },
  {
    example: '`what do you remember?` (reads it back)',
    pattern: /^what do you (?:remember|know)()\b/i,
    answer: () => bash('cat CLAUDE.md', 'Read CLAUDE.md'),
    after: (output) => `My CLAUDE.md says:\n${fenced(output)}`,
  },
  {
    example: '`browse https://example.com` (opens a page in the browser)',
    pattern: /^browse\s+(https?:\/\/\S+)$/i,
    answer: (url) => bash(`agent-browser open ${quoted(url)} && agent-browser snapshot; agent-browser close`, 'Open the page'),
    after: (output, url) => `This is what I see at ${url}:\n${fenced(output)}`,
  },
  {
    example: '`what did I say before?` (shows that the session goes on)',
    pattern: /^what did (?:I|we) say()\b/i,
    answer: (_, { said, history }) => say(recollection(history.slice(0, history.length - said.length))),
  },
  {
    example: '`hello`',
    pattern: /^(?:hello|hi|hey|good (?:morning|evening)|help)()\b/i,
    answer: () => say(`Hello! ${introduction()}`),
  },
]

/** The answer to a person who tries the demo: one of the tricks, or who this is and what can be tried. */
export function talk(conversation: Conversation): Answer {
  const { said, step, results } = conversation
  const words = (said.at(-1) ?? '').replace(/^@\S+\s+/, '')
  for (const { pattern, answer, after } of TRICKS) {
    const [matched, argument = ''] = pattern.exec(words) ?? []
    if (matched === undefined) continue
    return after && step > 0 ? say(after(results.join('\n'), argument)) : answer(argument, conversation)
  }
  return say(`You wrote: ${excerpt(words)}\n\n${introduction()}`)
}

function introduction(): string {
  const examples = TRICKS.map(({ example }) => `- ${example}`).join('\n')
  return `I am the scripted demo model: no key, no intelligence, but real tools in a real container. Try:\n${examples}`
}

function recollection(earlier: string[]): string {
  if (earlier.length === 0) return 'Nothing before this: the session has just begun.'
  return `In this session you said:\n${earlier.map((words) => `- ${excerpt(words)}`).join('\n')}`
}

function bash(command: string, description: string): Answer {
  return callTool('Bash', { command, description })
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function fenced(output: string): string {
  const shown = output.length > SHOWN_CHARACTERS ? `${output.slice(0, SHOWN_CHARACTERS)}\n[...]` : output || '(nothing)'
  return `\`\`\`\n${shown}\n\`\`\``
}

function excerpt(words: string): string {
  return words.length > 200 ? `${words.slice(0, 200)}…` : words
}
