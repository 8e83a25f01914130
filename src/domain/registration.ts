import { localJid } from './group.ts'
import { triggerProblem } from './routing.ts'

/** A wish to have a chat answered by a group. What is undefined gets its default. */
export type Registration = {
  jid: string
  folder: string
  /** The group's name, if the group is new. */
  name?: string | undefined
  /** Words that call the assistant in this chat, in place of its name. */
  trigger?: string | undefined
  /** Undefined: a trigger is needed, but in the terminal. */
  requiresTrigger?: boolean | undefined
}

const LONGEST_NAME = 100
const ONE_WORD = /^[^\s\p{C}]{1,255}$/u
const CHANNEL_AND_ID = /^[a-z][a-z0-9-]*:.|.@./

/** Why a chat cannot be registered like this, or undefined when it can. Whether the folder is free is not its matter. */
export function registrationProblem({ jid, folder, name, trigger }: Registration): string | undefined {
  if (!ONE_WORD.test(jid) || !CHANNEL_AND_ID.test(jid))
    return `"${jid}" does not name a chat; names look like 120363041234567890@g.us, tg:-1001234567890 or local:${folder}`
  // Anybody who asks for the terminal of a group must get that group.
  if (isTerminal(jid) && jid !== localJid(folder)) return `the terminal of the group "${folder}" is called ${localJid(folder)}`
  return (name === undefined ? undefined : nameProblem(name)) ?? (trigger === undefined ? undefined : triggerProblem(trigger))
}

export function nameProblem(name: string): string | undefined {
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(name)) return 'a name needs at least one character that can be seen'
  if (name.length > LONGEST_NAME) return `a name has at most ${LONGEST_NAME} characters`
  return /\p{Cc}/u.test(name) ? 'a name is one line' : undefined
}

export function isTerminal(jid: string): boolean {
  return jid.startsWith(localJid(''))
}

/** Does it name a group (and not a chat)? Names of chats have a `:` or `@`, which folders cannot have. */
export function isFolder(target: string): boolean {
  return !/[:@]/.test(target)
}
