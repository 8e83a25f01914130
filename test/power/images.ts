import { applyToFile, applyToFolder, type Inode, type Operation, type Recording, type Tree } from './operations.ts'
import { type Random, randomFrom } from './random.ts'

/** Disks keep or lose these as one. */
const SECTOR = 512

/** What a power cut does with all that was not synced: loses it, keeps it, or each part by chance from a seed. */
export type Fate = 'lost' | 'kept' | { seed: number }

type Change = Exclude<Operation, { type: 'sync' | 'told' }>

/**
 * A disk with a cache that forgets. It is stricter than any file system: what is written counts when that very file was
 * synced, a name when its folder was; of the rest every part may be there or not, in any order. (ext4 keeps the order of
 * names, and syncs a new file's name with the file.)
 */
export class ForgetfulDisk {
  readonly #safe: Tree
  readonly #unsafe = new Map<Inode, Change[]>()

  constructor({ start }: Pick<Recording, 'start'>) {
    this.#safe = copyOf(start)
  }

  do(operation: Operation): void {
    if (operation.type === 'told') return
    if (operation.type === 'sync') return this.#sync(operation.inode)
    const inode = 'folder' in operation ? operation.folder : operation.inode
    this.#unsafe.set(inode, [...(this.#unsafe.get(inode) ?? []), operation])
  }

  #sync(inode: Inode): void {
    for (const change of this.#unsafe.get(inode) ?? []) carryOut(this.#safe, change)
    this.#unsafe.delete(inode)
  }

  /** What is found when the power comes back. */
  after(fate: Fate): Tree {
    const tree = copyOf(this.#safe)
    const chance = typeof fate === 'object' ? new Chance(randomFrom(fate.seed)) : undefined
    for (const change of [...this.#unsafe.values()].flat())
      for (const part of chance ? chance.leftOf(change, tree) : fate === 'kept' ? [change] : []) carryOut(tree, part)
    // A name that survived without anything behind it is an empty file, or folder.
    for (const names of [...tree.folders.values()])
      for (const inode of names.values()) if (!tree.files.has(inode) && !tree.folders.has(inode)) this.#addEmpty(tree, inode)
    return tree
  }

  #addEmpty(tree: Tree, inode: Inode): void {
    const isFile = this.#unsafe.get(inode)?.some(({ type }) => type === 'write' || type === 'truncate') ?? false
    if (isFile) tree.files.set(inode, Buffer.alloc(0))
    else tree.folders.set(inode, new Map())
  }
}

/** What chance leaves of changes that were not synced. How much is lost is drawn first, so that all mixtures occur. */
class Chance {
  readonly #random: Random
  readonly #keep: number
  readonly #tear: number

  constructor(random: Random) {
    this.#random = random
    this.#keep = random.pick([0.1, 0.5, 0.9])
    this.#tear = random.pick([0, 0.3, 0.8])
  }

  leftOf(change: Change, tree: Tree): Change[] {
    if (change.type === 'write' && this.#random.chance(this.#tear)) return this.#torn(change, tree)
    return this.#random.chance(this.#keep) ? [change] : []
  }

  /** Some sectors arrive. Where the file grew over one that did not, there is nothing, or what an older file left there. */
  #torn({ inode, offset, bytes }: Extract<Change, { type: 'write' }>, tree: Tree): Change[] {
    const end = offset + bytes.length
    const parts: Change[] = []
    for (let from = offset; from < end; from = nextSector(from)) {
      const sector = bytes.subarray(from - offset, Math.min(nextSector(from), end) - offset)
      if (this.#random.chance(this.#keep)) parts.push({ type: 'write', inode, offset: from, bytes: sector })
      else if (from >= (tree.files.get(inode)?.length ?? 0) && this.#random.chance(0.2))
        parts.push({ type: 'write', inode, offset: from, bytes: this.#random.bytes(sector.length) })
    }
    return parts
  }
}

const nextSector = (offset: number) => (Math.floor(offset / SECTOR) + 1) * SECTOR

function carryOut(tree: Tree, change: Change): void {
  if (change.type === 'write' || change.type === 'truncate') {
    tree.files.set(change.inode, applyToFile(tree.files.get(change.inode) ?? Buffer.alloc(0), change))
    return
  }
  const names = tree.folders.get(change.folder) ?? new Map<string, Inode>()
  tree.folders.set(change.folder, names)
  applyToFolder(names, change)
}

function copyOf({ folders, files }: Tree): Tree {
  return { folders: new Map([...folders].map(([inode, names]) => [inode, new Map(names)])), files: new Map(files) }
}
