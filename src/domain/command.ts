import { behindMarkers, compared, LOOKED_AT, wordsBehind } from './routing.ts'

/** What a person tells the host itself, not the agent: it works also when the agent hangs. */
export type Command = { name: 'stop' | 'status' | 'help' | 'new' | 'new hard' }

const COMMANDS = new Map<string, Command['name']>([
  ['/stop', 'stop'],
  ['/status', 'status'],
  ['/help', 'help'],
  ['/new', 'new'],
  ['/new hard', 'new hard'],
])
export const COMMAND_HELP = [
  '/stop – stop what I am doing; what was said so far stays',
  '/status – what I am doing',
  '/new – start a fresh conversation; memory files are kept (owner, admin)',
  '/new hard – the same, and everything Claude Code keeps for this group is reset (owner)',
  '/compact – shorten the conversation so far to a summary (owner, admin)',
  '/help – this list',
].join('\n')

/** The command a message is, also behind the trigger; undefined when it is for the agent. */
export function commandOf(text: string, trigger: string): Command | undefined {
  const name = COMMANDS.get(bareText(text, trigger))
  return name && { name }
}

const AGENT_COMMAND = '/compact'

/** Commands that the agent's own program carries out: they reach it as they are, as a turn of their own. */
export function agentCommandOf(text: string, trigger: string): string | undefined {
  return bareText(text, trigger) === AGENT_COMMAND ? AGENT_COMMAND : undefined
}

/** False where `agentCommandOf` knows no command, whatever the trigger is. */
export function mayBeAgentCommand(text: string): boolean {
  const bare = text.trim()
  return bare.length <= LOOKED_AT && compared(bare).includes(AGENT_COMMAND)
}

/** All that a message says, without the markers of its channel and the trigger in front: a command in the middle of a sentence is not meant as one. */
function bareText(text: string, trigger: string): string {
  const bare = text.trim()
  if (bare.length > LOOKED_AT) return ''
  const called = wordsBehind(trigger)(bare)?.replace(/^[^\p{L}\p{N}/]+/u, '') ?? behindMarkers(bare)
  return compared(called)
}
