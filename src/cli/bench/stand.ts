import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { loadConfig, PROJECT } from '../../config.ts'
import { type DemoModel, startDemoModel } from '../../demo/server.ts'
import { errorText } from '../../domain/errors.ts'
import { openForReading } from '../../store/read-only.ts'
import type { Store } from '../../store/store.ts'
import { ControlClient } from '../control-client.ts'
import type { Environment } from '../host.ts'

const execute = promisify(execFile)
const ANSWERED_WITHIN_MS = 900_000
const MAIN = path.join(PROJECT, 'src', 'cli', 'main.ts')

/** `command`: what is started as the host, in place of `./nanoclaw start`. */
type StandOptions = { env: Environment; command?: readonly string[] }

/** A host in a process of its own, which can be killed, on a root of its own, with the scripted model in this process. */
export class Stand {
  readonly root: string
  readonly client: ControlClient
  readonly image: string
  readonly #command: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  #model: DemoModel
  #host: ChildProcess | undefined

  private constructor(parts: { root: string; model: DemoModel; env: NodeJS.ProcessEnv; command: readonly string[] }) {
    const config = loadConfig(parts.env)
    this.root = parts.root
    this.#model = parts.model
    this.#env = parts.env
    this.#command = parts.command
    this.image = config.image
    this.client = new ControlClient({ socketPath: config.paths.controlSocket })
  }

  static async create({ env, command = [MAIN, 'start'] }: StandOptions): Promise<Stand> {
    const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-bench-'))
    const model = await startDemoModel({ keep: 0 })
    const login = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-ant-bench', CLAUDE_CODE_OAUTH_TOKEN: '' }
    return new Stand({ root, model, env: { ...env, NANOCLAW_HOME: root, ...login }, command })
  }

  get modelUrl(): string {
    return this.#model.url
  }

  /** Resolves when the host is ready; rejects when it ended, or was killed, before that. */
  async start(): Promise<void> {
    const host = spawn(process.execPath, this.#command, { env: this.#env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#host = host
    const lines: string[] = []
    await new Promise<void>((resolve, reject) => {
      host.stdout.on('data', (chunk: Buffer) => {
        if (lines.push(String(chunk)) > 50) lines.shift()
        if (/ Ready$/m.test(lines.join(''))) resolve()
      })
      host.once('exit', (code) => reject(new Error(`the host ended with ${code}:\n${lines.join('')}`)))
    })
  }

  /** kill -9 */
  async kill(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    if (!host || host.exitCode !== null || host.signalCode !== null) return
    const gone = once(host, 'exit')
    host.kill('SIGKILL')
    await gone
  }

  async modelDown(): Promise<void> {
    await this.#model.close()
  }

  async modelUp(): Promise<void> {
    this.#model = await startDemoModel({ keep: 0, port: Number(new URL(this.modelUrl).port) })
  }

  /** A group whose assistant answers everything in one chat. */
  async openGroup({ folder, jid }: { folder: string; jid: string }): Promise<void> {
    await this.client.registerChat({ jid, folder, requiresTrigger: false })
  }

  /** How long a message takes from being sent to its committed answer, in ms. */
  async answer(jid: string, text: string): Promise<number> {
    const start = performance.now()
    await answered(this.client, { jid, text })
    return performance.now() - start
  }

  /** Ids of this stand's running containers. */
  async containers(): Promise<string[]> {
    const install = readFileSync(path.join(this.root, 'data', 'install-id'), 'utf8').trim()
    const { stdout } = await execute('docker', ['ps', '--quiet', '--filter', `label=nanoclaw.install=${install}`])
    return stdout.split('\n').filter(Boolean)
  }

  /** The most memory the host's process had so far, in bytes; undefined where the system does not say. */
  peakMemory(): number | undefined {
    try {
      const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#host?.pid}/status`, 'utf8')) ?? []
      return kib === undefined ? undefined : Number(kib) * 1024
    } catch {
      return undefined
    }
  }

  /** What the host has stored so far. */
  read<T>(work: (store: Store) => T): T {
    const store = openForReading(path.join(this.root, 'store', 'messages.db'))
    if (!store) throw new Error(`There is no database below ${this.root}.`)
    try {
      return work(store)
    } finally {
      store.close()
    }
  }

  /** Ends everything, containers too; the root stays with `keep`. */
  async close({ keep = false }: { keep?: boolean } = {}): Promise<void> {
    await this.kill()
    for (const id of await this.containers().catch(() => [])) await killQuietly(id)
    await this.#model.close()
    if (!keep) rmSync(this.root, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Says something, and resolves when its answer is committed. */
export async function answered(client: ControlClient, { jid, text }: { jid: string; text: string }): Promise<void> {
  const { seq } = await client.send(jid, text)
  for await (const event of client.outcome(jid, seq, AbortSignal.timeout(ANSWERED_WITHIN_MS)))
    if (event.type === 'failed') throw new Error(event.message)
}

/** A container that has ended by itself meanwhile is as good as killed. */
export async function killQuietly(id: string): Promise<void> {
  await execute('docker', ['kill', id]).catch((error) => {
    if (!/is not running|No such container/.test(errorText(error))) throw error
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
