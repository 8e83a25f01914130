import { z } from 'zod'
import { mcpServers } from './mcp-servers.ts'

/** No frame is longer than this many bytes; a longer line is cut off and reported, never buffered. */
export const MAX_FRAME_BYTES = 1024 * 1024

const uuid = z.uuid()

/** One batch of messages as the agent sees it. `uuid` makes pushing it again harmless. */
const turn = z.object({
  type: z.literal('turn'),
  uuid,
  prompt: z.string(),
  chatJid: z.string(),
  /** Uuids of earlier tries of the same batch, oldest first: the runner looks for them in the transcript. */
  earlier: z.array(uuid).default([]),
  /** Uuids of other turns that were pushed together with an earlier try: they may have one answer. */
  siblings: z.array(uuid).default([]),
  /**
   * Bash, run before the model is asked. When its last line is `{"wakeAgent": false}`, the turn succeeds with no text and
   * the model is never asked; `{"wakeAgent": true, "data": ...}` adds the data to the prompt; anything else, what went wrong.
   */
  script: z.string().optional(),
})

/** The first line. With `prompt` and nothing after it, the run is one answer and an exit (a manual run). */
export const runnerInput = z.object({
  prompt: z.string().optional(),
  /** The turn's uuid; made up by the runner in a manual run. */
  uuid: uuid.optional(),
  earlier: z.array(uuid).default([]),
  groupFolder: z.string(),
  chatJid: z.string(),
  isMain: z.boolean().default(false),
  sessionId: z.string().optional(),
  isScheduledTask: z.boolean().default(false),
  assistantName: z.string().default('Andy'),
  model: z.string().optional(),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional(),
  systemPrompt: z.string().optional(),
  /** A session whose transcript is larger (bytes) is archived and not resumed: a fresh one starts. */
  maxTranscriptBytes: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  /** MCP servers beside our own, which is always there. */
  mcpServers: mcpServers.optional(),
  /** How long (ms) a tool waits for the host's answer to its request; a question to a person has its own time besides. */
  replyTimeoutMs: z.int().positive().default(60_000),
  /** What the host found at these paths when it checked them, as decimal text: what is there now must be the same. */
  mounts: z.array(z.object({ target: z.string(), dev: z.string().optional(), ino: z.string() })).default([]),
  /** Goes with the first prompt: a session that is resumed keeps the system prompt it began with. */
  notice: z.string().optional(),
})
export type RunnerInput = z.input<typeof runnerInput>

/** Host -> runner, every line after the first. */
export const hostFrame = z.discriminatedUnion('type', [
  turn,
  /** A message for the chat whose turn is running. */
  z.object({ type: z.literal('followup'), uuid, prompt: z.string() }),
  z.object({ type: z.literal('interrupt') }),
  /** The answer to an IPC request of the agent. */
  z.object({ type: z.literal('reply'), id: z.string(), ok: z.boolean(), result: z.unknown() }),
  /** Nothing more will come: finish what runs, then exit. */
  z.object({ type: z.literal('close') }),
])
export type HostFrame = z.input<typeof hostFrame>
export type TurnFrame = Extract<HostFrame, { type: 'turn' }>

/** What went wrong in a turn, as the runner could tell it. The host decides what follows (retry, tell, wait). */
export const failureClass = z.enum([
  'login',
  /** The account that pays for the model has nothing left. */
  'billing',
  'rate-limit',
  'overload',
  'session-lost',
  'too-large',
  'invalid-request',
  'budget',
  'interrupted',
  /** The container is not what the host promised. */
  'setup',
  'crash',
])
export type RunnerFailure = z.infer<typeof failureClass>

const usage = z.object({ inputTokens: z.number(), outputTokens: z.number(), costUsd: z.number() })
export type Usage = z.infer<typeof usage>

/** Runner -> host. Anything a container prints may be forged: a frame carries no authority. */
export const runnerFrame = z.discriminatedUnion('type', [
  /** The SDK is warm; sent once. */
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('session'), sessionId: z.string().min(1).max(200) }),
  /** What the agent is doing: text so far, or the tool it started. Throttled; for display only. */
  z.object({
    type: z.literal('activity'),
    kind: z.enum(['text', 'tool', 'thinking', 'compacting']),
    detail: z.string().max(20_000),
  }),
  z.object({
    type: z.literal('result'),
    status: z.enum(['success', 'error']),
    result: z.string().nullable(),
    newSessionId: z.string().optional(),
    /** Text for a person; the class beside it is for the host. In a manual run this is all there is to read. */
    error: z.string().optional(),
    errorClass: failureClass.optional(),
    /** The answer's entry in the transcript: found there again for another turn, it is one answer to both. */
    answerId: z.string().max(200).optional(),
    /** The uuids of the pushed messages that this result consumed, in order. */
    consumed: z.array(z.string()).default([]),
    usage: usage.optional(),
  }),
])
export type RunnerFrame = z.infer<typeof runnerFrame>
export type ResultFrame = Extract<RunnerFrame, { type: 'result' }>
export type ActivityFrame = Extract<RunnerFrame, { type: 'activity' }>
