import type SQLite from 'better-sqlite3'
import { Audit } from './audit.ts'
import { Chats } from './chats.ts'
import { remakeTextIndex, showsTextIndexDamage, TEXT_INDEX_REMADE } from './damage.ts'
import { openDatabase } from './database.ts'
import { toldAsDisk } from './disk.ts'
import { Facts } from './facts.ts'
import { Figures } from './figures.ts'
import { Groups } from './groups.ts'
import { History } from './history.ts'
import { IpcRequests } from './ipc-requests.ts'
import { Messages } from './messages.ts'
import { Outbox } from './outbox.ts'
import { Questions } from './questions.ts'
import { Sessions } from './sessions.ts'
import { Tasks } from './tasks.ts'
import { TransactionEnds } from './transaction-ends.ts'
import { Turns } from './turns.ts'
import { Usage } from './usage.ts'

/** Everything that is kept: one class per aggregate, each the only SQL on its tables. */
export class Store {
  readonly audit: Audit
  readonly chats: Chats
  readonly groups: Groups
  readonly history: History
  readonly ipcRequests: IpcRequests
  readonly messages: Messages
  readonly outbox: Outbox
  readonly questions: Questions
  readonly sessions: Sessions
  readonly tasks: Tasks
  readonly turns: Turns
  readonly usage: Usage
  readonly facts: Facts
  readonly figures: Figures
  readonly #db: SQLite.Database
  readonly #note: (text: string) => void
  readonly #ends: TransactionEnds
  /**
   * Runs `step` when the outermost transaction has committed; at once where none is open; never after a rollback. A step that
   * throws is reported to `onStepFailed`, and never makes the committed act look like a failed one. `what` names the step.
   */
  readonly afterCommit = (what: string, step: () => void): void => this.#ends.afterCommit({ what, run: step })
  /** Runs `undo` if the transaction around this call rolls back: for memory that is changed together with rows. */
  readonly onRollback = (what: string, undo: () => void): void => this.#ends.onRollback({ what, run: undo })

  constructor(db: SQLite.Database, note: (text: string) => void = () => {}, onStepFailed = note) {
    this.#db = db
    this.#note = note
    this.#ends = new TransactionEnds(onStepFailed)
    this.audit = new Audit(db)
    this.chats = new Chats(db)
    this.groups = new Groups(db)
    this.history = new History(db)
    this.ipcRequests = new IpcRequests(db)
    this.messages = new Messages(db)
    this.outbox = new Outbox(db)
    this.questions = new Questions(db)
    this.sessions = new Sessions(db)
    this.tasks = new Tasks(db)
    this.turns = new Turns(db)
    this.usage = new Usage(db)
    this.facts = new Facts(db)
    this.figures = new Figures(db)
  }

  /**
   * `note` hears what a person should know: of a migration, of settings that cannot be used, of what was repaired.
   * `onStepFailed` hears of each step after a commit that failed.
   */
  static open(file: string, note: (text: string) => void = () => {}, onStepFailed = note): Store {
    const store = new Store(openDatabase(file, note), note, onStepFailed)
    for (const text of store.groups.problems()) note(text)
    return store
  }

  /**
   * One transaction. `work` must not be async: read, decide and write cannot interleave with anything. When it comes upon a
   * damaged text index, that is made anew and `work` begins again: messages can be stored, whatever became of their index.
   */
  tx<T>(work: () => T extends Promise<unknown> ? never : T): T {
    const transaction = () => this.#ends.around(() => this.#db.transaction(work).immediate() as T)
    try {
      return this.#withTextIndex(transaction)
    } catch (error) {
      throw toldAsDisk(error)
    }
  }

  #withTextIndex<T>(transaction: () => T): T {
    try {
      return transaction()
    } catch (error) {
      if (!showsTextIndexDamage(error) || this.#db.inTransaction) throw error
      this.#note(TEXT_INDEX_REMADE)
      remakeTextIndex(this.#db)
      return transaction()
    }
  }

  close(): void {
    this.#db.close()
  }
}
