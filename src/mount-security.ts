import { constants, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { type FileHandle, open, opendir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { errorText } from './domain/errors.ts'
import type { ExtraMount } from './domain/group.ts'
import { assertOfTheFile } from './domain/host-failure.ts'

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
/** As decimal text: inodes may exceed what a number holds. Without `dev` where the engine runs in a machine of its own. */
export type Identity = { dev?: string; ino: string }

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
export function readAllowlist(
  file: string,
): { type: 'read'; list: Allowlist } | { type: 'unusable'; missing: boolean; why: string } {
  try {
    return { type: 'read', list: allowlist.parse(JSON.parse(readFileSync(file, 'utf8'))) }
  } catch (error) {
    assertOfTheFile(error)
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = missing
      ? `there is no allowlist (${file}), and without one no extra folder is mounted`
      : `the allowlist ${file} cannot be used, so no extra folder is mounted: ${problemOf(error)}`
    return { type: 'unusable', missing, why }
  }
}

function problemOf(error: unknown): string {
  if (!(error instanceof z.ZodError)) return errorText(error)
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
}

/**
 * Judges every folder that a group wants beyond its own. What is not clearly allowed is refused. Rejects when the host fails, with
 * too few descriptors say: what could not be looked at is neither allowed nor refused.
 */
export async function judgeMounts(
  wishes: readonly ExtraMount[],
  who: { isMain: boolean },
  rules: MountRules,
): Promise<MountVerdict[]> {
  if (wishes.length === 0) return []
  const read = readAllowlist(rules.allowlistFile)
  const taken = new Set<string>()
  const verdicts: MountVerdict[] = []
  for (const wish of wishes) {
    const name = wish.containerPath ?? path.basename(wish.hostPath)
    const problem = read.type === 'unusable' ? read.why : nameProblem(name, taken)
    const list = read.type === 'read' ? read.list : NOTHING_ALLOWED
    const verdict = problem === undefined ? await judge({ wish, name, list, who, rules }) : refusal(wish, problem)
    if (verdict.type === 'allowed') taken.add(name.toLowerCase())
    verdicts.push(verdict)
  }
  return verdicts
}

const NOTHING_ALLOWED: Allowlist = { allowedRoots: [], blockedPatterns: [], nonMainReadOnly: true }

function nameProblem(name: string, taken: ReadonlySet<string>): string | undefined {
  if (!NAME.test(name)) return `"${name}" is no name for it: letters, digits, "_", "-" and "." in one part, at most 64`
  return taken.has(name.toLowerCase()) ? `another mount is called "${name}" already` : undefined
}

function refusal({ hostPath }: ExtraMount, why: string): RefusedMount {
  return { type: 'refused', hostPath, why }
}

type Case = { wish: ExtraMount; name: string; list: Allowlist; who: { isMain: boolean }; rules: MountRules }

async function judge(one: Case): Promise<MountVerdict> {
  const { wish, rules } = one
  const given = expanded(wish.hostPath, rules.userHome)
  if (!path.isAbsolute(given) || /[\p{Cc}]/u.test(given)) return refusal(wish, 'it must be an absolute path, or start with ~/')
  const held = await hold(given)
  if (held.type === 'refused') return refusal(wish, held.why)
  try {
    return await judgeHeld(one, { ...held, given })
  } finally {
    await held.handle.close()
  }
}

/** What is judged is what is held: whatever is put in its place meanwhile has another identity. */
async function judgeHeld({ wish, name, list, who, rules }: Case, { handle, source, given }: Held): Promise<MountVerdict> {
  const blocked = [...ALWAYS_BLOCKED, ...list.blockedPatterns]
  const problem =
    blockedPart({ given, source, blocked }) ??
    systemProblem(source, rules) ??
    ownProblem(source, rules) ??
    strangersProblem(source, rules) ??
    (await contentProblem({ source, blocked, rules }))
  if (problem !== undefined) return refusal(wish, problem)
  const root = list.allowedRoots.find((one) => isInside(source, realPathOf(expanded(one.path, rules.userHome))))
  if (!root) return refusal(wish, `no allowed root of ${rules.allowlistFile} holds it`)
  const note = wish.readonly === false ? whyReadOnly({ root, list, who }) : undefined
  const readonly = wish.readonly !== false || note !== undefined
  const identity = await identityOf(handle)
  return { type: 'allowed', source, target: `/workspace/extra/${name}`, readonly, identity, ...(note ? { note } : {}) }
}

type Held = { handle: FileHandle; source: string; given: string }

/** Opens what a path leads to, so that it can be named and judged as one and the same thing. */
async function hold(given: string): Promise<({ type: 'held' } & Omit<Held, 'given'>) | { type: 'refused'; why: string }> {
  const real = realPathOf(given)
  if (real === undefined) return { type: 'refused', why: 'there is no such folder' }
  try {
    const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    return { type: 'held', handle, source: LINUX ? await readlink(`/proc/self/fd/${handle.fd}`) : real }
  } catch (error) {
    assertOfTheFile(error)
    return { type: 'refused', why: `it cannot be opened: ${errorText(error)}` }
  }
}

const LINUX = process.platform === 'linux'

/** Elsewhere the engine's machine has devices of its own. */
async function identityOf(handle: FileHandle): Promise<Identity> {
  const { dev, ino } = await handle.stat({ bigint: true })
  return { ...(LINUX ? { dev: String(dev) } : {}), ino: String(ino) }
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
  } catch (error) {
    assertOfTheFile(error)
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
async function contentProblem({ source, blocked, rules }: { source: string; blocked: readonly string[]; rules: MountRules }) {
  const home = realPathOf(rules.userHome)
  if (home !== undefined && isInside(home, source)) return `it holds the home folder ${home}`
  const found = await findBlocked({ source, blocked })
  return found === undefined ? undefined : `${found}; mount a folder that has none of it in it, or move it away`
}

type Search = { source: string; blocked: readonly string[]; maxEntries?: number }

/** What in a folder must not be mounted, in words; the folder itself is not judged. */
export async function findBlocked({ source, blocked, maxEntries = SEARCH_ENTRIES }: Search): Promise<string | undefined> {
  let left = maxEntries
  const folders = [{ folder: source, depth: 1 }]
  for (let next = folders.shift(); next; next = folders.shift()) {
    for await (const entry of entriesOf(next.folder)) {
      if (isBlocked(entry.name, blocked)) return `${path.join(next.folder, entry.name)} is never mounted`
      if (left-- === 0) return 'there is too much in it to look for what must not be mounted'
      if (entry.isDirectory() && next.depth < SEARCH_DEPTH)
        folders.push({ folder: path.join(next.folder, entry.name), depth: next.depth + 1 })
    }
  }
  return undefined
}

/** What we may not list, the container's user may not list either; a file has nothing in it. */
async function* entriesOf(folder: string) {
  const opened = await opendir(folder).catch(assertOfTheFile)
  if (opened) yield* opened
}

/** What the agent is told of the folders it has beside its own, and of those it does not have. */
export function mountsText(verdicts: readonly MountVerdict[]): string | undefined {
  if (verdicts.length === 0) return undefined
  const lines = verdicts.map((verdict) => {
    if (verdict.type === 'refused') return `- ${verdict.hostPath} is not mounted: ${verdict.why}.`
    const mode = verdict.readonly ? `read-only${verdict.note ? `: ${verdict.note}` : ''}` : 'read-write'
    return `- ${verdict.target} (${mode})`
  })
  return ['<mounts>', ...lines, '</mounts>'].join('\n')
}

/** Changes when the allowlist does: a container that was given folders by another one is out of date. */
export function allowlistStamp(file: string): string {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stat ? `${stat.ino}-${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}` : 'none'
}
