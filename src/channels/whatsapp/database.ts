import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { z } from 'zod'
import { AppError, errorText } from '../../domain/errors.ts'

const SCHEMA = `
  -- The linked device: its credentials (type 'creds') and its Signal keys, each as JSON.
  CREATE TABLE IF NOT EXISTS auth (type TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;
  -- What was decrypted and not yet handed on. A stanza may have several encrypted parts.
  CREATE TABLE IF NOT EXISTS received (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL, id TEXT NOT NULL, part INTEGER NOT NULL,
    stanza BLOB NOT NULL, plaintext BLOB NOT NULL,
    UNIQUE (sender, id, part)
  ) STRICT;
  -- What we sent: to be encrypted anew for a device that could not read it, and to know our own words when they come back.
  CREATE TABLE IF NOT EXISTS sent (
    id TEXT PRIMARY KEY, jid TEXT NOT NULL, message BLOB, accepted INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS retries (key TEXT PRIMARY KEY, count TEXT NOT NULL, at INTEGER NOT NULL) STRICT;`

export function databaseFile(authFolder: string): string {
  return path.join(authFolder, 'whatsapp.db')
}

/** `whatsapp.db`, open, and with it the right to be the linked device. `keep: false` removes it. */
export type DeviceDatabase = { db: SQLite.Database; close(options: { keep: boolean }): void }

/**
 * Opens `whatsapp.db`, private to this user. Throws when another process has it: two processes with the same keys would break
 * every conversation of the account. That is kept by a lock beside it, so that others can read, and a backup copy, what is in it.
 */
export function openDeviceDatabase(file: string): DeviceDatabase {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const lock = takeLock(file)
  try {
    const db = openPrivately(file)
    const close = ({ keep }: { keep: boolean }) => {
      db.close()
      if (!keep) for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
      lock.close()
    }
    return { db, close }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** An exclusive transaction on a file that is for nothing else: the kernel gives it back when the process ends, however it ends. */
function takeLock(file: string): SQLite.Database {
  const lock = new SQLite(`${file}.lock`, { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof SQLite.SqliteError && error.code === 'SQLITE_BUSY') throw inUse(file, error)
    throw error
  }
}

function openPrivately(file: string): SQLite.Database {
  if (!existsSync(file)) closeSync(openSync(file, constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600))
  chmodSync(file, 0o600)
  const db = new SQLite(file)
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.transaction(() => db.exec(SCHEMA)).immediate()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function inUse(file: string, cause: unknown): AppError {
  const message = `${file} is in use by another process. One process at a time may be the linked device; stop the other one.`
  return new AppError({ code: 'whatsapp.in-use', fault: 'user', message, cause })
}

/** Whether the account is linked and, where it might be and is not, why. */
export type LinkOnDisk = { linked: boolean; why?: string | undefined }

/** For who only looks, also while another process has the device. A state of v1 is a link, which the next start takes over. */
export function linkOnDisk(authFolder: string): LinkOnDisk {
  const file = databaseFile(authFolder)
  const found = existsSync(file) ? readLink(file) : { linked: false }
  return found.linked || found.why !== undefined ? found : { linked: existsSync(path.join(authFolder, 'creds.json')) }
}

function readLink(file: string): LinkOnDisk {
  let db: SQLite.Database | undefined
  try {
    db = new SQLite(file, { readonly: true })
    const linked = db.prepare("SELECT 1 FROM auth WHERE type = 'creds' AND value ->> 'account' IS NOT NULL").get() !== undefined
    const ended = db.prepare("SELECT value ->> '$' FROM auth WHERE type = 'ended'").pluck().get()
    return { linked, why: z.string().optional().parse(ended) }
  } catch (error) {
    return { linked: false, why: `${file} cannot be read: ${errorText(error)}` }
  } finally {
    db?.close()
  }
}
