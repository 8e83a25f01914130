import assert from 'node:assert/strict'
import { writeSync } from 'node:fs'
import type SQLite from 'better-sqlite3'
import { AppError, errorText } from '../../src/domain/errors.ts'
import { openDatabase } from '../../src/store/database.ts'
import { toldAsDisk } from '../../src/store/disk.ts'
import { Store } from '../../src/store/store.ts'
import { digestOf } from './digest.ts'
import { databaseIn, stepsOf } from './life.ts'

/**
 * A host's life on a disk that fails now and then. What fails must be told as the disk's fault and leave nothing stored;
 * the same again must succeed, without opening anything anew. Says at the end how much failed, and what there is.
 */
const [root = '', rounds = ''] = process.argv.slice(2)
/** A disk that fails at every so many writes lets any step through before that. */
const MAX_TRIES = 100

let failed = 0
const db = persist(() => openDatabase(databaseIn(root)))
db.pragma('wal_autocheckpoint = 24')
for (const step of stepsOf(new Store(db), Number(rounds))) {
  const before = digestOf(db)
  persist(step, () => assert.equal(digestOf(db), before, 'a step that failed left something'))
}
assert.equal(db.pragma('quick_check', { simple: true }), 'ok')
writeSync(1, JSON.stringify({ failed, digest: digestOf(db), messages: countOf(db) }))
db.close()

function persist<T>(work: () => T, afterFailure: () => void = () => {}): T {
  for (let attempt = 1; ; attempt++)
    try {
      return work()
    } catch (error) {
      const told = toldAsDisk(error)
      if (!(told instanceof AppError && told.code === 'store.disk') || attempt === MAX_TRIES)
        throw new Error(`attempt ${attempt}: ${errorText(error)}`, { cause: error })
      failed++
      afterFailure()
    }
}

function countOf(db: SQLite.Database): unknown {
  return db.prepare('SELECT count(*) FROM messages').pluck().get()
}
