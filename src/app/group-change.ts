import { isDeepStrictEqual } from 'node:util'
import { type ContainerConfig, type Group, localJid, type RegisteredChat } from '../domain/group.ts'
import { nameProblem } from '../domain/registration.ts'
import { triggerProblem } from '../domain/routing.ts'
import { containerConfig } from '../store/groups.ts'

/** What became of a change, in words for a person; `notes` are what they should know besides. */
export type GroupChange = { type: 'done'; text: string; notes: string[] } | { type: 'refused'; why: string }

/** `target` is a chat's JID or a group's folder; what is undefined stays as it is. */
export type GroupSettings = {
  target: string
  name?: string | undefined
  trigger?: string | undefined
  requiresTrigger?: boolean | undefined
  /** Keys of `containerConfig`; null takes a key away. */
  config?: Record<string, unknown> | undefined
  main?: boolean | undefined
}

export type Problem = { type: 'refused'; why: string }

/** Who names a trigger wants it to be needed. */
export function needsTrigger({ trigger, requiresTrigger }: GroupSettings, chat: RegisteredChat): boolean {
  return requiresTrigger ?? (trigger !== undefined || chat.requiresTrigger)
}

/** Why these settings cannot be had, or undefined when they can; `mergedConfig` looks at the rest. */
export function settingsProblem(settings: GroupSettings, group: Group): string | undefined {
  const { name, trigger, requiresTrigger, config, main } = settings
  if ([name, trigger, requiresTrigger, config, main].every((value) => value === undefined)) return 'no change was named'
  if (main === false && group.isMain) return 'there is always one main group; make another one main instead'
  return (name === undefined ? undefined : nameProblem(name)) ?? (trigger === undefined ? undefined : triggerProblem(trigger))
}

/** Main stays, and its terminal. */
export function removalProblem({ isMain, name, folder }: Group, chat: RegisteredChat | undefined): string | undefined {
  if (!isMain || (chat && chat.jid !== localJid(folder))) return undefined
  return `"${name}" is main, which always exists and has the terminal. Make another group main first: "./nanoclaw groups set FOLDER --main".`
}

/** The settings with the changes in them, if all of them mean something. */
export function mergedConfig(
  config: ContainerConfig,
  patch: Record<string, unknown> | undefined,
): { type: 'merged'; config: ContainerConfig } | Problem {
  const merged = Object.fromEntries(Object.entries({ ...config, ...patch }).filter(([, value]) => value !== null))
  const parsed = containerConfig.safeParse(merged)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`)
    return refused(`Nothing was changed: ${problems.join('; ')}.`)
  }
  const unknown = Object.keys(merged).filter((key) => !isDeepStrictEqual(parsed.data[key as keyof ContainerConfig], merged[key]))
  if (unknown.length > 0) return refused(`Nothing was changed: these settings mean nothing: ${unknown.join(', ')}.`)
  return { type: 'merged', config: parsed.data }
}

export function done(text: string, notes: string[] = []): GroupChange {
  return { type: 'done', text, notes }
}

export function refused(why: string): Problem {
  return { type: 'refused', why }
}
