import { existsSync } from 'node:fs'
import SQLite from 'better-sqlite3'
import { AppError, errorText } from '../domain/errors.ts'
import { Store } from './store.ts'

/**
 * The store for looking only, beside a host that runs or without one; undefined when there is no database yet. Never
 * migrates: what an earlier version left is for the host to take over.
 */
export function openForReading(file: string): Store | undefined {
  if (!existsSync(file)) return undefined
  let db: SQLite.Database | undefined
  try {
    db = new SQLite(file, { readonly: true })
    return new Store(db)
  } catch (cause) {
    db?.close()
    const message = `The database ${file} cannot be read by this version: ${errorText(cause)}. Start NanoClaw once (./nanoclaw start): it takes over older databases, and says what is wrong with others.`
    throw new AppError({ code: 'store.unreadable', fault: 'user', message, cause })
  }
}

/** What SQLite finds wrong with the file, null for nothing; undefined when there is no database yet. */
export function damageOf(file: string): string | null | undefined {
  if (!existsSync(file)) return undefined
  let db: SQLite.Database | undefined
  try {
    db = new SQLite(file, { readonly: true })
    const found = String(db.pragma('quick_check(1)', { simple: true }))
    return found === 'ok' ? null : found
  } catch (error) {
    return errorText(error)
  } finally {
    db?.close()
  }
}
