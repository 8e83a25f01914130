import {
  type AuthenticationCreds,
  BufferJSON,
  initAuthCreds,
  makeCacheableSignalKeyStore,
  proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
} from 'baileys'
import type { Database, Statement } from 'better-sqlite3'
import { BoundedCache } from './bounded-cache.ts'

type KeyType = keyof SignalDataTypeMap

/** The linked device as Baileys wants it: credentials and Signal keys. Every change is one durable transaction. */
export class AuthState {
  readonly keys: SignalKeyStore
  /** Of `keys`. What is of one device must not be used for the next. */
  readonly #cache = new BoundedCache()
  #creds: AuthenticationCreds
  readonly #get: Statement
  readonly #put: Statement
  readonly #delete: Statement
  readonly #clear: Statement
  readonly #tx: (work: () => void) => void

  constructor(db: Database) {
    this.#get = db.prepare('SELECT value FROM auth WHERE type = ? AND id = ?').pluck()
    this.#put = db.prepare('INSERT INTO auth VALUES (?, ?, ?) ON CONFLICT (type, id) DO UPDATE SET value = excluded.value')
    this.#delete = db.prepare('DELETE FROM auth WHERE type = ? AND id = ?')
    this.#clear = db.prepare('DELETE FROM auth')
    this.#tx = (work) => db.transaction(work).immediate()
    this.#creds = (this.#read('creds', '') as AuthenticationCreds | undefined) ?? initAuthCreds()
    const stored: SignalKeyStore = {
      get: (type, ids) => this.#keysOf(type, ids),
      set: (data) => this.#setKeys(data),
      clear: () => this.reset(),
    }
    this.keys = makeCacheableSignalKeyStore(stored, undefined, this.#cache)
  }

  /** Baileys changes this object, and says so with `creds.update`; then it must be saved. */
  get creds(): AuthenticationCreds {
    return this.#creds
  }

  saveCreds(): void {
    this.#write('creds', '', this.#creds)
  }

  /** The phone has confirmed the link. (A pairing code that was asked for but not typed leaves `me` behind, and no more.) */
  get linked(): boolean {
    return this.#creds.account !== undefined
  }

  /** The account, once linked: its phone number's id and its LID, without the device. */
  get account(): { phone: string; lid: string | undefined; name: string | undefined } | undefined {
    const { me } = this.#creds
    if (!me || !this.linked) return undefined
    return { phone: withoutDevice(me.id), lid: me.lid ? withoutDevice(me.lid) : undefined, name: me.name }
  }

  /** Forgets the device. The next connection is a new one, which must be paired. `why` is remembered for who asks later. */
  reset(why?: string): void {
    this.#tx(() => {
      this.#clear.run()
      if (why !== undefined) this.#write('ended', '', why)
    })
    this.#cache.flushAll()
    this.#creds = initAuthCreds()
  }

  /** Why the last link ended, if it was not ended here. */
  get ended(): string | undefined {
    return this.#text('ended', '')
  }

  /** Takes over a device from elsewhere, whole or not at all. */
  adopt({ creds, keys }: { creds: AuthenticationCreds; keys: SignalDataSet }): void {
    this.#tx(() => {
      this.#clear.run()
      this.#write('creds', '', creds)
      this.#writeAll(keys)
    })
    this.#creds = creds
    this.#cache.flushAll()
  }

  /** The phone number's user of a LID's user, as far as WhatsApp has told. */
  phoneOf(lidUser: string): string | undefined {
    return this.#text('lid-mapping', `${lidUser}_reverse`)
  }

  lidOf(phoneUser: string): string | undefined {
    return this.#text('lid-mapping', phoneUser)
  }

  #keysOf<T extends KeyType>(type: T, ids: string[]): { [id: string]: SignalDataTypeMap[T] } {
    const found: { [id: string]: SignalDataTypeMap[T] } = {}
    for (const id of ids) {
      const value = this.#read(type, id)
      if (value === undefined) continue
      const typed = type === 'app-state-sync-key' ? proto.Message.AppStateSyncKeyData.fromObject(value) : value
      found[id] = typed as SignalDataTypeMap[T]
    }
    return found
  }

  /** Baileys has put them into the cache by then. What could not be stored must not be used: after a restart it would be gone. */
  #setKeys(data: SignalDataSet): void {
    try {
      this.#tx(() => this.#writeAll(data))
    } catch (error) {
      this.#cache.flushAll()
      throw error
    }
  }

  #writeAll(data: SignalDataSet): void {
    for (const [type, values] of Object.entries(data)) {
      for (const [id, value] of Object.entries(values)) {
        if (value === null || value === undefined) this.#delete.run(type, id)
        else this.#write(type, id, value)
      }
    }
  }

  #write(type: string, id: string, value: unknown): void {
    this.#put.run(type, id, JSON.stringify(value, BufferJSON.replacer))
  }

  #read(type: string, id: string): Record<string, unknown> | undefined {
    const text = this.#get.get(type, id) as string | undefined
    return text === undefined ? undefined : JSON.parse(text, BufferJSON.reviver)
  }

  #text(type: string, id: string): string | undefined {
    const value: unknown = this.#read(type, id)
    return typeof value === 'string' ? value : undefined
  }
}

/** `4915:7@s.whatsapp.net` is device 7 of `4915@s.whatsapp.net`. */
export function withoutDevice(jid: string): string {
  return jid.replace(/:\d+(?=@)/, '')
}
