import { z } from 'zod'

/**
 * What an agent asks of the host: one file `{uuid}.json` in `/workspace/ipc/messages` or `/workspace/ipc/tasks`, written under
 * another name first and renamed. The uuid makes a request idempotent. Who asks is known from the folder, never from the
 * payload. The answer comes as a `reply` frame with the uuid as its id and an `ipcResult` as its result.
 */
export const MAX_IPC_BYTES = 1024 * 1024

const text = z.string().trim().min(1).max(100_000)
/** A chat. Without it, the chat whose turn is running, or else the group's first. */
const targetJid = z.string().min(1).max(300).optional()
const taskId = z.string().min(1).max(200)
const name = z.string().trim().min(1).max(100)
const script = z.string().min(1).max(20_000)
const limit = z.int().min(1).max(100)

const scheduleType = z.enum(['cron', 'interval', 'once'])
/** A cron expression; milliseconds; or a local time like 2026-05-01T09:00:00. */
const scheduleValue = z.string().trim().min(1).max(200)
const contextMode = z.enum(['group', 'isolated'])
const catchUp = z.enum(['once', 'skip'])

const options = z
  .array(z.string().trim().min(1).max(200))
  .min(2)
  .max(12)
  .refine((labels) => new Set(labels.map((label) => label.toLowerCase())).size === labels.length, 'options must differ')

/** The fields of each request, without its `type`: also what the agent's tools take. */
export const ipcFields = {
  /** `sender` is a role shown above the text, for a team of agents. */
  message: { text, sender: name.optional(), targetJid },
  /** `path` as the agent sees it: in `/workspace/group` (what a relative one means) or `/workspace/ipc/files`. */
  file: { path: z.string().min(1).max(4_096), caption: z.string().trim().max(1_000).optional(), targetJid },
  /** Resolves when somebody chose, or when its time is over. */
  ask_user: {
    question: z.string().trim().min(1).max(4_000),
    options,
    timeoutMinutes: z.number().positive().max(10_080).default(60),
    targetJid,
  },
  schedule_task: {
    prompt: text,
    script: script.optional(),
    scheduleType,
    scheduleValue,
    contextMode: contextMode.optional(),
    catchUp: catchUp.optional(),
    targetJid,
  },
  /** What is undefined stays as it is; a `script` of null is taken away. */
  update_task: {
    taskId,
    prompt: text.optional(),
    script: script.nullable().optional(),
    scheduleType: scheduleType.optional(),
    scheduleValue: scheduleValue.optional(),
    contextMode: contextMode.optional(),
    catchUp: catchUp.optional(),
  },
  pause_task: { taskId },
  resume_task: { taskId },
  cancel_task: { taskId },
  run_task_now: { taskId },
  task_history: { taskId, limit: limit.default(20) },
  list_tasks: {},
  list_groups: {},
  /** Main only. It never makes a main group and never gives a host folder: only the owner does, with `./nanoclaw`. */
  register_group: {
    jid: z.string().min(1).max(300),
    folder: z.string().min(1).max(64),
    name: name.optional(),
    trigger: z.string().trim().min(1).max(200).optional(),
    requiresTrigger: z.boolean().optional(),
  },
  /** `target` is a chat's JID or a group's folder. null takes a setting away. */
  update_group: {
    target: z.string().min(1).max(300),
    name: name.optional(),
    trigger: z.string().trim().min(1).max(200).optional(),
    requiresTrigger: z.boolean().optional(),
    model: z.string().min(1).max(200).nullable().optional(),
    effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullable().optional(),
    systemPrompt: z.string().max(20_000).nullable().optional(),
    /** Milliseconds that one turn may take. */
    timeout: z.int().min(1_000).nullable().optional(),
  },
  refresh_groups: {},
  /** Any text; what was said in this group's chats. */
  search_history: { query: z.string().trim().min(1).max(500), limit: limit.default(20) },
}

const request = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('message'), ...ipcFields.message }),
  z.strictObject({ type: z.literal('file'), ...ipcFields.file }),
  z.strictObject({ type: z.literal('ask_user'), ...ipcFields.ask_user }),
  z.strictObject({ type: z.literal('schedule_task'), ...ipcFields.schedule_task }),
  z.strictObject({ type: z.literal('update_task'), ...ipcFields.update_task }),
  z.strictObject({ type: z.literal('pause_task'), ...ipcFields.pause_task }),
  z.strictObject({ type: z.literal('resume_task'), ...ipcFields.resume_task }),
  z.strictObject({ type: z.literal('cancel_task'), ...ipcFields.cancel_task }),
  z.strictObject({ type: z.literal('run_task_now'), ...ipcFields.run_task_now }),
  z.strictObject({ type: z.literal('task_history'), ...ipcFields.task_history }),
  z.strictObject({ type: z.literal('list_tasks'), ...ipcFields.list_tasks }),
  z.strictObject({ type: z.literal('list_groups'), ...ipcFields.list_groups }),
  z.strictObject({ type: z.literal('register_group'), ...ipcFields.register_group }),
  z.strictObject({ type: z.literal('update_group'), ...ipcFields.update_group }),
  z.strictObject({ type: z.literal('refresh_groups'), ...ipcFields.refresh_groups }),
  z.strictObject({ type: z.literal('search_history'), ...ipcFields.search_history }),
])
/** A request as the host reads it. */
export type IpcRequest = z.output<typeof request>
/** A request as it is written. */
export type IpcWish = z.input<typeof request>
export type IpcType = IpcRequest['type']

/** A request as the agent writes it, in the words of v1 too. What it claims about who asks is dropped unread. */
export const ipcRequest = z.preprocess(inOurWords, request)

/** Who v1's agents said they were. */
const CLAIMS = new Set(['groupFolder', 'chatJid', 'createdBy', 'timestamp'])
/** There, `isMain` would be a wish, and gets its refusal. */
const CHANGES_A_GROUP: readonly unknown[] = ['register_group', 'update_group']
/** v1 called the chat a message is for `chatJid`, and made up the id of a new task. */
const HAS_TARGET: readonly unknown[] = ['message', 'file', 'ask_user', 'schedule_task']

function inOurWords(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw
  const fields = Object.entries(raw).map(([key, value]): [string, unknown] => [camelCase(key), value])
  const { type, chatJid } = raw as { type?: unknown; chatJid?: unknown }
  const isDropped = (key: string) =>
    CLAIMS.has(key) || (key === 'isMain' && !CHANGES_A_GROUP.includes(type)) || (key === 'taskId' && type === 'schedule_task')
  const kept = fields.filter(([key]) => !isDropped(key))
  const target = chatJid !== undefined && HAS_TARGET.includes(type) ? [['targetJid', chatJid] as const] : []
  return Object.fromEntries([...target, ...kept])
}

function camelCase(key: string): string {
  return key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** In which of the two folders a request is written. */
export function ipcFolderOf(type: IpcType): 'messages' | 'tasks' {
  return type === 'message' || type === 'file' || type === 'ask_user' ? 'messages' : 'tasks'
}

/**
 * What became of a request. `text` says it in words for the agent: what was done, why it was refused and what would be
 * allowed, which field is wrong. Beside it, `done` has what there is to know (`taskId`, `nextRun`, `tasks`, `groups`,
 * `matches`, `runs`, `answer`).
 */
export const ipcResult = z.looseObject({ status: z.enum(['done', 'refused', 'malformed', 'failed']), text: z.string() })
export type IpcResult = z.infer<typeof ipcResult>
