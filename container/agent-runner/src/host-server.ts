import { type IpcWish, OWN_SERVER } from '@nanoclaw/protocol'
import type { Answer, HostRequests } from './host-requests.ts'
import { type HostTool, hostTools } from './host-tools.ts'
import type { Input } from './options.ts'

type Sdk = Pick<typeof import('./sdk.ts'), 'createSdkMcpServer' | 'tool'>
type Server = ReturnType<Sdk['createSdkMcpServer']>
type ToolResult = { content: { type: 'text'; text: string }[]; isError?: boolean }

const MINUTE_MS = 60_000
/** Claude Code gives a call up after this: never before we do, however long a question to a person may stay open. */
const CALL_LIMIT_MS = 8 * 24 * 60 * MINUTE_MS

/**
 * The MCP server `nanoclaw` in this process: what the agent and its subagents can ask of the host. What names no chat
 * means the one that this agent works for: beside it, another of its group may work for another.
 */
export function hostServer({ sdk, input, requests }: { sdk: Sdk; input: Input; requests: HostRequests }): Server {
  const tools = hostTools(input).map((known) => {
    const handler = async (fields: Record<string, unknown>, extra: unknown) => {
      const waitMs = waitFor(fields, input.replyTimeoutMs)
      const place = 'targetJid' in known.fields ? { targetJid: fields.targetJid ?? requests.chatJid ?? input.chatJid } : {}
      // The fields were checked against the tool's own, which are the request's.
      const wish = { type: known.type, ...fields, ...place } as IpcWish
      return toolResult(await requests.ask(wish, { waitMs, signal: signalOf(extra) }), waitMs)
    }
    return sdk.tool(known.name, known.description, known.fields, handler, hints(known))
  })
  return sdk.createSdkMcpServer({ name: OWN_SERVER, tools, alwaysLoad: true, timeout: CALL_LIMIT_MS })
}

function hints({ readOnly }: HostTool): { annotations: { readOnlyHint: boolean } } {
  return { annotations: { readOnlyHint: readOnly ?? false } }
}

/** A question waits for its person first. */
function waitFor({ timeoutMinutes }: Record<string, unknown>, replyTimeoutMs: number): number {
  return replyTimeoutMs + (typeof timeoutMinutes === 'number' ? timeoutMinutes * MINUTE_MS : 0)
}

function signalOf(extra: unknown): AbortSignal | undefined {
  return (extra as { signal?: AbortSignal } | undefined)?.signal
}

/** The answer in words. What is not known to have failed is no error, or the model would do it again. */
export function toolResult(answer: Answer, waitMs: number): ToolResult {
  switch (answer.type) {
    case 'replied': {
      const { status, text, ...data } = answer.result
      const details = Object.keys(data).length > 0 ? `\n${JSON.stringify(data)}` : ''
      return status === 'done' ? said(text + details) : { ...said(`${WHAT[status]}: ${text}${details}`), isError: true }
    }
    case 'unanswered':
      return said(`${unanswered(answer.why, waitMs)} It was asked for and will still be carried out; do not ask for it again.`)
    case 'not-asked':
      return { ...said(`Not done: the request could not be written (${answer.why}).`), isError: true }
  }
}

const WHAT = { refused: 'Refused', malformed: 'Malformed', failed: 'Failed' }

function unanswered(why: 'late' | 'interrupted' | 'host-gone', waitMs: number): string {
  if (why === 'late') return `NanoClaw has not answered within ${Math.round(waitMs / 1_000)} s.`
  if (why === 'interrupted') return 'You were interrupted before the answer came.'
  return 'NanoClaw is not listening right now.'
}

function said(text: string): ToolResult {
  return { content: [{ type: 'text', text }] }
}
