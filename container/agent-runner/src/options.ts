import { readdirSync, readFileSync } from 'node:fs'
import type { EffortLevel, Options, PreCompactHookInput } from '@anthropic-ai/claude-agent-sdk'
import type { McpServers, runnerInput } from '@nanoclaw/protocol'
import type { z } from 'zod'
import type { Emit } from './frames.ts'
import { archiveConversation } from './transcript.ts'

export type Input = z.output<typeof runnerInput>

const WORKSPACE = '/workspace'
const CLAUDE = '/usr/local/bin/claude'
/** A memory file larger than this is cut: it is sent with every request. */
const MAX_MEMORY_CHARACTERS = 64 * 1024

const ALLOWED_TOOLS = [
  ...[
    'Bash',
    'Read',
    'Write',
    'Edit',
    'Glob',
    'Grep',
    'WebSearch',
    'WebFetch',
    'NotebookEdit',
    'TodoWrite',
    'ToolSearch',
    'Skill',
  ],
  ...['Task', 'TaskCreate', 'TaskGet', 'TaskList', 'TaskUpdate', 'TaskStop', 'mcp__nanoclaw__*'],
]

/** What would go on after a turn's answer, or come back later: nobody would hear of it. `schedule_task` is there for that. */
const DISALLOWED_TOOLS = ['Workflow', 'Monitor', 'ScheduleWakeup', 'CronCreate', 'CronDelete', 'CronList']

/** The part of the SDK's options that we always set; `claudeArguments` builds the same command line from it as the SDK. */
export type ClaudeOptions = Options & {
  cwd: string
  env: Record<string, string>
  allowedTools: string[]
  disallowedTools: string[]
  settingSources: ('project' | 'user')[]
  permissionMode: 'bypassPermissions'
  additionalDirectories: string[]
  pathToClaudeCodeExecutable: string
  model?: string
  effort?: EffortLevel
  resume?: string
}

type Setting = { input: Input; env: Record<string, string>; emit: Emit; workspace?: string }

export function claudeOptions({ input, env, emit, workspace = WORKSPACE }: Setting): ClaudeOptions {
  return {
    cwd: `${workspace}/group`,
    env,
    pathToClaudeCodeExecutable: CLAUDE,
    // Without the preset the agent is not Claude Code; without `user` its skills are not read.
    // Recorded with the session, as is the default, new instructions and memory would not reach a conversation that goes on.
    systemPrompt: { type: 'preset', preset: 'claude_code', append: systemPrompt(input, workspace), snapshot: false },
    settingSources: ['project', 'user'],
    permissionMode: 'bypassPermissions',
    allowDangerouslySkipPermissions: true,
    allowedTools: ALLOWED_TOOLS,
    disallowedTools: DISALLOWED_TOOLS,
    additionalDirectories: extraDirectories(workspace),
    includePartialMessages: true,
    hooks: {
      PreCompact: [{ hooks: [async (hook) => beforeCompaction(hook as PreCompactHookInput, { input, emit, workspace })] }],
    },
    stderr: (text) => process.stderr.write(text),
    ...(input.mcpServers ? groupServers(input.mcpServers) : {}),
    ...(input.model ? { model: input.model } : {}),
    ...(input.effort ? { effort: input.effort } : {}),
    ...(input.sessionId ? { resume: input.sessionId } : {}),
  }
}

/** The servers of the group's own settings. The first prompt waits for them, so that it has their tools. */
function groupServers(servers: McpServers): Pick<Options, 'mcpServers' | 'mcpServersDelivery'> {
  const entries = Object.entries(servers).map(([name, server]) => {
    const typed = 'url' in server ? { ...server, type: 'http' as const } : server
    return [name, { ...typed, alwaysLoad: true }] as const
  })
  // Not on the command line, where every process could read their secrets.
  return { mcpServers: Object.fromEntries(entries), mcpServersDelivery: 'initialize' }
}

/** What the agent is told beyond its own CLAUDE.md: who it is, and the memory all groups share. */
function systemPrompt(input: Input, workspace: string): string {
  const shared = input.isMain ? `${workspace}/project/groups/global/CLAUDE.md` : `${workspace}/global/CLAUDE.md`
  const who = `You are ${input.assistantName}. You are in the chat ${input.chatJid}, unless a message's <context> names another.`
  return [who, memory(shared), input.systemPrompt].filter(Boolean).join('\n\n')
}

function memory(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(0, MAX_MEMORY_CHARACTERS)
  } catch {
    return ''
  }
}

/** Folders mounted for this group beyond its own; their CLAUDE.md files are read too. */
function extraDirectories(workspace: string): string[] {
  try {
    return readdirSync(`${workspace}/extra`).map((name) => `${workspace}/extra/${name}`)
  } catch {
    return []
  }
}

type Compaction = { input: Input; emit: Emit; workspace: string }

async function beforeCompaction(hook: PreCompactHookInput, { input, emit, workspace }: Compaction): Promise<object> {
  emit({ type: 'activity', kind: 'compacting', detail: 'making room in the conversation' })
  try {
    const folder = `${workspace}/group/conversations`
    await archiveConversation({ transcript: hook.transcript_path, assistantName: input.assistantName, folder })
  } catch (error) {
    console.error(
      `runner: the conversation was not archived before compaction: ${error instanceof Error ? error.message : error}`,
    )
  }
  return {}
}
