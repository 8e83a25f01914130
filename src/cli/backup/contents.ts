import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { type Config, policyFile } from '../../config.ts'
import type { HostFailure } from '../../domain/host-failure.ts'
import { type Entry, MAX_DEPTH, type Place, walk } from '../../hostile-tree.ts'
import { copyWhileInUse } from '../../store/backup.ts'

/** Something that belongs into a backup; `path` is its name there. Where `from` lies an agent may write. */
export type Item = { path: string } & (
  | { type: 'file'; from: Place }
  | { type: 'link'; target: string }
  | { type: 'folder' }
  | { type: 'left-out'; why: string }
)

export const POLICIES = ['mount-allowlist.json', 'sender-allowlist.json'] as const

/** What a tree of an agent may have us read of nothing: holes cost it no room, and us hours. */
const MOST_HOLES = 2 ** 30
const MOST_ENTRIES = 5_000_000

/**
 * All that makes up an installation, in an order that a host may work through: the accounts of channels, then the database,
 * then files. A message that leaves the journal of a channel in between is in both, and is known by its id; one that came
 * later has files without a row, which nobody asks for; transcripts know at least as much as the database, as after a crash.
 * Requests of agents that wait in `data/ipc` are not in it: the turn that made them goes on, and asks again.
 */
export async function* contents(config: Config, scratch: string): AsyncGenerator<Item> {
  const { root, userHome } = config
  yield* plain(root, '.env')
  yield* plain(root, 'data', 'install-id')
  for (const name of POLICIES) yield* present({ path: `policies/${name}`, place: placeOf(policyFile(userHome, name)) })
  yield* accounts(root, scratch)
  yield* database({ root, parts: ['store', 'messages.db'], scratch })
  for (const below of ['outgoing', 'attachments', 'sessions']) yield* folders(root, 'data', below)
  yield* folders(root, 'groups')
}

async function* plain(root: string, ...parts: string[]): AsyncGenerator<Item> {
  yield* present({ path: `root/${parts.join('/')}`, place: placeOf(path.join(root, ...parts)) })
}

async function* present({ path: name, place }: { path: string; place: Place }): AsyncGenerator<Item> {
  if (isThere(path.join(place.base, ...place.parts))) yield { path: name, type: 'file', from: place }
}

/** What channels keep: databases of their own, and files of v1; not what stands beside a database that somebody has open. */
async function* accounts(root: string, scratch: string): AsyncGenerator<Item> {
  const parts = ['store', 'auth']
  for (const name of namesIn(path.join(root, ...parts)).sort()) {
    if (/(-wal|-shm|-journal|\.lock)$/.test(name)) continue
    if (name.endsWith('.db')) yield* database({ root, parts: [...parts, name], scratch })
    else yield* plain(root, ...parts, name)
  }
}

async function* database({ root, parts, scratch }: { root: string; parts: string[]; scratch: string }): AsyncGenerator<Item> {
  const file = path.join(root, ...parts)
  if (!isThere(file)) return
  const copy = path.join(scratch, parts.join('-'))
  await copyWhileInUse(file, copy)
  yield { path: `root/${parts.join('/')}`, type: 'file', from: placeOf(copy) }
}

/** A folder of ours with a folder for each group. */
async function* folders(root: string, ...parts: string[]): AsyncGenerator<Item> {
  const ours = path.join(root, ...parts)
  for (const name of namesIn(ours).sort()) {
    const at = `root/${[...parts, name].join('/')}`
    if (!lstatSync(path.join(ours, name)).isDirectory()) yield* plain(root, ...parts, name)
    else yield* tree({ at, base: path.join(ours, name), of: parts.at(-1) })
  }
}

async function* tree({ at, base, of }: { at: string; base: string; of: string | undefined }): AsyncGenerator<Item> {
  yield { path: at, type: 'folder' }
  const room = { holes: MOST_HOLES, entries: MOST_ENTRIES }
  const links = of === 'groups' || of === 'sessions'
  for await (const entry of walk(base, { maxEntries: MOST_ENTRIES, deep: true, links })) {
    room.entries--
    // What the host writes there is for people, and is written anew.
    if (!(of === 'groups' && entry.parts[0] === 'logs')) yield itemOf({ at, base, entry, room })
  }
  if (room.entries <= 0)
    yield { path: at, type: 'left-out', why: `it has more than ${MOST_ENTRIES} files; the rest is not there` }
}

type Found = { at: string; base: string; entry: Entry; room: { holes: number } }

function itemOf({ at, base, entry, room }: Found): Item {
  const name = [at, ...entry.parts].join('/')
  switch (entry.type) {
    case 'refused':
      return { path: name, type: 'left-out', why: entry.why }
    case 'host-failure':
      return { path: name, type: 'left-out', why: damageOf(entry) }
    case 'link':
      return { path: name, type: 'link', target: entry.target }
    case 'folder':
      if (entry.parts.length <= MAX_DEPTH) return { path: name, type: 'folder' }
      return { path: name, type: 'left-out', why: `it lies more than ${MAX_DEPTH} folders deep` }
    case 'file': {
      const holes = Math.max(entry.bytes - entry.allocated, 0)
      if (holes > room.holes)
        return { path: name, type: 'left-out', why: `its size is ${entry.bytes} bytes, but there is little in it` }
      room.holes -= holes
      return { path: name, type: 'file', from: { base, parts: entry.parts } }
    }
  }
}

/** One place of the disk, or of its file system, that cannot be read any more. */
const DAMAGED = ['EIO', 'EUCLEAN', 'EBADMSG']

/**
 * What damaged a file, for the report: every backup to come would meet it. Any other failure of the host passes, and throws:
 * a backup that lacks files because of it must not count as one.
 */
export function damageOf({ why, error }: HostFailure): string {
  const { code } = (error.cause ?? {}) as { code?: unknown }
  if (typeof code === 'string' && DAMAGED.includes(code)) return why
  throw error
}

function placeOf(file: string): Place {
  return { base: path.dirname(file), parts: [path.basename(file)] }
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

function namesIn(folder: string): string[] {
  return isThere(folder) ? readdirSync(folder) : []
}
