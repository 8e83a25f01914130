import { z } from 'zod'
import { errorText } from '../domain/errors.ts'
import type { Conversation } from './conversation.ts'
import { callTool, type Failure, type Reply, say } from './reply.ts'

const toolInput = z.record(z.string(), z.unknown())
const toolCalls = z.array(z.tuple([z.string(), toolInput])).min(1)

type Command = { usage: string; reply: (argument: string, conversation: Conversation) => Reply }

/** The commands for tests. A message may hold several, one a line: each is one step of the turn, as long as they call tools. */
const COMMANDS: Record<string, Command> = {
  tool: { usage: '!tool NAME {json}', reply: tool },
  tools: { usage: '!tools [["NAME", {json}], ...]', reply: tools },
  error: { usage: '!error STATUS [type] [xTIMES] [after=SECONDS]', reply: failure },
  slow: { usage: '!slow PIECES GAP_MS', reply: slow },
  drop: { usage: '!drop', reply: () => ({ type: 'drop' }) },
  midstream: {
    usage: '!midstream [cut]',
    reply: (how) => ({ ...say('partial'), breaks: how === 'cut' ? 'cut' : 'error-event' }),
  },
  think: { usage: '!think', reply: think },
  big: { usage: '!big INPUT_TOKENS', reply: (tokens) => ({ ...say('big'), inputTokens: wholeNumber(tokens) }) },
  echo: { usage: '!echo TEXT', reply: (text) => say(text) },
  history: { usage: '!history', reply: (_, { history }) => say(history.join('\n')) },
}

/** The reply to the next `!command` of what was said, the results when all were obeyed, or undefined when there are none. */
export function obey(conversation: Conversation): Reply | undefined {
  const commands = conversation.said.flatMap(commandLines)
  if (commands.length === 0) return undefined
  const line = commands[conversation.step]
  if (line === undefined) return say(`RESULT:${conversation.results.join('|')}`)
  const reply = obeyLine(line, conversation)
  return conversation.resumed && isFailure(reply) ? say('recovered') : reply
}

/** Something that breaks off; asked to go on after it, the model recovers. */
function isFailure(reply: Reply): boolean {
  return reply.type !== 'answer' || reply.breaks !== undefined
}

/** Lines that start with `!`; the assistant may be addressed first (`@Andy !tool ...`). */
function commandLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replace(/^@\S+\s+/, ''))
    .filter((line) => line.startsWith('!'))
}

function obeyLine(line: string, conversation: Conversation): Reply {
  const [, name = '', argument = ''] = /^!(\S*)\s*([\s\S]*)$/.exec(line) ?? []
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) return say(`I do not know ${line}. I know:\n${usages().join('\n')}`)
  try {
    return command.reply(argument, conversation)
  } catch (error) {
    return say(`I could not read ${line}: ${errorText(error)}\nIt should look like: ${command.usage}`)
  }
}

function usages(): string[] {
  return Object.values(COMMANDS).map(({ usage }) => usage)
}

function tool(argument: string): Reply {
  const [, name = '', json = ''] = /^(\S+)\s*([\s\S]*)$/.exec(argument) ?? []
  return callTool(name, toolInput.parse(JSON.parse(json || '{}')))
}

function tools(argument: string): Reply {
  const calls = toolCalls.parse(JSON.parse(argument))
  return { type: 'answer', blocks: calls.map(([name, input]) => ({ type: 'tool_use', name, input })) }
}

function failure(argument: string): Failure {
  const [status = '', ...words] = argument.split(/\s+/)
  const reply: Failure = { type: 'error', status: wholeNumber(status) }
  for (const word of words) {
    if (/^x\d+$/.test(word)) reply.times = Number(word.slice(1))
    else if (word.startsWith('after=')) reply.headers = { 'retry-after': String(wholeNumber(word.slice('after='.length))) }
    else if (word) reply.errorType = word
  }
  return reply
}

function slow(argument: string): Reply {
  const [pieces, gapMs] = z.tuple([z.coerce.number().int().positive(), z.coerce.number().int()]).parse(argument.split(/\s+/))
  const text = Array.from({ length: pieces }, (_, n) => `w${n} `).join('')
  return { ...say(text), pace: { pieces, gapMs } }
}

function think(): Reply {
  const blocks = [
    { type: 'thinking' as const, thinking: 'Let me think about this.' },
    { type: 'text' as const, text: 'thought' },
  ]
  return { type: 'answer', blocks }
}

function wholeNumber(text: string): number {
  return z.coerce.number().int().parse(text)
}
