import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PROJECT, readEnvFile } from '../../src/config.ts'
import { type DemoModel, startDemoModel } from '../../src/demo/server.ts'

export const GUIDE_KEY = 'sk-ant-api03-key-of-a-reader-of-the-guides'

/** What a clone holds. `groups` may hold a user's own, too. */
const CLONED = [
  '.dockerignore',
  '.npmrc',
  'container',
  'nanoclaw',
  'optional',
  'package.json',
  'package-lock.json',
  'protocol',
  'runtime',
  'src',
  'groups/main/CLAUDE.md',
  'groups/global/CLAUDE.md',
]
/** Nothing of the settings or the login of whoever runs the tests reaches the reader's shell. */
const KEPT_VARIABLES = /^(LANG|LC_\w+|TERM|TMPDIR|XDG_RUNTIME_DIR|DOCKER_\w+|\w+_proxy|NPM_CONFIG_\w+|NODE_EXTRA_CA_CERTS)$/i
/** What this machine's image is built with. */
const BUILD_SETTINGS = ['BASE_IMAGE', 'EXTRA_CA_FILE']

export type Output = { code: number | null; stdout: string; stderr: string }

/**
 * A reader of the guides: a project folder as a clone gives it, with an `.env`, a home folder and a shell in it.
 * The `.env` names a model of the reader's own, which containers on the engine's bridge can reach: the scripted one.
 */
export class GuideProject {
  readonly #base = path.join(os.tmpdir(), `guide-${randomUUID()}`)
  readonly folder = path.join(this.#base, 'nanoclaw')
  readonly #home = path.join(this.#base, 'home')
  readonly #env = readersEnvironment(this.#home)
  #model: DemoModel | undefined
  #host: ChildProcess | undefined

  /** Makes the folders and starts the model. */
  async prepare(): Promise<void> {
    for (const name of ['.claude/projects', 'bin']) mkdirSync(path.join(this.#home, name), { recursive: true })
    for (const name of CLONED) {
      const filter = (source: string) => path.basename(source) !== 'node_modules'
      cpSync(path.join(PROJECT, name), this.path(name), { recursive: true, filter })
    }
    symlinkSync(path.join(PROJECT, 'node_modules'), this.path('node_modules'))
    this.#standInForSqlite()
    this.#model = await startDemoModel({ host: bridgeAddress() })
    const login = `ANTHROPIC_API_KEY=${GUIDE_KEY}\nANTHROPIC_BASE_URL=${this.#model.url}\n`
    writeFileSync(this.path('.env'), login, { mode: 0o600 })
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts)
  }

  file(...parts: string[]): string {
    return readFileSync(this.path(...parts), 'utf8')
  }

  /** Runs what a reader pastes into a shell, in the project's folder, to its end. */
  paste(
    command: string,
    { env = {}, stopAtError = false }: { env?: NodeJS.ProcessEnv; stopAtError?: boolean } = {},
  ): Promise<Output> {
    const child = this.#bash(command, { env, options: stopAtError ? ['-e'] : [] })
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => (stdout += chunk))
    child.stderr?.on('data', (chunk) => (stderr += chunk))
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
  }

  /** Pastes a command that starts the host, and waits until it is ready. Returns what it printed up to then. */
  async startHost(command: string): Promise<string> {
    const host = this.#bash(command)
    let output = ''
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk
        if (/ Ready$/m.test(output)) resolve()
      }
      host.stdout?.on('data', read)
      host.stderr?.on('data', read)
      host.on('exit', (code) => reject(new Error(`\`${command}\` ended with ${code}: ${output}`)))
    })
    this.#host = host
    return output
  }

  /** Ctrl-C for the host, whatever started it. */
  async stopHost(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    if (!host || host.exitCode !== null) return
    const gone = new Promise((resolve) => host.once('close', resolve))
    process.kill(JSON.parse(this.file('data', 'host.json')).pid, 'SIGINT')
    await gone
  }

  /** One message to main, and its answer. */
  async say(text: string): Promise<string> {
    const { code, stdout, stderr } = await this.paste(`./nanoclaw chat --once '${text.replaceAll("'", `'\\''`)}'`)
    if (code !== 0) throw new Error(`chat --once ended with ${code}: ${stderr}`)
    return stdout.trimEnd()
  }

  async sessionOfMain(): Promise<string> {
    return JSON.parse((await this.paste('./nanoclaw status --json')).stdout).groups[0].sessionId
  }

  /** What a reader who is neither root nor uid 1000, the container's user, has to do with sudo. */
  letNodeRead(file: string): void {
    if (isForeign()) chmodSync(this.path(file), 0o644)
  }

  letNodeWrite(folder: string): void {
    if (isForeign()) chmodSync(this.path(folder), 0o777)
  }

  /** The guides use sqlite3's command line, which this machine may not have. */
  #standInForSqlite(): void {
    if (spawnSync('sqlite3', ['--version']).status === 0) return
    const library = path.join(PROJECT, 'node_modules', 'better-sqlite3')
    const script = `#!${process.execPath}\nrequire('${library}')(process.argv[2]).exec(process.argv[3])\n`
    writeFileSync(path.join(this.#home, 'bin', 'sqlite3'), script, { mode: 0o755 })
  }

  /** Removes everything, also the containers that the guides' commands without `--rm` leave behind. */
  async remove(): Promise<void> {
    await this.stopHost()
    const left = ['data/env', 'data/ipc'].flatMap((mounted) =>
      docker('ps', '--all', '--quiet', '--filter', `volume=${this.path(mounted)}`).split('\n'),
    )
    for (const id of new Set(left.filter(Boolean))) docker('rm', '--force', id)
    await this.#model?.close()
    rmSync(this.#base, { recursive: true, force: true })
  }

  #bash(command: string, { env = {}, options = [] }: { env?: NodeJS.ProcessEnv; options?: string[] } = {}): ChildProcess {
    const all = { ...this.#env, ...env }
    return spawn('bash', [...options, '-c', command], { cwd: this.folder, env: all, stdio: ['ignore', 'pipe', 'pipe'] })
  }
}

function isForeign(): boolean {
  return ![0, 1000].includes(process.getuid?.() ?? 1000)
}

function readersEnvironment(home: string): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => KEPT_VARIABLES.test(name)))
  // The engine is the one that whoever runs the tests has chosen, though HOME is another.
  const engine = { DOCKER_CONFIG: process.env.DOCKER_CONFIG ?? path.join(os.homedir(), '.docker') }
  const settings: NodeJS.ProcessEnv = { ...readEnvFile(path.join(PROJECT, '.env')), ...process.env }
  const build = Object.fromEntries(BUILD_SETTINGS.flatMap((name) => (settings[name] ? [[name, settings[name]]] : [])))
  return {
    ...kept,
    ...engine,
    ...build,
    HOME: home,
    PATH: [path.join(home, 'bin'), path.dirname(process.execPath), process.env.PATH].join(':'),
  }
}

/** Where a container on the bridge reaches this machine. Docker leaves the gateway out where it is the subnet's first address. */
export function bridgeAddress(): string {
  const [{ Subnet, Gateway }] = JSON.parse(docker('network', 'inspect', 'bridge', '--format', '{{json .IPAM.Config}}'))
  const gateway: string = Gateway ?? String(Subnet).replace(/\d+\/\d+$/, '1')
  const own = Object.values(os.networkInterfaces()).flatMap((addresses) => addresses ?? [])
  if (own.some(({ address }) => address === gateway)) return gateway
  // An engine in a virtual machine of its own reaches this one by its address in the network.
  const outer = own.find(({ family, internal }) => family === 'IPv4' && !internal)
  if (!outer) throw new Error(`No container can reach this machine: it has neither ${gateway} nor an address in a network.`)
  return outer.address
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' })
}

/** The ids of finished containers of this image that ran exactly this, e.g. `"/bin/echo OK"`. */
export function finishedRuns(image: string, command: string): string[] {
  const format = '{{.ID}} {{.Command}}'
  const args = ['ps', '--all', '--no-trunc', '--filter', `ancestor=${image}`, '--filter', 'status=exited', '--format', format]
  const lines = spawnSync('docker', args, { encoding: 'utf8' }).stdout.split('\n')
  return lines.filter((line) => line.endsWith(` "${command}"`)).map((line) => line.split(' ')[0] ?? '')
}
