import type SQLite from 'better-sqlite3'
import { Audit } from './audit.ts'
import { Chats } from './chats.ts'
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

  constructor(db: SQLite.Database) {
    this.#db = db
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

  /** `note` hears what a person should know of a migration. */
  static open(file: string, note?: (text: string) => void): Store {
    return new Store(openDatabase(file, note))
  }

  /** One transaction. `work` must not be async: read, decide and write cannot interleave with anything. */
  tx<T>(work: () => T extends Promise<unknown> ? never : T): T {
    try {
      return this.#db.transaction(work).immediate() as T
    } catch (error) {
      throw toldAsDisk(error)
    }
  }

  close(): void {
    this.#db.close()
  }
}
