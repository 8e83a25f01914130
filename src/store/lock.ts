import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import { AppError } from '../domain/errors.ts'

/**
 * The right to be the host of a root. It is an exclusive SQLite transaction held for life: the kernel gives it back
 * when the process ends, however it ends, so there is no stale lock to judge.
 */
export class HostLock {
  readonly #db: SQLite.Database

  private constructor(db: SQLite.Database) {
    this.#db = db
  }

  /** Throws `host.already-running`, naming the holder, when another process has it. */
  static take({ lock, holder, pid, now }: { lock: string; holder: string; pid: number; now: Date }): HostLock {
    mkdirSync(path.dirname(lock), { recursive: true })
    const db = new SQLite(lock, { timeout: 0 })
    try {
      db.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      db.close()
      if (error instanceof SQLite.SqliteError && error.code === 'SQLITE_BUSY') throw taken({ lock, holder, cause: error })
      throw error
    }
    const held = new HostLock(db)
    try {
      writeFileSync(holder, JSON.stringify({ pid, since: now.toISOString() }))
      return held
    } catch (error) {
      held.release()
      throw error
    }
  }

  release(): void {
    this.#db.close() // which ends the transaction
  }
}

function taken({ lock, holder, cause }: { lock: string; holder: string; cause: unknown }): AppError {
  const root = path.dirname(path.dirname(lock))
  const message = `NanoClaw is already running on ${root}: ${describe(holder)}. Stop that one first, or use it: ./nanoclaw chat.`
  return new AppError({ code: 'host.already-running', fault: 'user', message, cause })
}

/** Written by the holder after it has the lock, so it may lag for a moment. */
function describe(holder: string): string {
  try {
    const { pid, since } = JSON.parse(readFileSync(holder, 'utf8'))
    return `process ${pid}, since ${since}`
  } catch {
    return 'another process, just started'
  }
}
