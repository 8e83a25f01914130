import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PROJECT } from '../../src/config.ts'
import { until } from './patience.ts'

const PACKAGES = ['podman', 'uidmap', 'fuse-overlayfs', 'slirp4netns', 'catatonit', 'runc']
/** Out of the way of those that useradd gives by itself. */
const SUBORDINATE_IDS = '1000000-1065535'

export type Ran = { code: number | null; output: string }

/** Podman as an ordinary user has it: installed if need be, with a user, a storage and a socket that go with the test. */
export class RootlessPodman {
  readonly #user = `ncpodman${randomBytes(3).toString('hex')}`
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'ncpodman-'))

  /** Takes root, and Debian or Ubuntu. */
  static async start(): Promise<RootlessPodman> {
    install()
    const podman = new RootlessPodman()
    podman.#makeUser()
    const service = podman.#spawn(['podman', 'system', 'service', '--time=0', `unix://${podman.#socket}`])
    for (const output of [service.stdout, service.stderr]) output?.resume() // a pipe that is full would hold it up
    await until(() => existsSync(podman.#socket), "Podman's socket is there")
    return podman
  }

  get #socket(): string {
    return path.join(this.#folder, 'podman.sock')
  }

  /** Hands an image of this machine's Docker over. */
  async load(image: string): Promise<void> {
    const saved = spawn('docker', ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] })
    const loading = this.#spawn(['podman', 'load', '--quiet'])
    if (loading.stdin) saved.stdout.pipe(loading.stdin)
    const [code] = await once(loading, 'exit')
    if (code !== 0) throw new Error(`podman load ended with ${code}`)
  }

  /** Runs test files as the user, on this engine, as `node --test` does. */
  async test(args: string[], env: Record<string, string> = {}): Promise<Ran> {
    const child = this.#spawn([process.execPath, '--test', '--test-force-exit', ...args], env)
    let output = ''
    child.stdout?.on('data', (chunk) => (output += chunk))
    child.stderr?.on('data', (chunk) => (output += chunk))
    const [code] = await once(child, 'close')
    return { code, output }
  }

  /** Ends everything of the user, and removes it with its storage. */
  async stop(): Promise<void> {
    // The service, what it started, and the process that holds the user's namespaces; with it go all mounts.
    for (const pid of this.#processes()) process.kill(pid, 'SIGKILL')
    await until(() => this.#processes().length === 0, 'nothing of the user runs')
    execFileSync('userdel', [this.#user])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #processes(): number[] {
    const { uid } = statSync(this.#folder)
    const isOurs = (pid: string) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && isOurs(name))
      .map(Number)
  }

  #spawn(argv: string[], env: Record<string, string> = {}): ChildProcess {
    const as = ['--reuid', this.#user, '--regid', this.#user, '--init-groups', ...argv]
    const { PATH = '', CI } = process.env
    const own = { HOME: this.#folder, XDG_RUNTIME_DIR: this.#folder, DOCKER_HOST: `unix://${this.#socket}` }
    return spawn('setpriv', as, { cwd: PROJECT, env: { PATH, ...(CI && { CI }), ...own, ...env } })
  }

  #makeUser(): void {
    execFileSync('useradd', ['--home-dir', this.#folder, '--no-create-home', '--user-group', this.#user])
    execFileSync('usermod', ['--add-subuids', SUBORDINATE_IDS, '--add-subgids', SUBORDINATE_IDS, this.#user])
    const config = path.join(this.#folder, '.config', 'containers')
    mkdirSync(config, { recursive: true })
    writeFileSync(path.join(config, 'storage.conf'), '[storage]\ndriver = "overlay"\n')
    writeFileSync(path.join(config, 'containers.conf'), CONTAINERS_CONF)
    execFileSync('chown', ['--recursive', `${this.#user}:`, this.#folder])
  }
}

/** No systemd is asked for anything, so this also works in a container and where nobody is logged in. */
const CONTAINERS_CONF = `[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

function install(): void {
  const has = (program: string) => PLACES.some((folder) => existsSync(path.join(folder, program)))
  if (['podman', 'newuidmap', 'runc'].every(has)) return
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  execFileSync('apt-get', ['update', '--quiet'], { env })
  execFileSync('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...PACKAGES], { env })
}

const PLACES = ['/usr/bin', '/usr/sbin']
