/** A file or folder, whatever it is called; the root of what is recorded is 0. */
export type Inode = number
export const ROOT: Inode = 0

/** What a program did to the files below one folder, as the kernel saw it, in its order. */
export type Operation =
  | { type: 'write'; inode: Inode; offset: number; bytes: Buffer }
  | { type: 'truncate'; inode: Inode; size: number }
  /** A name in a folder; a new file or folder begins with one. */
  | { type: 'link'; folder: Inode; name: string; inode: Inode }
  | { type: 'unlink'; folder: Inode; name: string }
  | { type: 'rename'; folder: Inode; from: string; to: string; inode: Inode }
  | { type: 'sync'; inode: Inode }
  /** The program told the world that something is done, so from here on it must be. */
  | { type: 'told'; text: string }

/** Names and contents at one moment. Folders are maps of names. */
export type Tree = { folders: Map<Inode, Map<string, Inode>>; files: Map<Inode, Buffer> }

export type Recording = { start: Tree; operations: Operation[] }

export function applyToFile(content: Buffer, operation: Extract<Operation, { type: 'write' | 'truncate' }>): Buffer {
  if (operation.type === 'truncate') return resized(content, operation.size)
  const { offset, bytes } = operation
  const changed = Buffer.from(resized(content, Math.max(content.length, offset + bytes.length)))
  bytes.copy(changed, offset)
  return changed
}

export function applyToFolder(
  names: Map<string, Inode>,
  operation: Extract<Operation, { type: 'link' | 'unlink' | 'rename' }>,
): void {
  switch (operation.type) {
    case 'link':
      names.set(operation.name, operation.inode)
      return
    case 'unlink':
      names.delete(operation.name)
      return
    case 'rename':
      names.delete(operation.from)
      names.set(operation.to, operation.inode)
  }
}

/** Every file of a tree by its path. */
export function filesOf(tree: Tree): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  const walk = (folder: Inode, prefix: string) => {
    for (const [name, inode] of tree.folders.get(folder) ?? []) {
      if (tree.folders.has(inode)) walk(inode, `${prefix}${name}/`)
      else found.set(prefix + name, tree.files.get(inode) ?? Buffer.alloc(0))
    }
  }
  walk(ROOT, '')
  return found
}

export function resized(content: Buffer, size: number): Buffer {
  if (size <= content.length) return content.subarray(0, size)
  return Buffer.concat([content, Buffer.alloc(size - content.length)])
}
