import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { type BinaryNode, BufferJSON } from 'baileys'
import SQLite from 'better-sqlite3'
import { z } from 'zod'
import { Store } from '../../../src/store/store.ts'
import { until } from '../patience.ts'
import { type TestContext, temporaryFolder } from '../rooms.ts'
import type { Phone } from './phone.ts'
import { FakeWhatsApp } from './server.ts'
import { linkedAccount, placeDatabase } from './world.ts'

/** As libsignal keeps the conversations with one other device. */
const sessions = z.object({ _sessions: z.record(z.string(), z.object({ indexInfo: z.object({ closed: z.number() }) })) })

/** A host in a process of its own that is killed without warning, and what it printed in all its lives. */
export class Victim {
  readonly server: FakeWhatsApp
  readonly olga: Phone
  readonly alice: Phone
  readonly #folder: string
  #child: ChildProcess | undefined
  #gone: Promise<unknown> = Promise.resolve()
  #online = false
  #onScan: (() => void) | undefined
  #output = ''

  private constructor(server: FakeWhatsApp, folder: string) {
    this.server = server
    this.#folder = folder
    this.olga = server.account('15550001111', 'Olga')
    this.alice = server.person('15550002222', 'Alice')
  }

  static async create(t: TestContext): Promise<Victim> {
    const victim = new Victim(await FakeWhatsApp.start(t), temporaryFolder(t))
    t.after(() => victim.kill())
    return victim
  }

  /** With the account linked already. */
  static async linked(t: TestContext): Promise<Victim> {
    const { people, database } = await linkedAccount()
    const victim = new Victim(await FakeWhatsApp.start(t, { people: people.copy() }), temporaryFolder(t))
    t.after(() => victim.kill())
    placeDatabase(victim.#folder, database)
    return victim
  }

  get output(): string {
    return this.#output.slice(-500)
  }

  async start(): Promise<void> {
    this.#online = false
    const entry = path.join(import.meta.dirname, 'echo-host.ts')
    const argv = ['--disable-warning=ExperimentalWarning', entry, this.#folder, this.server.url, this.alice.pn]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('close', resolve))
    let rest = ''
    child.stderr.on('data', (chunk) => (this.#output += chunk))
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#heard(line)
    })
  }

  /** A QR code is made of keys, and shown on purpose. */
  #heard(line: string): void {
    const event = line.startsWith('{') ? JSON.parse(line) : {}
    if (event.type !== 'qr') this.#output += `${line}\n`
    if (event.type === 'qr') this.#scan(event.data)
    if (event.type === 'state') this.#online = event.state === 'online'
  }

  #scan(code: string): void {
    this.server.scan(code, this.olga)
    this.#onScan?.()
  }

  async online(): Promise<void> {
    await until(() => this.#online, 'it is online', { seen: () => this.output })
  }

  /** Started, and linked if it was not. */
  async startOnline(): Promise<void> {
    await this.start()
    await this.online()
  }

  /** Resolves when the host is dead, which it is as soon as WhatsApp hears that. */
  async killedWhen(isNow: (stanza: BinaryNode) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.server.onStanza = (stanza) => {
      if (!isNow(stanza)) return
      this.server.onStanza = undefined
      resolve(this.kill())
    }
    return promise
  }

  /** Resolves when the host is dead, which it is before it can hear that the owner has scanned its code. */
  async killedWhenScanned(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onScan = () => {
      this.#onScan = undefined
      resolve(this.kill())
    }
    return promise
  }

  /** Resolves when it is dead, and all that it printed is here. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    child?.kill('SIGKILL')
    await this.#gone
  }

  stored(): string[] {
    const store = Store.open(path.join(this.#folder, 'store', 'messages.db'))
    try {
      return store.messages.latest(this.alice.pn, 500).map(({ text }) => text)
    } finally {
      store.close()
    }
  }

  /** How many sessions with others the device has closed. libsignal prints each as it closes it, keys and all. */
  closedSessions(): number {
    const records = this.#authRows('session').map((value) => sessions.parse(JSON.parse(value, BufferJSON.reviver)))
    return records.flatMap(({ _sessions }) => Object.values(_sessions)).filter(({ indexInfo }) => indexInfo.closed !== -1).length
  }

  #authRows(type: string): string[] {
    const db = new SQLite(path.join(this.#folder, 'store', 'auth', 'whatsapp.db'))
    try {
      const rows = db.prepare("SELECT value FROM auth WHERE :type IN (type, '')").pluck().all({ type })
      return z.array(z.string()).parse(rows)
    } finally {
      db.close()
    }
  }

  /** Private keys that the process printed, in any way that Node prints bytes. */
  leaks(): string[] {
    const values = this.#authRows('')
    const secrets = values.flatMap((value) => [...value.matchAll(/"([A-Za-z0-9+/]{43}=)"/g)].map((match) => match[1] ?? ''))
    assert.ok(secrets.length > 100, `${secrets.length} keys are there to be looked for`)
    return secrets.filter((secret) => {
      const bytes = Buffer.from(secret, 'base64')
      const inspected = bytes.toString('hex').replace(/(..)/g, '$1 ').slice(0, 60)
      return [secret, bytes.toString('hex'), inspected].some((form) => this.#output.includes(form))
    })
  }
}
