import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { HostStatus } from '@nanoclaw/protocol'
import { ControlClient } from '../../src/cli/control-client.ts'
import { outcomeOf } from '../../src/cli/terminal/outcome.ts'
import { PROJECT, pathsOf } from '../../src/config.ts'
import { type DemoModel, type DemoModelOptions, type RecordedRequest, startDemoModel } from '../../src/demo/server.ts'
import { patience, until } from './patience.ts'

/** Made anew each time, so that it stands in no file but those that were given it. */
export const DUMMY_KEY = `sk-ant-api03-${randomUUID()}`

const MAIN = 'local:main'
const ANSWER_LIMIT_MS = 180_000

type TestContext = { after(fn: () => unknown): void }
/**
 * `root`: a folder that is removed at the end, too. `entry`: what is started as the host, in place of the real command line.
 * `project`: the folder of the program, for one of an earlier version.
 */
export type TestHostOptions = { root?: string; entry?: string; model?: DemoModelOptions; project?: string }
type Hold = { words: string; released: Promise<void> }
type Parts = { root: string; model: DemoModel; holds: Hold[]; env: NodeJS.ProcessEnv; command: string; entry: string[] }
type Listed = 'groups' | 'containers' | 'channels' | 'troubles'
type Several<T> = T extends (infer One)[] ? [One, One, One, ...One[]] : never
/** What the host tells; a test that takes something out of a list that is not there fails by itself. */
export type SeenStatus = Omit<HostStatus, Listed> & { [Name in Listed]: Several<HostStatus[Name]> }
export type Finished = { code: number | null; stdout: string; stderr: string }

/** The real command line on a root of its own, with the scripted model in this process in place of the model API. */
export class TestHost {
  readonly root: string
  readonly model: DemoModel
  readonly env: NodeJS.ProcessEnv
  /** The file of the command line. */
  readonly command: string
  readonly #entry: string[]
  readonly #holds: Hold[]
  #host: ChildProcess | undefined

  private constructor({ root, model, holds, env, command, entry }: Parts) {
    this.root = root
    this.model = model
    this.env = env
    this.command = command
    this.#entry = entry
    this.#holds = holds
  }

  static async create(t: TestContext, env: NodeJS.ProcessEnv = {}, options: TestHostOptions = {}): Promise<TestHost> {
    const root = options.root ?? mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-e2e-'))
    const holds: Hold[] = []
    const model = await startDemoModel({
      ...options.model,
      async onRequest(request) {
        await options.model?.onRequest?.(request)
        await Promise.all(holds.filter(({ words }) => isAbout(request, words)).map(({ released }) => released))
      },
    })
    const settings = {
      NANOCLAW_HOME: root,
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: DUMMY_KEY,
      CLAUDE_CODE_OAUTH_TOKEN: '',
    }
    const command = path.join(options.project ?? PROJECT, 'src', 'cli', 'main.ts')
    const entry = options.entry ? [options.entry] : [command, 'start']
    const host = new TestHost({ root, model, holds, env: { ...process.env, ...settings, ...env }, command, entry })
    t.after(async () => {
      await host.stop()
      await model.close()
      rmSync(root, { recursive: true, force: true })
    })
    return host
  }

  /** Runs a command to its end. */
  run(args: string[], { env = {}, input = '' }: { env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<Finished> {
    const child = this.#spawn([this.command, ...args], env)
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => (stdout += chunk))
    child.stderr?.on('data', (chunk) => (stderr += chunk))
    child.stdin?.end(input)
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  }

  /**
   * One message in main's terminal and its answer; throws when there is none. It goes over the host's socket where a host
   * runs, and over the command line, which starts one for the answer, where none does or where it is given options.
   */
  async say(text: string, options: string[] = []): Promise<string> {
    if (!this.dead && options.length === 0) return this.#sayToHost(text)
    const { code, stdout, stderr } = await this.run(['chat', '--once', text, ...options])
    if (code !== 0) throw new Error(`chat --once ended with ${code}: ${stderr}`)
    return stdout.trimEnd()
  }

  async #sayToHost(text: string): Promise<string> {
    const { client } = this
    const { seq } = await client.send(MAIN, text)
    const outcome = await outcomeOf({ client, jid: MAIN, seq, signal: AbortSignal.timeout(patience(ANSWER_LIMIT_MS)) })
    if (outcome?.type === 'answer') return (outcome.text ?? '').trimEnd()
    throw new Error(`no answer to ${text}: ${outcome?.message ?? 'it took too long'}`)
  }

  /** The host's socket, as the command line uses it. */
  get client(): ControlClient {
    return new ControlClient({ socketPath: pathsOf(this.root, this.env).controlSocket })
  }

  /** From now on, the model begins no answer to what has these words in it, until it is released. */
  hold(words: string): { release(): void } {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    this.#holds.push({ words, released })
    return { release }
  }

  /** Resolves when the model was asked about something with these words. */
  async modelWasAsked(words: string): Promise<void> {
    const seen = () => `${this.model.requests.length} requests`
    await until(() => this.model.requests.some((request) => isAbout(request, words)), `the model is asked ${words}`, { seen })
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

  async status(): Promise<SeenStatus> {
    return (await this.client.status()) as SeenStatus
  }

  file(...parts: string[]): string {
    return readFileSync(path.join(this.root, ...parts), 'utf8')
  }

  #spawn(args: string[], env: NodeJS.ProcessEnv): ChildProcess {
    mkdirSync(this.root, { recursive: true })
    return spawn(process.execPath, args, { env: { ...this.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  }
}

function isAbout({ body }: RecordedRequest, words: string): boolean {
  return JSON.stringify(body).includes(words)
}
