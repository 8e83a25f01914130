import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { errorText } from './domain/errors.ts'
import type { ExtraMount } from './domain/group.ts'

/** A host folder that may be mounted: `identity` is what the container must find under `target` before its agent starts. */
export type AllowedMount = {
  type: 'allowed'
  source: string
  target: string
  readonly: boolean
  identity: Identity
  /** Why it is read-only although writing was asked for. */
  note?: string
}
export type RefusedMount = { type: 'refused'; hostPath: string; why: string }
export type MountVerdict = AllowedMount | RefusedMount
/** As decimal text: inodes may exceed what a number holds. */
export type Identity = { dev: string; ino: string }

/** What decides beside the allowlist. */
export type MountRules = {
  /** `~/.config/nanoclaw/mount-allowlist.json`: outside of every folder that is ever mounted. */
  allowlistFile: string
  userHome: string
  /** Folders of this installation: nothing in, above or below them is mounted by a wish. */
  own: readonly string[]
  uid: number
  gid: number
}

const allowlist = z.object({
  allowedRoots: z.array(
    z.object({ path: z.string().min(1), allowReadWrite: z.boolean().default(false), description: z.string().optional() }),
  ),
  blockedPatterns: z.array(z.string().min(1)).default([]),
  nonMainReadOnly: z.boolean().default(true),
})
export type Allowlist = z.output<typeof allowlist>

/** Whatever the allowlist says, no mount has one of these in it. */
export const ALWAYS_BLOCKED: readonly string[] = [
  ...['.ssh', '.gnupg', '.gpg', '.aws', '.azure', '.gcloud', '.kube', '.docker', 'credentials', '.env', '.netrc', '.npmrc'],
  ...['.pypirc', 'id_rsa', 'id_ed25519', 'private_key', '.secret'],
]
/** Where the system keeps itself; a container's user has no business there. */
const SYSTEM = ['/boot', '/dev', '/etc', '/proc', '/root', '/run', '/sys', '/var/lib', '/var/run']
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
/** How far below a folder we look for what must not be mounted. Deeper than that nobody keeps the keys of a project. */
const SEARCH_DEPTH = 3
const SEARCH_ENTRIES = 100_000

/** Reads the allowlist anew each time, so that an edit takes effect at once. */
export function readAllowlist(file: string): { type: 'read'; list: Allowlist } | { type: 'unusable'; why: string } {
  try {
    return { type: 'read', list: allowlist.parse(JSON.parse(readFileSync(file, 'utf8'))) }
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = missing
      ? `there is no allowlist (${file}), and without one no extra folder is mounted`
      : `the allowlist ${file} cannot be used, so no extra folder is mounted: ${problemOf(error)}`
    return { type: 'unusable', why }
  }
}

function problemOf(error: unknown): string {
  if (!(error instanceof z.ZodError)) return errorText(error)
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
}

/** Judges every folder that a group wants beyond its own. What is not clearly allowed is refused. */
export function judgeMounts(wishes: readonly ExtraMount[], who: { isMain: boolean }, rules: MountRules): MountVerdict[] {
  const read = wishes.length > 0 ? readAllowlist(rules.allowlistFile) : undefined
  const taken = new Set<string>()
  return wishes.map((wish): MountVerdict => {
    const refused = (why: string): MountVerdict => ({ type: 'refused', hostPath: wish.hostPath, why })
    if (read?.type !== 'read') return refused(read?.why ?? 'there is no allowlist')
    const name = wish.containerPath ?? path.basename(wish.hostPath)
    if (!NAME.test(name)) return refused(`"${name}" is no name for it: letters, digits, "_", "-" and "." in one part, at most 64`)
    if (taken.has(name.toLowerCase())) return refused(`another mount is called "${name}" already`)
    const verdict = judge({ wish, name, list: read.list, who, rules })
    if (verdict.type === 'allowed') taken.add(name.toLowerCase())
    return verdict
  })
}

type Case = { wish: ExtraMount; name: string; list: Allowlist; who: { isMain: boolean }; rules: MountRules }

function judge({ wish, name, list, who, rules }: Case): MountVerdict {
  const refused = (why: string): MountVerdict => ({ type: 'refused', hostPath: wish.hostPath, why })
  const given = expanded(wish.hostPath, rules.userHome)
  if (!path.isAbsolute(given) || /[\p{Cc}]/u.test(given)) return refused('it must be an absolute path, or start with ~/')
  const source = realPathOf(given)
  if (source === undefined) return refused('there is no such folder')
  const blocked = [...ALWAYS_BLOCKED, ...list.blockedPatterns]
  const problem =
    blockedPart({ given, source, blocked }) ??
    systemProblem(source, rules) ??
    ownProblem(source, rules) ??
    strangersProblem(source, rules) ??
    contentProblem({ source, blocked, rules })
  if (problem !== undefined) return refused(problem)
  const root = list.allowedRoots.find((one) => isInside(source, realPathOf(expanded(one.path, rules.userHome))))
  if (!root) return refused(`no allowed root of ${rules.allowlistFile} holds it`)
  const { dev, ino } = statSync(source, { bigint: true })
  const identity = { dev: String(dev), ino: String(ino) }
  const note = wish.readonly === false ? whyReadOnly({ root, list, who }) : undefined
  const readonly = wish.readonly !== false || note !== undefined
  return { type: 'allowed', source, target: `/workspace/extra/${name}`, readonly, identity, ...(note ? { note } : {}) }
}

function whyReadOnly({ root, list, who }: { root: Allowlist['allowedRoots'][number]; list: Allowlist; who: Case['who'] }) {
  if (!root.allowReadWrite) return `writing is not allowed below ${root.path}`
  return list.nonMainReadOnly && !who.isMain ? 'groups other than main read only' : undefined
}

export function expanded(given: string, userHome: string): string {
  return path.normalize(given === '~' || given.startsWith('~/') ? path.join(userHome, given.slice(1)) : given)
}

function realPathOf(file: string): string | undefined {
  try {
    const real = realpathSync(file)
    return statSync(real).isDirectory() || statSync(real).isFile() ? real : undefined
  } catch {
    return undefined
  }
}

/** Is `file` this folder, or in it? Parts are compared as parts: `/a/bc` is not in `/a/b`. */
function isInside(file: string, folder: string | undefined): boolean {
  if (folder === undefined) return false
  const relative = path.relative(folder, file)
  return relative === '' || !(relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative))
}

/** A blocked name, however it is written, and its variants: `.env.local`, `id_rsa.pub`. */
function isBlocked(part: string, blocked: readonly string[]): boolean {
  const plain = part.normalize('NFKC').toLowerCase()
  return blocked.some((name) => plain === name.toLowerCase() || plain.startsWith(`${name.toLowerCase()}.`))
}

function blockedPart({ given, source, blocked }: { given: string; source: string; blocked: readonly string[] }) {
  const part = [...given.split(path.sep), ...source.split(path.sep)].find((one) => isBlocked(one, blocked))
  return part === undefined ? undefined : `"${part}" is never mounted`
}

/** A home may lie in such a place: root's does. */
function systemProblem(source: string, { userHome }: MountRules): string | undefined {
  const places = SYSTEM.filter((one) => !isInside(realPathOf(userHome) ?? userHome, one))
  const place = source === '/' ? '/' : places.find((one) => isInside(source, one))
  return place === undefined ? undefined : `${place} belongs to the system`
}

function ownProblem(source: string, { own, allowlistFile }: MountRules): string | undefined {
  const places = [...own, path.dirname(allowlistFile)].map((one) => realPathOf(one) ?? one)
  const place = places.find((one) => isInside(source, one) || isInside(one, source))
  return place === undefined ? undefined : `it holds, or lies in, what NanoClaw itself needs (${place})`
}

/** Whoever may write in a folder above could put something else in its place after we looked. */
function strangersProblem(source: string, { uid, gid }: MountRules): string | undefined {
  for (let folder = path.dirname(source), entry = source; ; entry = folder, folder = path.dirname(folder)) {
    const above = statSync(folder)
    const sticky = (above.mode & 0o1000) !== 0 && [0, uid].includes(lstatSync(entry).uid)
    const byOthers = (above.mode & 0o002) !== 0 || ((above.mode & 0o020) !== 0 && ![0, gid].includes(above.gid))
    if (![0, uid].includes(above.uid)) return `${folder} belongs to somebody else, who could exchange it`
    if (byOthers && !sticky) return `others can write in ${folder}, and so exchange it`
    if (folder === path.dirname(folder)) return undefined
  }
}

/** The first blocked name in the folder, so far as it is near the top. */
function contentProblem({ source, blocked, rules }: { source: string; blocked: readonly string[]; rules: MountRules }) {
  const home = realPathOf(rules.userHome)
  if (home !== undefined && isInside(home, source)) return `it holds the home folder ${home}`
  const found = search(source, blocked)
  return found === undefined ? undefined : `${found}; mount a folder that has none of it in it, or move it away`
}

function search(source: string, blocked: readonly string[]): string | undefined {
  if (!statSync(source).isDirectory()) return undefined
  let left = SEARCH_ENTRIES
  const folders = [{ folder: source, depth: 1 }]
  for (let next = folders.shift(); next; next = folders.shift()) {
    for (const entry of entriesOf(next.folder)) {
      if (isBlocked(entry.name, blocked)) return `${path.join(next.folder, entry.name)} is never mounted`
      if (left-- === 0) return `there is too much in it to look for what must not be mounted`
      if (entry.isDirectory() && next.depth < SEARCH_DEPTH)
        folders.push({ folder: path.join(next.folder, entry.name), depth: next.depth + 1 })
    }
  }
  return undefined
}

/** What we may not list, the container's user may not list either. */
function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}
