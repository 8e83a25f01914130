import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { needProgram } from '../fakes/program.ts'
import { applyToFile, applyToFolder, filesOf, type Inode, type Operation, type Recording, ROOT, type Tree } from './operations.ts'
import { type Syscall, syscallsOf, TRACED } from './syscalls.ts'

/** Written by the kernel on behalf of a memory map, so no call shows it; SQLite makes it anew after every crash. */
export const isSharedMemory = (file: string) => file.endsWith('-shm')

/**
 * Runs a TypeScript program that works on the files below `root`, and records all it does to them. What it writes to stdout
 * is what it tells the world. The record is complete: carried out once more it must give the very files that are there.
 */
export function record({ root, program, args }: { root: string; program: string; args: readonly string[] }): Recording {
  needProgram('strace')
  const start = treeOf(root)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-trace-'))
  try {
    const trace = path.join(folder, 'trace')
    // Only the main thread, which is where SQLite and the synchronous calls of Node work.
    const strace = ['-xx', '-s', '100000000', '-e', `trace=${TRACED.join(',')}`, '-o', trace]
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', program, ...args]
    const { status, stderr } = spawnSync('strace', [...strace, ...node], { encoding: 'utf8', maxBuffer: 1 << 28 })
    if (status !== 0) throw new Error(`the recorded program ended with ${status}: ${stderr}`)
    const recording = { start, operations: new Observer(root, start).operationsOf(syscallsOf(readFileSync(trace, 'latin1'))) }
    assertComplete(root, recording)
    return recording
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function treeOf(root: string): Tree {
  const tree: Tree = { folders: new Map(), files: new Map() }
  let next = ROOT
  const read = (target: string): Inode => {
    const inode = next++
    if (!statSync(target).isDirectory()) tree.files.set(inode, readFileSync(target))
    else tree.folders.set(inode, new Map(readdirSync(target).map((name) => [name, read(path.join(target, name))])))
    return inode
  }
  read(root)
  return tree
}

function assertComplete(root: string, { start, operations }: Recording): void {
  const tree: Tree = {
    folders: new Map([...start.folders].map(([inode, names]) => [inode, new Map(names)])),
    files: new Map(start.files),
  }
  for (const operation of operations) {
    if (operation.type === 'write' || operation.type === 'truncate')
      tree.files.set(operation.inode, applyToFile(tree.files.get(operation.inode) ?? Buffer.alloc(0), operation))
    else if (operation.type !== 'sync' && operation.type !== 'told') {
      const names = tree.folders.get(operation.folder)
      if (names) applyToFolder(names, operation)
      if (operation.type === 'link' && !tree.files.has(operation.inode)) tree.folders.set(operation.inode, new Map())
    }
  }
  const [expected, found] = [filesOf(tree), filesOf(treeOf(root))]
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    if (isSharedMemory(name)) continue
    if (!expected.get(name)?.equals(found.get(name) ?? Buffer.from('missing')))
      throw new Error(`the record of ${name} is not complete`)
  }
}

type OpenFile = { inode: Inode; at: number }

/** Follows names and descriptors through the calls. A call on our files that it does not know is an error, never left out. */
class Observer {
  readonly #root: string
  readonly #names: Map<Inode, Map<string, Inode>>
  readonly #open = new Map<number, OpenFile>()
  readonly #operations: Operation[] = []
  #next: Inode

  constructor(root: string, start: Tree) {
    this.#root = root
    this.#names = new Map([...start.folders].map(([inode, names]) => [inode, new Map(names)]))
    this.#next = start.folders.size + start.files.size
  }

  operationsOf(calls: Iterable<Syscall>): Operation[] {
    for (const call of calls) if (call.result >= 0) this.#observe(call)
    return this.#operations
  }

  #observe({ name, args, result }: Syscall): void {
    const [first, second] = args
    switch (name) {
      case 'openat':
        return this.#openat({ file: text(second), flags: String(args[2]), descriptor: result })
      case 'close':
        this.#open.delete(Number(first))
        return
      case 'write':
        return this.#write({ descriptor: Number(first), bytes: bytes(second).subarray(0, result) })
      case 'pwrite64':
        return this.#write({ descriptor: Number(first), bytes: bytes(second).subarray(0, result), offset: Number(args[3]) })
      case 'ftruncate':
        return this.#onFile(Number(first), (inode) => this.#add({ type: 'truncate', inode, size: Number(second) }))
      case 'fsync':
      case 'fdatasync':
        return this.#onFile(Number(first), (inode) => this.#add({ type: 'sync', inode }))
      case 'mkdir':
        return this.#make(text(first), { isFolder: true })
      case 'unlink':
      case 'rmdir':
        return this.#unlink(text(first))
      case 'rename':
        return this.#rename(text(first), text(second))
      default:
        this.#refuse(name, args)
    }
  }

  #add(operation: Operation): void {
    this.#operations.push(operation)
    if (operation.type === 'link' || operation.type === 'unlink' || operation.type === 'rename')
      applyToFolder(this.#names.get(operation.folder) ?? new Map(), operation)
  }

  #onFile(descriptor: number, act: (inode: Inode) => void): void {
    const file = this.#open.get(descriptor)
    if (file) act(file.inode)
  }

  #openat({ file, flags, descriptor }: { file: string; flags: string; descriptor: number }): void {
    this.#open.delete(descriptor)
    const place = this.#placeOf(file)
    if (place === undefined) return
    let inode = place.inode
    if (inode === undefined) {
      this.#make(file, { isFolder: false })
      inode = this.#placeOf(file)?.inode ?? ROOT
    } else if (flags.includes('O_TRUNC')) this.#add({ type: 'truncate', inode, size: 0 })
    if (flags.includes('O_APPEND')) throw new Error(`${file} is appended to, which is not recorded`)
    this.#open.set(descriptor, { inode, at: 0 })
  }

  #write({ descriptor, bytes, offset }: { descriptor: number; bytes: Buffer; offset?: number }): void {
    const file = this.#open.get(descriptor)
    if (file) this.#add({ type: 'write', inode: file.inode, offset: offset ?? file.at, bytes })
    else if (descriptor === 1) this.#add({ type: 'told', text: bytes.toString() })
    if (file && offset === undefined) file.at += bytes.length
  }

  #make(file: string, { isFolder }: { isFolder: boolean }): void {
    const place = this.#placeOf(file)
    if (place === undefined) return
    const inode = this.#next++
    if (isFolder) this.#names.set(inode, new Map())
    else this.#operations.push({ type: 'truncate', inode, size: 0 })
    this.#add({ type: 'link', folder: place.folder, name: place.name, inode })
  }

  #unlink(file: string): void {
    const place = this.#placeOf(file)
    if (place) this.#add({ type: 'unlink', folder: place.folder, name: place.name })
  }

  #rename(from: string, to: string): void {
    const [old, made] = [this.#placeOf(from), this.#placeOf(to)]
    if (old === undefined && made === undefined) return
    if (old?.inode === undefined || old.folder !== made?.folder)
      throw new Error(`a move between folders is not recorded: ${from}`)
    this.#add({ type: 'rename', folder: old.folder, from: old.name, to: made.name, inode: old.inode })
  }

  /** Where a path below the root stands: its folder, its name there, and what it names; undefined elsewhere. */
  #placeOf(file: string): { folder: Inode; name: string; inode: Inode | undefined } | undefined {
    if (file === this.#root) return { folder: ROOT, name: '.', inode: ROOT }
    if (!file.startsWith(`${this.#root}/`)) return undefined
    const parts = file.slice(this.#root.length + 1).split('/')
    const name = parts.pop() ?? ''
    let folder = ROOT
    for (const part of parts) folder = this.#names.get(folder)?.get(part) ?? missing(file)
    return { folder, name, inode: this.#names.get(folder)?.get(name) }
  }

  #refuse(name: string, args: readonly (string | Buffer)[]): void {
    const ours = args.some((arg) => Buffer.isBuffer(arg) && this.#placeOf(arg.toString()) !== undefined)
    if (ours || this.#open.has(Number(args[0]))) throw new Error(`${name} is not recorded`)
  }
}

function missing(file: string): never {
  throw new Error(`the folder of ${file} was never seen`)
}

const bytes = (arg: string | Buffer | undefined) => (Buffer.isBuffer(arg) ? arg : Buffer.alloc(0))
const text = (arg: string | Buffer | undefined) => bytes(arg).toString()
