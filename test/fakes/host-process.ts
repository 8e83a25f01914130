import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PROJECT } from '../../src/config.ts'
import { type DemoModel, type DemoModelOptions, startDemoModel } from '../../src/demo/server.ts'

/** Made anew each time, so that it stands in no file but those that were given it. */
export const DUMMY_KEY = `sk-ant-api03-${randomUUID()}`

const COMMAND = path.join(PROJECT, 'src', 'cli', 'main.ts')

type TestContext = { after(fn: () => unknown): void }
/** `root`: a folder that is removed at the end, too. `entry`: what is started as the host, in place of the real command line. */
export type TestHostOptions = { root?: string; entry?: string; model?: DemoModelOptions }
export type Finished = { code: number | null; stdout: string; stderr: string }

/** The real command line on a root of its own, with the scripted model in this process in place of the model API. */
export class TestHost {
  readonly root: string
  readonly model: DemoModel
  readonly env: NodeJS.ProcessEnv
  readonly #entry: string[]
  #host: ChildProcess | undefined

  private constructor({ root, model, env, entry }: { root: string; model: DemoModel; env: NodeJS.ProcessEnv; entry: string[] }) {
    this.root = root
    this.model = model
    this.env = env
    this.#entry = entry
  }

  static async create(t: TestContext, env: NodeJS.ProcessEnv = {}, options: TestHostOptions = {}): Promise<TestHost> {
    const root = options.root ?? mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-e2e-'))
    const model = await startDemoModel(options.model)
    const settings = {
      NANOCLAW_HOME: root,
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: DUMMY_KEY,
      CLAUDE_CODE_OAUTH_TOKEN: '',
    }
    const entry = options.entry ? [options.entry] : [COMMAND, 'start']
    const host = new TestHost({ root, model, env: { ...process.env, ...settings, ...env }, entry })
    t.after(async () => {
      await host.stop()
      await model.close()
      rmSync(root, { recursive: true, force: true })
    })
    return host
  }

  /** Runs a command to its end. */
  run(args: string[], { env = {}, input = '' }: { env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<Finished> {
    const child = this.#spawn([COMMAND, ...args], env)
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => (stdout += chunk))
    child.stderr?.on('data', (chunk) => (stderr += chunk))
    child.stdin?.end(input)
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  }

  /** One message and its answer. Throws when there is none. */
  async say(text: string, options: string[] = []): Promise<string> {
    const { code, stdout, stderr } = await this.run(['chat', '--once', text, ...options])
    if (code !== 0) throw new Error(`chat --once ended with ${code}: ${stderr}`)
    return stdout.trimEnd()
  }

  /** Starts the host and waits until it is ready; rejects when it ends before that. */
  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const host = this.#spawn(this.#entry, env)
    let output = ''
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk
        if (/ Ready$/m.test(output)) resolve()
      }
      host.stdout?.on('data', read)
      host.stderr?.on('data', read)
      host.on('exit', (code) => reject(new Error(`the host ended with ${code}: ${output}`)))
    })
    this.#host = host
  }

  get pid(): number | undefined {
    return this.#host?.pid
  }

  /** The process has ended, by itself or because it was killed. */
  get dead(): boolean {
    return !this.#host || this.#host.exitCode !== null || this.#host.signalCode !== null
  }

  /** kill -9, as a power cut would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const host = this.#host
    this.#host = undefined
    if (!host || host.exitCode !== null || host.signalCode !== null) return host?.exitCode ?? null
    const gone = new Promise<number | null>((resolve) => host.once('exit', resolve))
    host.kill(signal)
    return gone
  }

  async status() {
    return JSON.parse((await this.run(['status', '--json'])).stdout)
  }

  file(...parts: string[]): string {
    return readFileSync(path.join(this.root, ...parts), 'utf8')
  }

  #spawn(args: string[], env: NodeJS.ProcessEnv): ChildProcess {
    mkdirSync(this.root, { recursive: true })
    return spawn(process.execPath, args, { env: { ...this.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  }
}
