import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { type Check, type Finding, ok, warn } from './finding.ts'

const DAY_MS = 86_400_000

export const backups: Check = {
  id: 'backups',
  look: async ({ config: { backup } }) =>
    judgeBackups({
      folder: backup.folder,
      newest: backup.folder === undefined ? undefined : newestIn(backup.folder),
      now: Date.now(),
    }),
}

/** When the newest backup was written; undefined for none, and for a folder that is not there. */
function newestIn(folder: string): number | undefined {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return undefined
  const times = readdirSync(folder)
    .filter((name) => /^nanoclaw-.*\.tar\.gz(\.enc)?$/.test(name))
    .map((name) => statSync(path.join(folder, name)).mtimeMs)
  return times.length === 0 ? undefined : Math.max(...times)
}

export function judgeBackups({
  folder,
  newest,
  now,
}: {
  folder: string | undefined
  newest: number | undefined
  now: number
}): Finding {
  if (folder === undefined) {
    const why = 'When this disk dies, so do all chats, memories and logins.'
    return warn({
      what: 'Nothing is backed up',
      why,
      fix: 'Put BACKUP_FOLDER=/another/disk into .env, then ./nanoclaw service install',
    })
  }
  const days = newest === undefined ? undefined : Math.floor((now - newest) / DAY_MS)
  if (days !== undefined && days <= 1) return ok(`The newest backup in ${folder} is ${days === 0 ? 'of today' : 'a day old'}`)
  const what = days === undefined ? `There is no backup in ${folder}` : `The newest backup in ${folder} is ${days} days old`
  return warn({ what, why: 'The host makes one a day while it runs.', fix: './nanoclaw status says what is in the way' })
}
