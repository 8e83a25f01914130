import SQLite from 'better-sqlite3'
import { AppError } from '../domain/errors.ts'

/** What a disk that is full or failing did to us, for people; any other error as it is. */
export function toldAsDisk(error: unknown): unknown {
  if (!(error instanceof SQLite.SqliteError)) return error
  if (error.code !== 'SQLITE_FULL' && !error.code.startsWith('SQLITE_IOERR')) return error
  const message = `The disk is full or failing (${error.code}): nothing was stored. Free some space; work goes on by itself after that.`
  return new AppError({ code: 'store.disk', fault: 'user', message, cause: error })
}
