import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type ContainerUser, ensureFolder, handOver } from './container/folders.ts'
import { AppError } from './domain/errors.ts'
import { syncToDisk, writeFileDurably } from './files.ts'

/**
 * What main may read of the project: the top-level entries that git tracks, or that a release lists in `files`.
 * Never a dotfile, never the folder itself: whatever else lies there (`.env`, `store/`) is the owner's.
 */
export function projectEntries(project: string): string[] {
  const names = trackedByGit(project) ?? listedInPackage(project)
  return names.filter((name) => !name.startsWith('.') && name !== 'groups' && isPlain(path.join(project, name)))
}

function trackedByGit(project: string): string[] | undefined {
  try {
    const names = execFileSync('git', ['-C', project, 'ls-tree', '--name-only', '-z', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return names.split('\0').filter(Boolean)
  } catch {
    return undefined
  }
}

function listedInPackage(project: string): string[] {
  const { files } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8'))
  return Array.isArray(files) ? files.map(String) : []
}

function isPlain(file: string): boolean {
  const stat = lstatSync(file, { throwIfNoEntry: false })
  return stat !== undefined && (stat.isFile() || stat.isDirectory())
}

/** Marks this installation's containers, so that another one's are never taken for ours. Made once, kept in `data/install-id`. */
export function installId(root: string): string {
  const file = path.join(root, 'data', 'install-id')
  if (!existsSync(file)) writeFileDurably(file, { text: randomUUID(), mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}

/** The folder of the sockets when it is not `data`: it must be ours alone, or somebody else could answer in our place. */
export function preparePrivateFolder(folder: string): void {
  ensureFolder(folder, { mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  if (uid === process.getuid?.() && (mode & 0o077) === 0) return
  const message = `${folder} belongs to somebody else or is open to others. Remove it, or choose a shorter NANOCLAW_HOME.`
  throw new AppError({ code: 'socket.unsafe', fault: 'user', message })
}

/** The folders of a root, with the memory files every installation starts with. What exists is left as it is. */
export function prepareRoot({ root, project, owner }: { root: string; project: string; owner: ContainerUser }): void {
  if (ensureFolder(root)) syncToDisk(path.dirname(root))
  for (const folder of ['data', 'store', 'logs', 'groups']) ensureFolder(path.join(root, folder))
  syncToDisk(root)
  for (const group of ['main', 'global']) {
    const folder = path.join(root, 'groups', group)
    const memory = path.join(folder, 'CLAUDE.md')
    // An agent may have left a link in its place: that is told when the group starts, and keeps no other from working.
    if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) continue
    ensureFolder(folder, { owner })
    const template = path.join(project, 'groups', group, 'CLAUDE.md')
    if (isUnused(folder)) writeFileDurably(memory, { text: readFileSync(template, 'utf8'), mode: 0o644, owner })
    if (isPlain(memory)) handOver(memory, { owner })
  }
  syncToDisk(path.join(root, 'groups'))
}

/** New, or a crash came between making the folder and its memory: there is nothing in it, or only drafts. */
function isUnused(folder: string): boolean {
  return readdirSync(folder).every((name) => name.startsWith('CLAUDE.md.tmp-'))
}

/** Stands while a restore exchanges what is there, and names the folder that keeps it. */
export function restoreMark(root: string): string {
  return path.join(root, 'data', 'restoring')
}

/** A restore that was cut short leaves a part of each state: nothing may work with that. */
export function refuseHalfRestored(root: string): void {
  const mark = restoreMark(root)
  if (!existsSync(mark)) return
  const message = `A restore on ${root} goes on, or was cut short. If none runs, call it again: ./nanoclaw restore FILE. What was there before is in ${readFileSync(mark, 'utf8').trim()}.`
  throw new AppError({ code: 'restore.unfinished', fault: 'user', message })
}
