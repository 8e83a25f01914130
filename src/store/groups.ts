import { mcpServers } from '@nanoclaw/protocol'
import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'
import type { ContainerConfig, Group, RegisteredChat } from '../domain/group.ts'
import { objectIn } from './json.ts'

const extraMount = z.object({
  hostPath: z.string().min(1).max(4_096),
  containerPath: z.string().max(4_096).optional(),
  readonly: z.boolean().optional(),
})

const hostPattern = z
  .string()
  .max(253)
  .regex(/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+$/i, 'is a host such as example.com or *.example.com')

/** What `groups.container_config` may hold. Unknown keys are dropped: no engine option can be smuggled in by a name. */
export const containerConfig = z.object({
  timeout: z.int().min(1_000).optional(),
  additionalMounts: z.array(extraMount).max(64).optional(),
  network: z.enum(['gateway', 'bridge', 'none']).optional(),
  egress: z
    .object({ policy: z.enum(['open', 'allowlist', 'off']), allow: z.array(hostPattern).max(1_000).optional() })
    .optional(),
  model: z.string().min(1).max(200).optional(),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional(),
  systemPrompt: z.string().max(20_000).optional(),
  mcpServers: mcpServers.optional(),
  budget: z
    .object({
      dayUsd: z.number().nonnegative().optional(),
      monthUsd: z.number().nonnegative().optional(),
      dayTokens: z.int().nonnegative().optional(),
      monthTokens: z.int().nonnegative().optional(),
    })
    .optional(),
  limits: z
    .object({
      memoryMb: z.int().min(256).optional(),
      cpus: z.number().positive().optional(),
      pids: z.int().min(32).optional(),
      diskMb: z.int().min(1).optional(),
      files: z.int().min(100).optional(),
    })
    .optional(),
  isolation: z.enum(['runc', 'runsc']).optional(),
})

/** Whether a setting can be used. One that we do not know may stay where it is, and is never read. */
export function isUsable([key, value]: [string, unknown]): boolean {
  const { shape } = containerConfig
  return !Object.hasOwn(shape, key) || shape[key as keyof typeof shape].safeParse(value).success
}

const groupRow = z.object({ folder: z.string(), name: z.string(), is_main: z.int(), container_config: z.string() })
const chatRow = z.object({
  jid: z.string(),
  folder: z.string(),
  trigger_pattern: z.string().nullable(),
  requires_trigger: z.int(),
})

/** Groups and the chats registered to them. */
export class Groups {
  readonly #all: Statement
  readonly #byFolder: Statement
  readonly #add: Statement
  readonly #chats: Statement
  readonly #chat: Statement
  readonly #chatsOf: Statement
  readonly #register: Statement
  readonly #save: Statement
  readonly #noMain: Statement
  readonly #makeMain: Statement
  readonly #changeTrigger: Statement
  readonly #unregister: Statement
  readonly #remove: Statement

  constructor(db: Database) {
    const group = 'SELECT folder, name, is_main, container_config FROM groups'
    const chat = 'SELECT jid, folder, trigger_pattern, requires_trigger FROM registered_groups'
    this.#all = db.prepare(`${group} ORDER BY is_main DESC, folder`)
    this.#byFolder = db.prepare(`${group} WHERE folder = ?`)
    this.#add = db.prepare(
      'INSERT INTO groups (folder, name, is_main, container_config, created_at) VALUES (:folder, :name, :isMain, :config, :at)',
    )
    this.#chats = db.prepare(`${chat} ORDER BY added_at, jid`)
    this.#chatsOf = db.prepare(`${chat} WHERE folder = ? ORDER BY added_at, jid`)
    this.#chat = db.prepare(`${chat} WHERE jid = ?`)
    this.#register = db.prepare(`
      INSERT INTO registered_groups (jid, folder, trigger_pattern, requires_trigger, added_at)
      VALUES (:jid, :folder, :trigger, :requiresTrigger, :at)`)
    this.#save = db.prepare('UPDATE groups SET name = :name, container_config = :config WHERE folder = :folder')
    this.#noMain = db.prepare('UPDATE groups SET is_main = 0 WHERE is_main = 1')
    this.#makeMain = db.prepare('UPDATE groups SET is_main = 1 WHERE folder = ?')
    this.#changeTrigger = db.prepare(
      'UPDATE registered_groups SET trigger_pattern = :trigger, requires_trigger = :requiresTrigger WHERE jid = :jid',
    )
    this.#unregister = db.prepare('DELETE FROM registered_groups WHERE jid = ?')
    this.#remove = db.prepare('DELETE FROM groups WHERE folder = ?')
  }

  all(): Group[] {
    return this.#all.all().map(toGroup)
  }

  find(folder: string): Group | undefined {
    const row = this.#byFolder.get(folder)
    return row === undefined ? undefined : toGroup(row)
  }

  /** The settings of a group that are there and cannot be used; the group is without them. */
  unusable(folder: string): string[] {
    const row = this.#byFolder.get(folder)
    return row === undefined ? [] : settingsOf(row).unusable
  }

  /** What a person should know of settings that somebody wrote into the database, and that cannot be used. */
  problems(): string[] {
    return this.#all.all().flatMap((row) => {
      const { folder, unusable } = settingsOf(row)
      if (unusable.length === 0) return []
      return `Group ${folder}: of its settings these cannot be used: ${unusable.join(', ')}. ${howToMend(folder)}`
    })
  }

  add(group: Group, at: number): void {
    this.#add.run({ ...group, isMain: group.isMain ? 1 : 0, config: JSON.stringify(group.config), at })
  }

  /** The chats of one group, in the order they were registered. */
  chatsOf(folder: string): RegisteredChat[] {
    return this.#chatsOf.all(folder).map(toChat)
  }

  chats(): RegisteredChat[] {
    return this.#chats.all().map(toChat)
  }

  chat(jid: string): RegisteredChat | undefined {
    const row = this.#chat.get(jid)
    return row === undefined ? undefined : toChat(row)
  }

  register(chat: RegisteredChat, at: number): void {
    this.#register.run({ ...chat, requiresTrigger: chat.requiresTrigger ? 1 : 0, at })
  }

  /** Stores a group's name and settings; who is main is `makeMain`'s. */
  save({ folder, name, config }: Pick<Group, 'folder' | 'name' | 'config'>): void {
    this.#save.run({ folder, name, config: JSON.stringify(config) })
  }

  /** This group is main from now on, and no other. Belongs in a transaction. */
  makeMain(folder: string): void {
    this.#noMain.run()
    this.#makeMain.run(folder)
  }

  changeTrigger({ jid, trigger, requiresTrigger }: Omit<RegisteredChat, 'folder'>): void {
    this.#changeTrigger.run({ jid, trigger, requiresTrigger: requiresTrigger ? 1 : 0 })
  }

  unregister(jid: string): void {
    this.#unregister.run(jid)
  }

  /** Takes a group away, and its chats with it. What lies in its folders stays. */
  remove(folder: string): void {
    this.#remove.run(folder)
  }
}

/** How the owner gets rid of settings that cannot be used. */
export function howToMend(folder: string): string {
  return `Give each a new value, or null:  ./nanoclaw groups set ${folder} --config JSON`
}

function toGroup(raw: unknown): Group {
  const { folder, name, is_main: isMain } = groupRow.parse(raw)
  return { folder, name, isMain: isMain === 1, config: settingsOf(raw).config }
}

/** One group's bad settings are no reason for the others not to be there. */
function settingsOf(raw: unknown): { folder: string; config: ContainerConfig; unusable: string[] } {
  const { folder, container_config: text } = groupRow.parse(raw)
  const stored = objectIn(text)
  if (!stored) return { folder, config: {}, unusable: Object.keys(containerConfig.shape) }
  const settings = Object.entries(stored)
  const config = containerConfig.parse(Object.fromEntries(settings.filter(isUsable)))
  return { folder, config, unusable: settings.filter((one) => !isUsable(one)).map(([key]) => key) }
}

function toChat(raw: unknown): RegisteredChat {
  const row = chatRow.parse(raw)
  return { jid: row.jid, folder: row.folder, trigger: row.trigger_pattern, requiresTrigger: row.requires_trigger === 1 }
}
