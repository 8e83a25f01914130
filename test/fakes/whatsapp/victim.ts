import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import type { BinaryNode } from 'baileys'
import SQLite from 'better-sqlite3'
import { Store } from '../../../src/store/store.ts'
import { until } from '../patience.ts'
import { type TestContext, temporaryFolder } from '../rooms.ts'
import type { Phone } from './phone.ts'
import { FakeWhatsApp } from './server.ts'

/** A host in a process of its own that is killed without warning, and what it printed in all its lives. */
export class Victim {
  readonly server: FakeWhatsApp
  readonly olga: Phone
  readonly alice: Phone
  readonly #folder: string
  #child: ChildProcess | undefined
  #online = false
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

  get output(): string {
    return this.#output.slice(-500)
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  async start(): Promise<void> {
    this.#online = false
    const entry = path.join(import.meta.dirname, 'echo-host.ts')
    const argv = ['--disable-warning=ExperimentalWarning', entry, this.#folder, this.server.url, this.alice.pn]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
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
    if (event.type === 'qr') this.server.scan(event.data, this.olga)
    if (event.type === 'state') this.#online = event.state === 'online'
  }

  async online(): Promise<void> {
    await until(() => this.#online, `it is online: ${this.output}`)
  }

  /** Started, and linked if it was not. */
  async linked(): Promise<void> {
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

  /** The owner scans, and this long after, the process is gone. */
  async killedWhileLinking(afterMs: number): Promise<void> {
    const before = this.server.linked(this.olga)
    await this.start()
    await until(() => this.server.linked(this.olga) > before || this.#online, 'somebody scanned')
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await this.kill()
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  stored(): string[] {
    const store = Store.open(path.join(this.#folder, 'store', 'messages.db'))
    try {
      return store.messages.latest(this.alice.pn, 500).map(({ text }) => text)
    } finally {
      store.close()
    }
  }

  /** Private keys that the process printed, in any way that Node prints bytes. */
  leaks(): string[] {
    const db = new SQLite(path.join(this.#folder, 'store', 'auth', 'whatsapp.db'))
    const values = db.prepare('SELECT value FROM auth').pluck().all() as string[]
    db.close()
    const secrets = values.flatMap((value) => [...value.matchAll(/"([A-Za-z0-9+/]{43}=)"/g)].map((match) => match[1] ?? ''))
    assert.ok(secrets.length > 100, `${secrets.length} keys are there to be looked for`)
    return secrets.filter((secret) => {
      const bytes = Buffer.from(secret, 'base64')
      const inspected = bytes.toString('hex').replace(/(..)/g, '$1 ').slice(0, 60)
      return [secret, bytes.toString('hex'), inspected].some((form) => this.#output.includes(form))
    })
  }
}
