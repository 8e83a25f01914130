import { z } from 'zod'

/**
 * The host's local API (HTTP over `data/nanoclaw.sock`), used by the CLI and the dashboard.
 * GET  /api/status                       -> HostStatus
 * GET  /api/chats/{jid}/messages?limit=N -> { messages: ChatMessage[] }     the newest N, oldest first
 * POST /api/chats/{jid}/messages {text}  -> { seq }                         stored when this answers
 * GET  /api/chats/{jid}/events           -> NDJSON of ChatEvent, from now on, until either side closes
 * GET  /api/chats/{jid}/outcome?seq=N    -> NDJSON: activity lines, then one answer or failure, then the end
 * POST /api/chats/{jid}/stop             -> { stopped }                     interrupts the running turn
 * GET  /metrics, /healthz, /readyz       -> text for monitors: docs/metrics.md
 * Errors are { error: { code, message } } with a 4xx or 5xx status.
 */
export const chatMessage = z.object({
  seq: z.int(),
  sender: z.string(),
  fromAssistant: z.boolean(),
  text: z.string(),
  /** ms since the epoch */
  at: z.number(),
})
export type ChatMessage = z.infer<typeof chatMessage>

const activity = z.object({
  type: z.literal('activity'),
  kind: z.enum(['text', 'tool', 'thinking', 'compacting']),
  detail: z.string(),
})

export const chatEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message'), message: chatMessage }),
  activity,
  /** `detail` says for a person why a turn waits or failed. */
  z.object({
    type: z.literal('turn'),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'stopped']),
    detail: z.string().optional(),
  }),
  /** The client read too slowly: what happened meanwhile is not told. It is the last event; the messages have what was said. */
  z.object({ type: z.literal('missed') }),
])
export type ChatEvent = z.infer<typeof chatEvent>

export const outcomeEvent = z.discriminatedUnion('type', [
  activity,
  z.object({ type: z.literal('waiting'), detail: z.string() }),
  /** The text of the turn that consumed the message; null when the agent chose to say nothing. */
  z.object({ type: z.literal('answer'), text: z.string().nullable() }),
  z.object({ type: z.literal('failed'), message: z.string() }),
])
export type OutcomeEvent = z.infer<typeof outcomeEvent>

export const hostStatus = z.object({
  version: z.string(),
  ready: z.boolean(),
  pid: z.int(),
  root: z.string(),
  web: z.object({ url: z.string().nullable() }),
  groups: z.array(
    z.object({
      folder: z.string(),
      name: z.string(),
      isMain: z.boolean(),
      chats: z.array(z.string()),
      state: z.enum(['idle', 'waiting', 'running']),
      sessionId: z.string().nullable(),
    }),
  ),
  turns: z.object({ pending: z.int(), running: z.int(), failed: z.int() }),
  outbox: z.object({ pending: z.int(), failed: z.int(), uncertain: z.int() }),
  containers: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      group: z.string(),
      lane: z.enum(['chat', 'isolated']),
      state: z.string(),
      startedAt: z.number(),
    }),
  ),
  /** `since`: ms since the epoch, when it came into this state, as far as this host saw it. */
  channels: z.array(z.object({ name: z.string(), state: z.string(), detail: z.string().nullable(), since: z.number() })),
  /**
   * What needs somebody, at most 20 of a kind and sort. Of the last 7 days: turns and sends that failed, sends that may have
   * arrived twice, tasks whose last run failed, what a migration had to say. While it lasts: turns and sends that are tried
   * again or wait for somebody, tasks that the host paused, channels that are not online, daily backups that fail. `where` is
   * a chat, a task, a channel, or a folder of this machine; `folder` the group it concerns, null when it is the whole host. The counts of failed turns and sends above are
   * of the last 7 days, too.
   */
  troubles: z.array(
    z.object({
      kind: z.enum(['channel', 'turn', 'send', 'task', 'migration', 'backup']),
      where: z.string(),
      folder: z.string().nullable(),
      since: z.number(),
      why: z.string(),
    }),
  ),
})
export type HostStatus = z.infer<typeof hostStatus>

/**
 * Groups. What is undefined stays as it is, or gets its default. `target` is a chat's JID or a group's folder.
 * GET  /api/groups                                  -> { groups: GroupDetail[] }
 * POST /api/groups/register Registration            -> Change
 * POST /api/groups/set      GroupSettings           -> Change
 * POST /api/groups/remove   {target}                -> Change    ends answering; what was asked before is still answered
 * POST /api/groups/terminal {folder}                -> { jid }   the group's chat in the terminal, opened if need be
 * POST /api/mounts/allow    AllowedRoot             -> Change
 * POST /api/mounts/remove   {target}                -> Change
 * POST /api/sessions/clear  {folder}                -> Change
 */
export const registration = z.object({
  jid: z.string(),
  folder: z.string(),
  name: z.string().optional(),
  trigger: z.string().optional(),
  requiresTrigger: z.boolean().optional(),
})
export type RegistrationRequest = z.infer<typeof registration>

export const groupSettings = z.object({
  target: z.string(),
  name: z.string().optional(),
  trigger: z.string().optional(),
  requiresTrigger: z.boolean().optional(),
  /** Keys of the group's `containerConfig`; null takes a key away. */
  config: z.record(z.string(), z.unknown()).optional(),
  main: z.boolean().optional(),
})
export type GroupSettingsRequest = z.infer<typeof groupSettings>

/** A folder of this machine; groups may have what lies below it mounted. */
export const allowedRoot = z.object({ path: z.string(), readWrite: z.boolean(), description: z.string().optional() })
export type AllowedRootRequest = z.infer<typeof allowedRoot>

/** What was done, in words for a person; `notes` are what they should know besides. What is refused is an error. */
export const change = z.object({ text: z.string(), notes: z.array(z.string()) })
export type Change = z.infer<typeof change>

export const groupDetail = z.object({
  folder: z.string(),
  name: z.string(),
  isMain: z.boolean(),
  sessionId: z.string().nullable(),
  chats: z.array(
    z.object({
      jid: z.string(),
      trigger: z.string(),
      requiresTrigger: z.boolean(),
      /** It is removed when what was asked there is answered. */
      leaving: z.boolean(),
    }),
  ),
  config: z.record(z.string(), z.unknown()),
})
export type GroupDetail = z.infer<typeof groupDetail>

/**
 * Channels that a person links to an account.
 * POST /api/channels/{name}/login  {phone?} -> NDJSON of LoginEvent; the last is `online` or `failed`
 * POST /api/channels/{name}/logout          -> Change
 */
export const loginRequest = z.object({
  phone: z
    .string()
    .regex(/^\d{7,15}$/, 'is a phone number in digits, with its country code')
    .optional(),
})

export const loginEvent = z.discriminatedUnion('type', [
  /** To be shown as a QR code, which the phone scans; each replaces the one before. */
  z.object({ type: z.literal('qr'), data: z.string() }),
  /** To be typed on the phone. */
  z.object({ type: z.literal('code'), code: z.string() }),
  z.object({ type: z.literal('online'), account: z.string() }),
  z.object({ type: z.literal('failed'), why: z.string() }),
])
export type LoginEvent = z.infer<typeof loginEvent>

/**
 * Tasks. Times are ms since the epoch.
 * GET  /api/tasks                -> { tasks: TaskDetail[] }
 * GET  /api/tasks/{id}/runs      -> { runs: TaskRunDetail[] }    the newest `limit`, newest first; also of a task that is gone
 * POST /api/tasks/{id}/{deed}    -> Change                 pause, resume, cancel, run
 */
export const taskDeed = z.enum(['pause', 'resume', 'cancel', 'run'])
export type TaskDeed = z.infer<typeof taskDeed>

export const taskDetail = z.object({
  id: z.string(),
  folder: z.string(),
  jid: z.string(),
  prompt: z.string(),
  /** Runs before the agent is asked, and decides whether it is. */
  script: z.string().nullable(),
  schedule: z.object({ type: z.string(), value: z.string() }),
  contextMode: z.enum(['group', 'isolated']),
  catchUp: z.enum(['once', 'skip']),
  status: z.enum(['active', 'paused', 'completed']),
  /** Why it is paused, when nobody paused it. */
  reason: z.string().nullable(),
  running: z.boolean(),
  nextRun: z.number().nullable(),
  lastRun: z.number().nullable(),
  lastResult: z.string().nullable(),
  createdAt: z.number(),
})
export type TaskDetail = z.infer<typeof taskDetail>

export const taskRun = z.object({
  id: z.int(),
  taskId: z.string(),
  at: z.number(),
  /** The moment of the schedule that it stands for; null when somebody asked for it. */
  dueAt: z.number().nullable(),
  durationMs: z.number().nullable(),
  status: z.enum(['running', 'success', 'error', 'skipped']),
  /** Why it was skipped, what it makes up for. */
  note: z.string().nullable(),
  result: z.string().nullable(),
  error: z.string().nullable(),
})
export type TaskRunDetail = z.infer<typeof taskRun>
