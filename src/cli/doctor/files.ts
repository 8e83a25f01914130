import { chmodSync, constants, lstatSync, type Stats } from 'node:fs'
import { access } from 'node:fs/promises'
import path from 'node:path'
import { type Check, type Finding, ok, skip, warn } from './finding.ts'

export const root: Check = { id: 'root', look: async () => judgeUser({ uid: process.getuid?.() ?? 1000 }) }

export function judgeUser({ uid }: { uid: number }): Finding {
  if (uid !== 0) return ok('NanoClaw does not run as root')
  const why = 'A mistake in the host would then be one of root.'
  return warn({
    what: 'This is root',
    why,
    fix: 'Give it a user of its own, in the group docker; see ./nanoclaw service install',
  })
}

/** What holds secrets, and who else may read it. */
export const secrets: Check = {
  id: 'secrets',
  look: async ({ config }) => judgeSecrets(secretFiles(config.root).flatMap((file) => withMode(file))),
  repair: async ({ config }) => {
    const open = secretFiles(config.root)
      .flatMap((file) => withMode(file))
      .filter(isOpen)
    for (const { file } of open) chmodSync(file, 0o600)
    return `Only you may read them now: ${open.map(({ file }) => file).join(', ')}`
  },
}

function secretFiles(root: string): string[] {
  return [['.env'], ['data', 'env', 'env'], ['store', 'messages.db'], ['store', 'auth', 'whatsapp.db']].map((parts) =>
    path.join(root, ...parts),
  )
}

type FileMode = { file: string; mode: number }

function isOpen({ mode }: FileMode): boolean {
  return (mode & 0o077) !== 0
}

/** Nothing for what is not there, or is a link: that is for whoever made it. */
function withMode(file: string): FileMode[] {
  const stat = statOf(file)
  return stat?.isFile() ? [{ file, mode: stat.mode & 0o777 }] : []
}

export function judgeSecrets(files: readonly FileMode[]): Finding {
  const open = files.filter(isOpen).map(({ file }) => file)
  if (open.length === 0) return ok('What holds secrets is readable for you alone')
  const why = 'Other users of this machine can read your login or your chats.'
  return warn({ what: `Others may read ${open.join(', ')}`, why, fix: `chmod 600 ${open.join(' ')}` })
}

export const envFile: Check = {
  id: 'env-file',
  look: async ({ config }) =>
    judgeEnvFile({ there: statOf(path.join(config.root, 'data', 'env', 'env')) !== undefined, credentials: config.credentials }),
}

export function judgeEnvFile({ there, credentials }: { there: boolean; credentials: 'gateway' | 'mount' }): Finding {
  if (there) return ok('data/env/env is there')
  if (credentials === 'gateway') return skip('data/env/env is not there yet: the first run writes it, and agents do not need it')
  return warn({
    what: 'data/env/env is not there',
    why: 'Containers take the login from it (CREDENTIALS=mount).',
    fix: 'The first run writes it: say something to the assistant',
  })
}

/** Undefined for what is not there. */
export function statOf(file: string): Stats | undefined {
  return lstatSync(file, { throwIfNoEntry: false })
}

export const home: Check = {
  id: 'home',
  look: async ({ config: { root } }) => {
    await access(root, constants.W_OK)
    return ok(`State is kept in ${root}`)
  },
}
