import type { GroupDetail } from '@nanoclaw/protocol'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { type CommandContext, changeGroups } from './groups.ts'
import { table } from './table.ts'

type Session = Pick<GroupDetail, 'folder' | 'name' | 'sessionId'>

/** Adds `sessions list|clear`. */
export function sessionsCommand(program: Command, context: CommandContext): void {
  const sessions = program.command('sessions').description("the groups' conversations").exitOverride()
  const add = (name: string, description: string) => sessions.command(name).description(description).exitOverride()
  add('list', 'the conversation that each group goes on with')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => list(context, json ?? false))
  add('clear', 'start a fresh conversation with the next message; files and memory stay')
    .argument('<folder>', "the group's folder")
    .action((folder: string) => changeGroups(context, (admin) => admin.clearSession(folder)))
}

async function list({ env, print, done }: CommandContext, json: boolean): Promise<void> {
  const { readStore } = await import('./group-admin.ts')
  const { groupList } = await import('../app/group-list.ts')
  const config = loadConfig(env)
  const sessions = readStore<Session[]>(config, { read: (store) => groupList(store, config).map(sessionOf), empty: [] })
  print(json ? `${JSON.stringify(sessions, null, 2)}\n` : renderSessions(sessions))
  done(0)
}

function sessionOf({ folder, name, sessionId }: GroupDetail): Session {
  return { folder, name, sessionId }
}

export function renderSessions(sessions: readonly Session[]): string {
  if (sessions.length === 0) return 'There are no groups yet. The first start makes the main group.\n'
  const rows = sessions.map(({ folder, name, sessionId }) => [folder, name, sessionId ?? '- (begins with the next message)'])
  return `${table([['GROUP', 'NAME', 'SESSION'], ...rows]).join('\n')}\n`
}
