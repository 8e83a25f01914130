import { existsSync } from 'node:fs'
import SQLite from 'better-sqlite3'
import { AppError, errorText } from '../domain/errors.ts'
import { tableDamage, textIndexDamageInDepth } from './damage.ts'
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

/** `onlyTextIndex`: all that is kept is whole, and the host makes the rest anew. */
export type Damage = { why: string; onlyTextIndex: boolean }

/** What SQLite finds wrong with the file, null for nothing; undefined when there is no database yet. */
export function damageOf(file: string): Damage | null | undefined {
  if (!existsSync(file)) return undefined
  let db: SQLite.Database | undefined
  try {
    db = new SQLite(file, { readonly: true })
    const why = String(db.pragma('quick_check(1)', { simple: true }))
    if (why === 'ok') return null
    return { why, onlyTextIndex: tableDamage(db) === undefined && textIndexDamageInDepth(db) !== undefined }
  } catch (error) {
    return { why: errorText(error), onlyTextIndex: false }
  } finally {
    db?.close()
  }
}
