import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type Config, policyFile } from '../../config.ts'
import { AppError, errorText } from '../../domain/errors.ts'
import { syncToDisk, writeFileDurably } from '../../files.ts'
import { restoreMark } from '../../project.ts'
import { HostLock } from '../../store/lock.ts'
import { Store } from '../../store/store.ts'
import { POLICIES } from './contents.ts'
import type { LeftOut } from './manifest.ts'
import type { BackupFile } from './read-backup.ts'
import { unpack } from './unpack.ts'

/** `kept`: the folder with all that was replaced; undefined when there was nothing. */
export type RestoreReport = { madeAt: string; files: number; kept: string | undefined; leftOut: LeftOut[] }
export type RestoreOrder = { config: Config; backup: BackupFile; say(line: string): void; now: Date }

/** What goes when a backup comes, whether it holds the like or not; requests of agents belong to what is replaced. */
const STATE = ['data/ipc', 'data/outgoing', 'data/attachments', 'data/sessions', 'store/auth', 'groups']
const DATABASE = ['store/messages.db', 'store/messages.db-wal', 'store/messages.db-shm']
/** What stays when the backup has none of it. */
const SETTINGS = ['.env', 'data/install-id']

/**
 * Puts a backup in the place of what is there. First all of it is unpacked beside, proven and its database opened; only then
 * things are exchanged, by renaming. Refuses while a host runs, and keeps one from starting. Throws an `AppError`.
 */
export async function restore({ config, backup, say, now }: RestoreOrder): Promise<RestoreReport> {
  const { root, paths } = config
  mkdirSync(root, { recursive: true })
  const lock = HostLock.take({ lock: paths.lock, holder: paths.holder, pid: process.pid, now })
  const stage = mkdtempSync(path.join(root, '.restore-'))
  try {
    const { head, manifest } = await unpack(backup, stage)
    const database = path.join(stage, 'root', 'store', 'messages.db')
    if (existsSync(database)) Store.open(database, say).close()
    const kept = path.join(root, `before-restore-${stampOf(now)}`)
    exchange({ config, stage, kept })
    return {
      madeAt: head.madeAt,
      files: manifest.files.length,
      kept: existsSync(kept) ? kept : undefined,
      leftOut: manifest.leftOut,
    }
  } finally {
    rmSync(stage, { recursive: true, force: true })
    lock.release()
  }
}

type Exchange = { config: Config; stage: string; kept: string }

/** A host does not start between the mark and its removal: what it would find is a part of each. */
function exchange({ config, stage, kept }: Exchange): void {
  const { root } = config
  writeFileDurably(restoreMark(root), { text: `${kept}\n`, mode: 0o600 })
  try {
    for (const name of [...STATE, ...DATABASE]) keep({ root, kept, name })
    for (const name of [...SETTINGS, ...STATE, ...DATABASE]) bring({ root, kept, stage, name })
    for (const name of POLICIES) bringPolicy({ config, kept, stage, name })
    for (const folder of ['data', 'store', '.']) if (existsSync(path.join(root, folder))) syncToDisk(path.join(root, folder))
  } catch (cause) {
    const message = `The restore was cut short: ${errorText(cause)}. Call it again; what was there before is in ${kept}. Until then no host starts.`
    throw new AppError({ code: 'restore.unfinished', fault: 'user', message, cause })
  }
  rmSync(restoreMark(root))
}

function keep({ root, kept, name }: { root: string; kept: string; name: string }): void {
  if (lstatSync(path.join(root, name), { throwIfNoEntry: false }) === undefined) return
  mkdirSync(path.dirname(path.join(kept, name)), { recursive: true, mode: 0o700 })
  renameSync(path.join(root, name), path.join(kept, name))
}

function bring({ root, kept, stage, name }: { root: string; kept: string; stage: string; name: string }): void {
  const staged = path.join(stage, 'root', name)
  if (!existsSync(staged)) return
  keep({ root, kept, name })
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
  renameSync(staged, path.join(root, name))
}

type Policy = Exchange & { name: (typeof POLICIES)[number] }

/** It may lie on another disk, so it is written, not renamed. */
function bringPolicy({ config, kept, stage, name }: Policy): void {
  const staged = path.join(stage, 'policies', name)
  if (!existsSync(staged)) return
  const file = policyFile(config.userHome, name)
  if (existsSync(file)) {
    mkdirSync(path.join(kept, 'policies'), { recursive: true, mode: 0o700 })
    writeFileDurably(path.join(kept, 'policies', name), { text: readFileSync(file, 'utf8'), mode: 0o600 })
  }
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileDurably(file, { text: readFileSync(staged, 'utf8'), mode: 0o600 })
}

/** `20261121-134500`, in UTC. */
export function stampOf(at: Date): string {
  return at.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
}
