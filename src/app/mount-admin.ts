import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Group } from '../domain/group.ts'
import { writeFileDurably } from '../files.ts'
import { type Allowlist, expanded, judgeMounts, type MountRules, type MountVerdict, readAllowlist } from '../mount-security.ts'
import { done, type GroupChange, refused } from './group-change.ts'

export type RootWish = { path: string; readWrite: boolean; description?: string | undefined }

/** What the owner lets groups have of this machine: the allowlist, as a file that a person may edit as well. */
export class MountAdmin {
  readonly #rules: MountRules

  constructor(rules: MountRules) {
    this.#rules = rules
  }

  /** Folders below `path` may be mounted from now on, or in another way than before. */
  allow({ path: wished, readWrite, description }: RootWish): GroupChange {
    const read = this.#read()
    if (read.type === 'refused') return read
    const file = expanded(wished, this.#rules.userHome)
    if (!path.isAbsolute(file)) return refused(`${wished} must be an absolute path, or start with ~/.`)
    const others = read.list.allowedRoots.filter((one) => expanded(one.path, this.#rules.userHome) !== file)
    const root = { path: wished, allowReadWrite: readWrite, ...(description === undefined ? {} : { description }) }
    this.#write({ ...read.list, allowedRoots: [...others, root] })
    const groups = readWrite && read.list.nonMainReadOnly ? ['Groups other than main read only: nonMainReadOnly is set.'] : []
    return done(`Folders below ${wished} may be mounted${readWrite ? ', for writing too' : ', to be read'}.`, [
      ...groups,
      'A group gets one by "./nanoclaw groups set FOLDER --config \'{"additionalMounts":[{"hostPath":"..."}]}\'".',
    ])
  }

  remove(wished: string): GroupChange {
    const read = this.#read()
    if (read.type === 'refused') return read
    const file = expanded(wished, this.#rules.userHome)
    const others = read.list.allowedRoots.filter((one) => expanded(one.path, this.#rules.userHome) !== file)
    if (others.length === read.list.allowedRoots.length) return refused(`${wished} is not one of the allowed roots.`)
    this.#write({ ...read.list, allowedRoots: others })
    return done(`Nothing below ${wished} is mounted any more, unless another root allows it.`, [
      'A container that has it keeps it until it ends; the next message of its group gets a fresh one.',
    ])
  }

  /** Keeps the allowlist as it is now. Returns the function that puts it back. */
  keep(): () => void {
    const { allowlistFile } = this.#rules
    // What cannot be read is not changed either.
    if (this.#read().type === 'refused') return () => {}
    const textNow = () => (existsSync(allowlistFile) ? readFileSync(allowlistFile, 'utf8') : undefined)
    const before = textNow()
    return () => {
      if (textNow() === before) return
      if (before === undefined) rmSync(allowlistFile)
      else writeFileDurably(allowlistFile, { text: before, mode: 0o600 })
    }
  }

  #read(): { type: 'read'; list: Allowlist } | { type: 'refused'; why: string } {
    const read = readAllowlist(this.#rules.allowlistFile)
    if (read.type === 'read') return read
    if (read.missing) return { type: 'read', list: { allowedRoots: [], blockedPatterns: [], nonMainReadOnly: true } }
    return refused(`Nothing was changed: ${read.why}.`)
  }

  #write(list: Allowlist): void {
    const { allowlistFile } = this.#rules
    mkdirSync(path.dirname(allowlistFile), { recursive: true, mode: 0o700 })
    writeFileDurably(allowlistFile, { text: `${JSON.stringify(list, null, 2)}\n`, mode: 0o600 })
  }
}

/** The allowlist as it is, and what each group gets by it of what it wants. */
export type MountList = {
  allowlist: string
  problem: string | null
  roots: Allowlist['allowedRoots']
  groups: { folder: string; mounts: MountVerdict[] }[]
}

export async function mountList(groups: readonly Group[], rules: MountRules): Promise<MountList> {
  const read = readAllowlist(rules.allowlistFile)
  const wanting = groups.filter(({ config }) => (config.additionalMounts ?? []).length > 0)
  const judged = wanting.map(async (group) => ({
    folder: group.folder,
    mounts: await judgeMounts(group.config.additionalMounts ?? [], group, rules),
  }))
  return {
    allowlist: rules.allowlistFile,
    problem: read.type === 'read' ? null : read.why,
    roots: read.type === 'read' ? read.list.allowedRoots : [],
    groups: await Promise.all(judged),
  }
}
