import type { McpServers } from '@nanoclaw/protocol'
import type { Budget } from './budget.ts'

/** A workspace with one agent: its folder, its chats, its settings. */
export type Group = {
  folder: string
  name: string
  isMain: boolean
  config: ContainerConfig
}

/** A chat that a group answers in. */
export type RegisteredChat = {
  jid: string
  folder: string
  /** The words that call the assistant, e.g. `@Andy`; null means the assistant's own name. */
  trigger: string | null
  requiresTrigger: boolean
}

/** A host folder that a group's agent is to see under `/workspace/extra`; whether it may is decided by the allowlist. */
export type ExtraMount = {
  hostPath: string
  /** Its name there; the last part of `hostPath` when missing. */
  containerPath?: string | undefined
  /** Read-only unless this is false and the allowlist permits writing. */
  readonly?: boolean | undefined
}

/** What may be set per group. Dangerous engine options do not exist here. */
export type ContainerConfig = {
  /** Milliseconds that one turn may take. */
  timeout?: number | undefined
  additionalMounts?: ExtraMount[] | undefined
  network?: 'gateway' | 'bridge' | 'none' | undefined
  /** Where its agent may go, with `network` `gateway`: everywhere public unless said otherwise. */
  egress?: { policy: 'open' | 'allowlist' | 'off'; allow?: string[] | undefined } | undefined
  model?: string | undefined
  effort?: 'low' | 'medium' | 'high' | 'xhigh' | 'max' | undefined
  systemPrompt?: string | undefined
  /** MCP servers that its agent has beside ours. What secrets they need, the agent can read. */
  mcpServers?: McpServers | undefined
  /** What it may use of the model, beside what all groups together may. */
  budget?: Budget | undefined
  limits?: GroupLimits | undefined
  /** What keeps its containers apart from the machine: the kernel (`runc`), or gVisor in front of it (`runsc`). */
  isolation?: 'runc' | 'runsc' | undefined
}

/** `diskMb` and `files` are of the group's folder: above them the host writes nothing more into it. */
export type GroupLimits = { [limit in 'memoryMb' | 'cpus' | 'pids' | 'diskMb' | 'files']?: number | undefined }

const FOLDER = /^[a-z0-9][a-z0-9_-]{0,63}$/
const RESERVED = new Set(['global', 'messages', 'tasks', 'files', 'replies', 'input', 'errors'])
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)$/

/** Why a new group cannot have this folder name, or undefined when it can. */
export function folderProblem(folder: string): string | undefined {
  if (!FOLDER.test(folder)) return 'a folder is 1 to 64 of a-z, 0-9, "-" and "_", and starts with a letter or digit'
  if (RESERVED.has(folder) || WINDOWS_DEVICE.test(folder)) return `"${folder}" is reserved`
  return undefined
}

const FOLDER_OF_V1 = /^[a-z0-9][a-z0-9_-]{0,63}$/i

/** Why a group that already exists cannot keep its folder, or undefined when it can: v1 allowed capitals, and reserved less. */
export function existingFolderProblem(folder: string): string | undefined {
  if (!FOLDER_OF_V1.test(folder)) return 'a folder is 1 to 64 of letters, digits, "-" and "_", and starts with a letter or digit'
  return RESERVED.has(folder.toLowerCase()) ? `"${folder}" is reserved` : undefined
}

/** The chat of a group in the terminal. */
export function localJid(folder: string): string {
  return `local:${folder}`
}
