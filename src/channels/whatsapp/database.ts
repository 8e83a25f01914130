import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { AppError } from '../../domain/errors.ts'

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

/**
 * Opens `whatsapp.db`, private to this user. It is locked for as long as it is open: two processes with the same keys
 * would break every conversation of the account.
 */
export function openWhatsAppDatabase(file: string): SQLite.Database {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  if (!existsSync(file)) closeSync(openSync(file, constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600))
  chmodSync(file, 0o600)
  const db = new SQLite(file, { timeout: 0 })
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.transaction(() => db.exec(SCHEMA)).immediate()
    return db
  } catch (error) {
    db.close()
    if (error instanceof SQLite.SqliteError && error.code === 'SQLITE_BUSY') throw inUse(file, error)
    throw error
  }
}

function inUse(file: string, cause: unknown): AppError {
  const message = `${file} is in use by another process. One process at a time may be the linked device; stop the other one.`
  return new AppError({ code: 'whatsapp.in-use', fault: 'user', message, cause })
}
