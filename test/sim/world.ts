import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import SQLite from 'better-sqlite3'
import type { Random } from '../../src/cli/bench/random.ts'
import { AppError } from '../../src/domain/errors.ts'
import type { Group } from '../../src/domain/group.ts'
import { Store } from '../../src/store/store.ts'
import { ManualClock } from '../fakes/clock.ts'
import type { AgentWorld, Mood, SimAgent, Transcript } from './agent.ts'
import { SimPlatform } from './platform.ts'

/** The host is dead: nothing that it still tries has any effect. */
export class HostDied extends Error {}

/** Something that the host called failed for a reason of its own: a read of the store, a channel, an engine, a listener. */
export class Fault extends Error {}

export const CHATS = [
  { jid: 'keyed:main', folder: 'main' },
  { jid: 'uncertain:a', folder: 'a' },
  { jid: 'readback:b', folder: 'b' },
  { jid: 'keyed:b', folder: 'b' },
]

/** A call of a port fails so many times as often as a read of the store. */
const PORT_FAULTS = 15
/** Far more writes than everything together has to do at one moment. */
const MOST_TRIES = 500

/** One database for many schedules: emptying it is far cheaper than making it. */
export class Database {
  readonly #db: SQLite.Database
  readonly store: Store
  readonly #tables: string[]

  constructor() {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-sim-'))
    const file = path.join(folder, 'messages.db')
    Store.open(file).close()
    const migrated = new SQLite(file)
    migrated.pragma('journal_mode = DELETE') // a database in memory knows no log
    const image = migrated.serialize()
    migrated.close()
    rmSync(folder, { recursive: true })
    this.#db = new SQLite(image)
    this.#db.pragma('foreign_keys = OFF')
    this.store = new Store(this.#db)
    const names = this.#db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
      .pluck()
      .all()
    this.#tables = (names as string[]).filter((name) => !/^sqlite_|_(data|idx|content|docsize|config)$/.test(name))
  }

  empty(): Store {
    this.#db.transaction(() => {
      for (const table of this.#tables) this.#db.exec(`DELETE FROM "${table}"`)
      this.#db.exec('DELETE FROM sqlite_sequence')
    })()
    return this.store
  }

  rows<T>(sql: string): T[] {
    return this.#db.prepare(sql).all() as T[]
  }
}

/** A message as its platform has it: delivered again until the host says that it is stored. */
export type Sent = {
  jid: string
  id: string
  text: string
  fromMe: boolean
  acknowledged: boolean
  changed?: 'edited' | 'withdrawn'
}

/** Everything that outlives a crash of the host, and the seed that decides. */
export class World implements AgentWorld {
  readonly random: Random
  readonly store: Store
  readonly database: Database
  readonly clock = new ManualClock()
  readonly transcripts = new Map<string, Transcript>()
  readonly answers: { session: string; text: string }[] = []
  readonly platforms: SimPlatform[]
  readonly sent: Sent[] = []
  readonly trace: string[] = []
  /** Containers of every host so far that are not gone. */
  agents: SimAgent[] = []
  mood: Mood = { fail: 0, silent: 0, tool: 0, crash: 0 }
  login = true
  /** So many logins there were. */
  logins = 0
  /** So many writes to come fail for want of room. */
  diskFull = 0
  /** Until then, every write fails for want of room. */
  fullUntil = 0
  /** How often a write was tried at one moment, for want of room in vain. */
  #refused = { at: -1, times: 0 }
  /** How likely a host dies at a write. */
  deadly = 0
  /** How likely a read, a write or a call of a port throws. */
  faulty = 0
  faults = 0
  commits = 0
  crashes = 0
  #ids = 0

  constructor(random: Random, database: Database) {
    this.random = random
    this.platforms = (['keyed', 'readback', 'uncertain'] as const).map((kind) => new SimPlatform(kind, random))
    this.database = database
    this.store = database.empty()
    for (const folder of ['main', 'a', 'b']) {
      const group: Group = { folder, name: folder, isMain: folder === 'main', config: {} }
      this.store.groups.add(group, 0)
    }
    for (const { jid, folder } of CHATS) {
      this.store.chats.see({ jid })
      this.store.groups.register({ jid, folder, trigger: null, requiresTrigger: false }, 0)
    }
  }

  loggedIn = (): boolean => this.login
  newId = (kind: string): string => `${kind}-${++this.#ids}`
  note = (text: string): void => {
    this.trace.push(`${this.clock.now()} ${text}`)
  }

  /** Called around every write of a living host: the place where it may die, or the disk be full. */
  beforeWrite(): void {
    if (this.diskFull > 0 || this.clock.now() < this.fullUntil) {
      this.diskFull = Math.max(this.diskFull - 1, 0)
      this.#noteRefused()
      throw new AppError({ code: 'store.disk', fault: 'user', message: 'The disk is full.' })
    }
    this.mayDie('before a write')
  }

  /** True when something tried again and again without letting time pass: nothing else would ever be done. */
  get spun(): boolean {
    return this.#refused.times > MOST_TRIES
  }

  #noteRefused(): void {
    const at = this.clock.now()
    this.#refused = { at, times: this.#refused.at === at || this.spun ? this.#refused.times + 1 : 1 }
    if (this.spun) this.fullUntil = 0
  }

  afterWrite(): void {
    this.commits++
    this.mayDie('after a write')
  }

  /** Called before every call of a port: there are few of them, so each fails more often than a read does. */
  mayFail(what: string): void {
    this.mayFailRarely(what, PORT_FAULTS)
  }

  /** Called before every read and write of the store. */
  mayFailRarely(what: string, times = 1): void {
    if (this.faulty === 0 || !this.random.chance(times * this.faulty)) return
    this.faults++
    this.note(`${what} fails`)
    throw new Fault(what)
  }

  mayDie(when: string): void {
    if (!this.random.chance(this.deadly)) return
    this.note(`the host dies ${when}`)
    throw new HostDied(when)
  }
}

const WRITES =
  /^(add|save|take|release|mark|park|unpark|set|clear|advance|note|start|end|postpone|close|split|tell|see|register|remove|answer|extend|prune|forget|change|make|unregister|delete|edit)/

/**
 * The store as one host has it: it may die before or after each transaction and each single write, each read and write may
 * throw, and when it is dead, nothing it does has an effect any more.
 */
export function storeOfHost(world: World, life: { dead: boolean; die(): void }): Store {
  let inside = false
  const write = <T>(work: () => T): T => {
    if (life.dead) throw new HostDied('already')
    if (inside) return work()
    return guarded(() => {
      world.beforeWrite()
      const result = work()
      world.afterWrite()
      return result
    })
  }
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (error instanceof HostDied) life.die()
      throw error
    }
  }
  const tx = <T>(work: () => T): T =>
    write(() =>
      world.store.tx(() => {
        inside = true
        try {
          return work() as never
        } finally {
          inside = false
        }
      }),
    )
  const wrap = (part: object) =>
    new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name, target)
        if (typeof value !== 'function' || typeof name !== 'string') return value
        const call = value.bind(target)
        if (WRITES.test(name))
          return (...args: unknown[]) =>
            write(() => {
              world.mayFailRarely(`a write (${name})`)
              return call(...args)
            })
        return (...args: unknown[]) => {
          if (life.dead) throw new HostDied('already')
          world.mayFailRarely(`a read (${name})`)
          return call(...args)
        }
      },
    })
  const parts = Object.fromEntries(Object.entries(world.store).map(([name, part]) => [name, wrap(part)]))
  const afterCommit: Store['afterCommit'] = (what, step) =>
    world.store.afterCommit(what, () => {
      if (life.dead) return
      guarded(() => {
        world.mayDie('between a commit and what follows it')
        step()
      })
    })
  return { ...parts, tx, afterCommit, close: () => {} } as unknown as Store
}
