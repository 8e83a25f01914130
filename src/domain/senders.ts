import type { Message } from './message.ts'

/** What somebody is to the assistant. The owner is whoever writes from its own account, the terminal or the dashboard. */
export type Role = 'owner' | 'admin' | 'member'

/** What the words of a sender are worth. */
export type Standing =
  /** They call the assistant, and may do what their role may. */
  | { type: 'heard'; role: Role }
  /** They are context for those who are heard, and nothing more. */
  | { type: 'overheard' }
  /** They are not even kept. */
  | { type: 'dropped' }

/** Who is heard in a chat, and what becomes of the others. */
export type SenderRule = { allow: '*' | readonly string[]; mode: 'trigger' | 'drop'; admins?: readonly string[] | undefined }

export type SenderList = {
  default: SenderRule
  chats: Readonly<Record<string, SenderRule>>
  owners: readonly string[]
  admins: readonly string[]
}

/** The owner's policy: none was made, or it is this, or it was made and cannot be read. */
export type SenderPolicy = { type: 'none' } | { type: 'list'; list: SenderList } | { type: 'broken'; why: string }

export type Speaker = Pick<Message, 'jid' | 'sender' | 'fromMe'>
/** `version` changes when it may judge otherwise. */
export type SenderJudge = ((speaker: Speaker, chat: { isMain: boolean }) => Standing) & { version?: () => string }

/**
 * Where no policy was made everybody in a registered chat is heard, as members. One that cannot be read may have been meant
 * to keep anybody out: then only main's chats are heard, and what is said elsewhere waits until it is put right.
 * Main goes by a rule only where the policy names its chat: a default must not lock the owner out.
 */
export function standingOf(policy: SenderPolicy, { jid, sender, fromMe }: Speaker, { isMain }: { isMain: boolean }): Standing {
  if (fromMe) return { type: 'heard', role: 'owner' }
  if (policy.type === 'none') return { type: 'heard', role: 'member' }
  if (policy.type === 'broken') return isMain ? { type: 'heard', role: 'member' } : { type: 'overheard' }
  const { list } = policy
  const own = Object.hasOwn(list.chats, jid) ? list.chats[jid] : undefined
  const rule = own ?? (isMain ? EVERYBODY : list.default)
  if (names(list.owners, sender)) return { type: 'heard', role: 'owner' }
  if (names(list.admins, sender) || names(rule.admins ?? [], sender)) return { type: 'heard', role: 'admin' }
  if (rule.allow === '*' || names(rule.allow, sender)) return { type: 'heard', role: 'member' }
  return rule.mode === 'drop' ? { type: 'dropped' } : { type: 'overheard' }
}

/** Judges by a policy that may change. */
export function judgeBy(policy: () => SenderPolicy): SenderJudge {
  const judge: SenderJudge = (speaker, chat) => standingOf(policy(), speaker, chat)
  return Object.assign(judge, { version: () => JSON.stringify(policy()) })
}

const EVERYBODY: SenderRule = { allow: '*', mode: 'trigger' }

function names(list: readonly string[], sender: string): boolean {
  return list.some((one) => one.trim().toLowerCase() === sender.toLowerCase())
}

/** What people may want of the host, beside being answered. */
export type PersonalAct = 'stop' | 'status' | 'help' | 'answer-question' | 'new' | 'compact' | 'new hard'

const MAY: Record<PersonalAct, readonly Role[]> = {
  stop: ['owner', 'admin', 'member'],
  status: ['owner', 'admin', 'member'],
  help: ['owner', 'admin', 'member'],
  'answer-question': ['owner', 'admin', 'member'],
  new: ['owner', 'admin'],
  compact: ['owner', 'admin'],
  'new hard': ['owner'],
}

/** May somebody of this standing do it? Who is not heard may do nothing. */
export function mayDo(standing: Standing, act: PersonalAct): boolean {
  return standing.type === 'heard' && MAY[act].includes(standing.role)
}
