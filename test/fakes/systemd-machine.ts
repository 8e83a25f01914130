import { execFile, execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PROJECT } from '../../src/config.ts'
import { type DemoModel, startDemoModel } from '../../src/demo/server.ts'
import { findEngine } from '../../src/runtimes/find-engine.ts'
import { bridgeAddress } from './guide-project.ts'
import { until } from './patience.ts'

const RECIPE = path.join(import.meta.dirname, 'systemd')
const USER = 'ada'
/** Where the machine finds what this project has installed; out here that may be in a folder closed to others. */
const SHARED = '/opt/nanoclaw'
export const NODE = `${SHARED}/bin/node`
/** Enough for systemd as PID 1, its user managers and their sandboxes. */
const POWERS = [
  ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE'].flatMap((name) => ['--cap-add', name]),
  ...['seccomp=unconfined', 'apparmor=unconfined'].flatMap((option) => ['--security-opt', option]),
  ...['--cgroupns', 'host', '--volume', '/sys/fs/cgroup:/sys/fs/cgroup', '--tmpfs', '/run', '--tmpfs', '/run/lock'],
]

export type Said = { code: number; stdout: string; stderr: string }

/**
 * A machine with systemd as its init, in a container, and on it a clone of this project of an ordinary user. Its Docker is
 * the one out here: folders are at the same place inside and outside, so what the host mounts is what it means.
 */
export class SystemdMachine {
  readonly #name = `nanoclaw-test-systemd-${randomUUID().slice(0, 8)}`
  readonly #folder = path.join(os.tmpdir(), this.#name)
  readonly project = path.join(this.#folder, 'project')
  readonly #original: string
  #model: DemoModel | undefined

  /** `original`: the folder of the program to clone, with its libraries installed. */
  constructor({ original = PROJECT }: { original?: string } = {}) {
    this.#original = original
  }

  /** Makes the clone and boots. `env`: further lines of `.env`. */
  async boot({ env = '' }: { env?: string } = {}): Promise<void> {
    this.#model = await startDemoModel({ host: bridgeAddress() })
    this.#clone()
    writeFileSync(path.join(this.project, '.env'), `ANTHROPIC_BASE_URL=${this.#model.url}\n${env}`, { mode: 0o600 })
    const { socketPath } = await findEngine({ env: process.env, homedir: os.homedir() })
    const shared = [
      `${this.#folder}:${this.#folder}`,
      `${socketPath}:/run/docker.sock`,
      `${process.execPath}:${NODE}:ro`,
      `${dockerCommand()}:/usr/bin/docker:ro`,
      `${path.join(this.#original, 'node_modules')}:${SHARED}/node_modules:ro`,
      `${path.join(this.#original, 'protocol')}:${SHARED}/protocol:ro`,
    ]
    const volumes = shared.flatMap((volume) => ['--volume', volume])
    docker('run', '--detach', '--name', this.#name, ...POWERS, ...volumes, machineImage())
    await this.#booted()
    await this.asRoot(`chown -R ${USER} ${this.#folder} && loginctl enable-linger ${USER}`)
    await this.#userManagerRuns()
  }

  async reboot(): Promise<void> {
    docker('restart', '--time', '60', this.#name)
    await this.#booted()
  }

  /** The group of Docker's socket, as on a machine with Docker; whoever is logged in gets it at the next login. */
  async joinDockerGroup(): Promise<void> {
    await this.asRoot(`groupadd --gid $(stat -c %g /run/docker.sock) docker; usermod -aG docker ${USER}`)
  }

  async restartUserManager(): Promise<void> {
    await this.asRoot('systemctl restart user@1000.service')
    await this.#userManagerRuns()
  }

  asRoot(command: string): Promise<Said> {
    return this.#exec(['--user', 'root'], command)
  }

  /** In the project's folder, by a shell that knows the groups of now. */
  asUser(command: string): Promise<Said> {
    const programs = `${path.dirname(NODE)}:/usr/bin:/bin`
    return this.#exec(
      ['--user', USER, '--workdir', this.project, '--env', `PATH=${programs}`, '--env', 'XDG_RUNTIME_DIR=/run/user/1000'],
      command,
    )
  }

  async remove(): Promise<void> {
    await this.asRoot(`systemctl stop user@1000.service; rm -rf ${this.#folder}/*`)
    docker('rm', '--force', '--volumes', this.#name)
    rmSync(this.#folder, { recursive: true, force: true })
    await this.#model?.close()
  }

  #clone(): void {
    for (const name of [
      '.dockerignore',
      '.npmrc',
      'nanoclaw',
      'package.json',
      'package-lock.json',
      'protocol',
      'runtime',
      'src',
      'container',
      'groups/main/CLAUDE.md',
      'groups/global/CLAUDE.md',
    ]) {
      const filter = (source: string) => path.basename(source) !== 'node_modules'
      cpSync(path.join(this.#original, name), path.join(this.project, name), { recursive: true, filter })
    }
    // As installed, so that the launcher finds nothing to do.
    const modules = path.join(this.project, 'node_modules')
    mkdirSync(modules)
    for (const name of readdirSync(path.join(this.#original, 'node_modules'))) {
      if (!name.startsWith('.')) symlinkSync(path.join(SHARED, 'node_modules', name), path.join(modules, name))
    }
    copyFileSync(path.join(this.#original, 'package-lock.json'), path.join(modules, '.installed-all'))
  }

  async #booted(): Promise<void> {
    await until(
      async () => /running|degraded/.test((await this.asRoot('systemctl is-system-running')).stdout),
      'the machine boots',
    )
  }

  async #userManagerRuns(): Promise<void> {
    await until(async () => (await this.asRoot('systemctl is-active user@1000.service')).code === 0, 'systemd runs for the user')
  }

  #exec(options: string[], command: string): Promise<Said> {
    return new Promise((resolve) => {
      execFile('docker', ['exec', ...options, this.#name, '/bin/sh', '-c', command], (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  }
}

/** Kept in the engine under a name that says what it was made of; the first time takes half a minute. */
function machineImage(): string {
  const base = baseImage()
  const ca = [process.env.EXTRA_CA_FILE, process.env.NODE_EXTRA_CA_CERTS].find((file) => file && existsSync(file))
  const context = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-systemd-image-'))
  try {
    mkdirSync(path.join(context, 'ca'))
    copyFileSync(path.join(RECIPE, 'Dockerfile'), path.join(context, 'Dockerfile'))
    if (ca) copyFileSync(ca, path.join(context, 'ca', 'extra.crt'))
    return docker('build', '--quiet', '--build-arg', `BASE_IMAGE=${base}`, '--tag', 'nanoclaw-test-systemd', context).trim()
  } finally {
    rmSync(context, { recursive: true })
  }
}

/** What the agents' image is built on: Debian's own, or the one made of packages. */
function baseImage(): string {
  const script = `
    . container/base.sh
    say() { :; }
    fail() { echo "$*" >&2; exit 1; }
    wanted_base=$BASE_IMAGE fresh= engine=docker context=$(mktemp -d)
    base_image`
  const env = { ...process.env, BASE_IMAGE: process.env.BASE_IMAGE ?? '' }
  return execFileSync('/bin/sh', ['-c', script], { cwd: PROJECT, env, encoding: 'utf8' }).trim()
}

function dockerCommand(): string {
  return realpathSync(execFileSync('/bin/sh', ['-c', 'command -v docker'], { encoding: 'utf8' }).trim())
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' })
}
