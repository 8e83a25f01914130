import type { Database } from 'better-sqlite3'
import { AppError, errorText } from '../../domain/errors.ts'
import { backUp } from '../backup.ts'
import { copyAnswers, copyCursors, copyMessages } from './messages.ts'
import { OldTables } from './old-tables.ts'
import { copyChats, copyGroups, copyRouterState, copySessions, copyTaskRuns, copyTasks } from './rows.ts'

/**
 * Makes our database of one of NanoClaw v1. First a copy is made beside it, then everything happens in one transaction: at
 * any moment the file is either v1's, whole, or ours, whole. `createTables` makes our tables inside that transaction.
 * Returns what a person should read about it. Throws `store.v1` with the file unchanged when it cannot be done.
 */
export function takeOver({ db, file, createTables }: { db: Database; file: string; createTables: () => void }): string[] {
  const backup = `${file}.v1-backup`
  const before = changesByOthers(db)
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = OFF') // v1 left rows without their parent, and that pragma does nothing in a transaction
  try {
    backUp(db, backup) // v1 may have gone on after an earlier attempt, so it is made anew
    const work = db.transaction(() => {
      if (changesByOthers(db) !== before) throw new Error('something else is writing to it')
      return [...copyAll(db, createTables), `It is kept as it was in ${backup}.`]
    })
    return work.exclusive()
  } catch (error) {
    throw failed(file, error)
  }
}

/** Changes whenever another connection, in this process or not, has committed something. */
function changesByOthers(db: Database): number {
  return Number(db.pragma('data_version', { simple: true }))
}

function copyAll(db: Database, createTables: () => void): string[] {
  const old = OldTables.setAside(db)
  createTables()
  copyChats(db, old)
  const problems = copyGroups(db, old)
  const messages = copyMessages(db, old)
  copyCursors(db, old)
  copyAnswers(db)
  copySessions(db, old)
  copyRouterState(db, old)
  const tasks = copyTasks(db, old)
  copyTaskRuns(db, old)
  old.drop()
  assertSound(db)
  const count = (table: string) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
  const leftovers = count('v1_leftovers')
  const summary = `The database of NanoClaw v1 was taken over: ${count('groups')} groups, ${messages} messages, ${tasks} tasks.`
  const rest =
    leftovers === 0 ? [] : [`${leftovers} things that have no place are kept in its table v1_leftovers, each with the reason.`]
  return [summary, ...rest, ...problems]
}

/** Of our own tables only: tables of others may point to what is gone. */
function assertSound(db: Database): void {
  for (const table of ['registered_groups', 'messages', 'outbox']) {
    const wrong = db.pragma(`foreign_key_check(${table})`) as unknown[]
    if (wrong.length > 0) throw new Error(`${wrong.length} rows of ${table} would belong to nothing`)
  }
}

function failed(file: string, cause: unknown): AppError {
  const message = `The NanoClaw v1 database ${file} could not be taken over: ${errorText(cause)}. It is as it was. Make sure that v1 is stopped and that there is room for two more copies of the file, then start again.`
  return new AppError({ code: 'store.v1', fault: 'user', message, cause })
}
