import { readFileSync } from 'node:fs'
import path from 'node:path'
import { groupList } from '../../app/group-list.ts'
import { PROJECT } from '../../config.ts'
import { walk } from '../../hostile-tree.ts'
import { readStore } from '../group-admin.ts'
import { statOf } from './files.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'
import type { Patient } from './patient.ts'

/** More than a group ever has; who puts in more is not listened to. */
const MOST_ENTRIES = 20_000

export type Known = { folder: string; sessionId: string | null }

export function knownGroups({ config }: Patient): Known[] {
  return readStore<Known[]>(config, { read: (store) => groupList(store, config), empty: [] })
}

export const groups: Check = {
  id: 'groups',
  look: async (patient) => {
    const at = (folder: string) => path.join(patient.config.root, 'groups', folder)
    const kindOf = (folder: string) => {
      const stat = statOf(at(folder))
      return {
        folder,
        kind: stat === undefined ? ('missing' as const) : stat.isDirectory() ? ('folder' as const) : ('other' as const),
      }
    }
    if (kindOf('.').kind === 'missing') return skip('There is no groups/ yet: the first start makes it')
    return judgeGroups(['main', 'global', ...knownGroups(patient).map(({ folder }) => folder)].map(kindOf))
  },
}

export function judgeGroups(found: readonly { folder: string; kind: 'folder' | 'missing' | 'other' }[]): Finding {
  const others = found.filter(({ kind }) => kind === 'other').map(({ folder }) => `groups/${folder}`)
  if (others.length > 0) {
    return fail({
      what: `No folder, but a link or a file: ${others.join(', ')}`,
      why: 'It is not used, so the group cannot work.',
      fix: 'Look at it, and remove it if you did not make it',
    })
  }
  const missing = [...new Set(found.filter(({ kind }) => kind === 'missing').map(({ folder }) => `groups/${folder}`))]
  if (missing.length === 0) return ok(`Folders are there, of groups: ${new Set(found.map(({ folder }) => folder)).size - 1}`)
  return warn({
    what: `Missing: ${missing.join(', ')}`,
    why: 'It is made again, empty, when the group works.',
    fix: 'Restore it from a backup if it held something',
  })
}

/** Claude Code looks for its sessions at home, so that is where they must be mounted. */
export const sessionMount: Check = {
  id: 'session-mount',
  look: async () => judgeSessionMount(readFileSync(path.join(PROJECT, 'src', 'container-runner.ts'), 'utf8')),
}

export function judgeSessionMount(runner: string): Finding {
  if (runner.includes('/home/node/.claude') && !runner.includes("'/root/.claude"))
    return ok('Sessions are mounted at /home/node/.claude')
  return fail({
    what: 'Sessions are not mounted at /home/node/.claude',
    why: 'No conversation would go on.',
    fix: 'Restore src/container-runner.ts:  git checkout src/container-runner.ts',
  })
}

type Session = { folder: string; sessionId: string; kept: boolean }

/** A session whose transcript is gone begins anew with the next message, and says so. */
export const sessions: Check = {
  id: 'sessions',
  look: async (patient) => judgeSessions(await storedSessions(patient)),
  repair: async (patient) => {
    const { withGroupAdmin } = await import('../group-admin.ts')
    const stale = (await storedSessions(patient)).filter(({ kept }) => !kept)
    for (const { folder } of stale) await withGroupAdmin({ config: patient.config, use: (admin) => admin.clearSession(folder) })
    return `Cleared: ${stale.map(({ folder }) => folder).join(', ')}`
  },
}

async function storedSessions(patient: Patient): Promise<Session[]> {
  const stored: Session[] = []
  for (const { folder, sessionId } of knownGroups(patient)) {
    if (sessionId !== null) stored.push({ folder, sessionId, kept: await hasTranscript(patient, { folder, sessionId }) })
  }
  return stored
}

/**
 * An agent can write there, so it is walked like everything that it can write. Rejects when the folder cannot be looked
 * through: a transcript that was not found then may be there.
 */
async function hasTranscript(
  { config }: Patient,
  { folder, sessionId }: { folder: string; sessionId: string },
): Promise<boolean> {
  const base = path.join(config.root, 'data', 'sessions', folder, '.claude', 'projects')
  if (!statOf(base)?.isDirectory()) return false
  let failure: Error | undefined
  for await (const entry of walk(base, { maxEntries: MOST_ENTRIES, deep: true })) {
    if (entry.type === 'file' && entry.name === `${sessionId}.jsonl`) return true
    if (entry.type === 'host-failure') failure ??= entry.error
    if (entry.type === 'refused' && entry.parts.length === 0) failure ??= new Error(`${base}: ${entry.why}`)
  }
  if (failure) throw failure
  return false
}

export function judgeSessions(stored: readonly Session[]): Finding {
  const stale = stored.filter(({ kept }) => !kept).map(({ folder }) => folder)
  if (stale.length === 0)
    return ok(stored.length === 0 ? 'No conversation has begun yet' : `Conversations that can go on: ${stored.length}`)
  const why = 'The next message begins a new conversation there.'
  return warn({
    what: `The transcript is gone in: ${stale.join(', ')}`,
    why,
    fix: `./nanoclaw sessions clear ${stale[0]}   (or restore data/sessions from a backup)`,
  })
}

export const runLogs: Check = {
  id: 'run-logs',
  look: async (patient) => {
    const logs: RunLogFile[] = []
    for (const { folder } of knownGroups(patient)) {
      const base = path.join(patient.config.root, 'groups', folder, 'logs')
      if (!statOf(base)?.isDirectory()) continue
      for await (const entry of walk(base, { maxEntries: MOST_ENTRIES })) {
        if (entry.type === 'host-failure') throw entry.error
        if (entry.type === 'file' && entry.name.startsWith('container-'))
          logs.push({ ...entry, name: `groups/${folder}/logs/${entry.name}` })
      }
    }
    return judgeRunLogs(logs)
  },
}

type RunLogFile = { name: string; changedAt: bigint; allocated: number }

const MUCH_BYTES = 2e9

export function judgeRunLogs(logs: readonly RunLogFile[]): Finding {
  const newest = logs.reduce<RunLogFile | undefined>((a, b) => (a && a.changedAt > b.changedAt ? a : b), undefined)
  if (!newest) return ok('No container has run yet')
  const bytes = logs.reduce((sum, { allocated }) => sum + allocated, 0)
  const what = `${logs.length} logs of runs, ${Math.ceil(bytes / 1e6)} MB; the newest is ${newest.name}`
  if (bytes <= MUCH_BYTES) return ok(what)
  return warn({
    what,
    why: 'The host removes the oldest of each group; these are more than it would keep.',
    fix: 'Start the host, or remove the oldest',
  })
}
