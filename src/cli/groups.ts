import type { Change, GroupDetail } from '@nanoclaw/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config.ts'
import type { ExitCode } from './exit.ts'
import type { GroupAdmin } from './group-admin.ts'
import type { Environment } from './host.ts'
import { table } from './table.ts'

/** What a command is given: where it reads settings, where it writes, and whom it tells its exit code. */
export type CommandContext = {
  env: Environment
  print(text: string): void
  say(line: string): void
  done(code: ExitCode): void
}

type Trigger = { trigger?: string | false }
type RegisterOptions = Trigger & { folder: string; name?: string }
type SetOptions = Trigger & { name?: string; config?: Record<string, unknown>; main?: true }

/** Adds `groups list|register|set|remove`. */
export function groupsCommand(program: Command, context: CommandContext): void {
  const groups = program.command('groups').description('who is answered where: groups and their chats').exitOverride()
  const add = (name: string, description: string) => groups.command(name).description(description).exitOverride()
  add('list', 'all groups, their chats, and what calls the assistant there')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => list(context, json ?? false))
  triggerOptions(add('register', 'have a group answer in a chat; a second chat of a group shares its memory'))
    .argument('<jid>', 'the chat, e.g. 120363041234567890@g.us or tg:-1001234567890')
    .requiredOption('--folder <folder>', "the group's folder below groups/; made if it is new")
    .option('--name <name>', 'the name of a new group (default: its folder)')
    .action((jid: string, { folder, name, ...options }: RegisterOptions) =>
      changeGroups(context, (admin) => admin.registerChat({ jid, folder, name, ...triggerOf(options) })),
    )
  triggerOptions(add('set', "change a group, or a chat's trigger"))
    .argument('<chat or folder>')
    .option('--name <name>', "the group's name")
    .option('--config <json>', 'settings of its container, e.g. {"model":"opus","network":"none"}; null removes one', jsonObject)
    .option('--main', 'make it the main group, in place of the present one')
    .action((target: string, { name, main, config, ...options }: SetOptions) =>
      changeGroups(context, (admin) => admin.setGroup({ target, name, main, config, ...triggerOf(options) })),
    )
  add('remove', 'stop answering in a chat, or in all chats of a group; files stay')
    .argument('<chat or folder>')
    .action((target: string) => changeGroups(context, (admin) => admin.removeGroup(target)))
}

function triggerOptions(command: Command): Command {
  return command
    .option('--trigger <words>', 'what a message starts with that calls the assistant (default: @ and its name)')
    .option('--no-trigger', 'every message calls it')
}

async function list({ env, print, done }: CommandContext, json: boolean): Promise<void> {
  const { readStore } = await import('./group-admin.ts')
  const { groupList } = await import('../app/group-list.ts')
  const config = loadConfig(env)
  const groups = readStore<GroupDetail[]>(config, { read: (store) => groupList(store, config), empty: [] })
  print(json ? `${JSON.stringify(groups, null, 2)}\n` : renderGroups(groups))
  done(0)
}

/** Does one change, through the host if one runs, and says what became of it. */
export async function changeGroups(
  { env, say, done }: CommandContext,
  use: (admin: GroupAdmin) => Promise<Change>,
): Promise<void> {
  const { withGroupAdmin } = await import('./group-admin.ts')
  const { text, notes } = await withGroupAdmin({ config: loadConfig(env), use })
  for (const line of [text, ...notes]) say(line)
  done(0)
}

export function renderGroups(groups: readonly GroupDetail[]): string {
  if (groups.length === 0) return 'There are no groups yet. The first start makes the main group.\n'
  const rows = groups.flatMap((group) => {
    const head = [group.isMain ? `${group.folder} (main)` : group.folder, group.name]
    const chats = group.chats.map((chat) => [chat.jid, answersTo(chat)])
    return (chats.length > 0 ? chats : [['! none', '']]).map((chat, row) => [...(row === 0 ? head : ['', '']), ...chat])
  })
  return `${table([['GROUP', 'NAME', 'CHAT', 'ANSWERS TO'], ...rows]).join('\n')}\n`
}

function answersTo({ trigger, requiresTrigger, leaving }: GroupDetail['chats'][number]): string {
  if (leaving) return 'what was asked; then it is removed'
  return requiresTrigger ? trigger : 'every message'
}

/** Commander makes `false` of `--no-trigger`; without either option, there is nothing. */
function triggerOf({ trigger }: Trigger): { trigger?: string; requiresTrigger?: boolean } {
  if (trigger === undefined) return {}
  return trigger === false ? { requiresTrigger: false } : { trigger, requiresTrigger: true }
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below: whatever it is, it is no JSON object.
  }
  throw new InvalidArgumentError('It is a JSON object, e.g. {"model":"opus"}.')
}
