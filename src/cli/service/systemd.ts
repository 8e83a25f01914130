import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { AppError, errorText } from '../../domain/errors.ts'
import { writeFileDurably } from '../../files.ts'
import { commandLine } from '../setup/command.ts'
import type { Scope, ServiceFacts } from './choose.ts'
import { beganBeforeDocker, lingers } from './login-facts.ts'
import type { Argv, Ran, Run } from './run.ts'
import type { Service, ServiceState } from './service.ts'
import { systemdUnit, type UnitParts, WRITTEN_BY_US } from './systemd-unit.ts'

const UNIT = 'nanoclaw.service'
/** A unit of this kind is tried before ours is written: is the sandbox in force, and Docker still within reach? */
const TRIAL = [
  'PrivateUsers=yes',
  'ProtectSystem=strict',
  'ProtectHome=read-only',
  'NoNewPrivileges=yes',
  'RestrictNamespaces=yes',
]

type Parts = Omit<UnitParts, 'scope' | 'sandbox' | 'systemdVersion'>

/** The service as a unit of systemd. */
export class SystemdService implements Service {
  readonly #scope: Scope
  readonly #user: ServiceFacts['user']
  readonly #parts: Parts
  readonly #run: Run
  readonly #file: string

  constructor({ scope, user, parts, run }: { scope: Scope; user: ServiceFacts['user']; parts: Parts; run: Run }) {
    this.#scope = scope
    this.#user = user
    this.#parts = parts
    this.#run = run
    const folder = scope === 'user' ? path.join(user.home, '.config', 'systemd', 'user') : '/etc/systemd/system'
    this.#file = path.join(folder, UNIT)
  }

  async install(): Promise<string[]> {
    const sandbox = await this.#sandboxWorks()
    const kept = this.#keepForeignUnit()
    const closed = this.#parts.writable.flatMap(makeWritable)
    mkdirSync(path.dirname(this.#file), { recursive: true })
    const text = systemdUnit({ ...this.#parts, scope: this.#scope, sandbox, systemdVersion: await this.#version() })
    writeFileDurably(this.#file, { text, mode: 0o644 })
    await this.#systemctl('daemon-reload')
    await this.#systemctl('enable', UNIT)
    const lines = [
      `Wrote ${this.#file}`,
      ...kept,
      ...closed,
      ...(sandbox ? [] : [NO_SANDBOX]),
      ...(await this.#stayWithoutLogin()),
    ]
    await this.restart()
    return [...lines, 'NanoClaw runs, and starts with this machine.']
  }

  async uninstall(): Promise<string[]> {
    if (!existsSync(this.#file)) return ['There is no service to remove.']
    await this.#systemctl('disable', '--now', UNIT)
    rmSync(this.#file)
    await this.#systemctl('daemon-reload')
    return [`Removed ${this.#file}; groups, data and settings stay.`]
  }

  async start(): Promise<void> {
    await this.#change('start')
  }

  async stop(): Promise<void> {
    this.#needInstalled()
    await this.#systemctl('stop', UNIT)
  }

  async restart(): Promise<void> {
    await this.#change('restart')
  }

  async state(): Promise<ServiceState> {
    const shown = await this.#show(UNIT, 'ActiveState', 'SubState', 'MainPID', 'NRestarts', 'ActiveEnterTimestamp', 'Result')
    const { ActiveState = 'unknown', SubState, MainPID, NRestarts, ActiveEnterTimestamp, Result } = shown
    const running = ActiveState === 'active'
    const since = running ? `process ${MainPID}, since ${ActiveEnterTimestamp}, ${NRestarts} restarts` : `result: ${Result}`
    const installed = existsSync(this.#file)
    const notes = installed && this.#scope === 'user' ? [...(await this.#lingerNotes()), ...(await this.#groupNotes())] : []
    return { manager: 'systemd', file: this.#file, installed, running, detail: `${ActiveState} (${SubState}), ${since}`, notes }
  }

  /** Waits until the host says that it is ready, so that what fails is told here. */
  async #change(verb: 'start' | 'restart'): Promise<void> {
    this.#needInstalled()
    const stale = await this.#groupNotes()
    if (stale[0] !== undefined) throw failed(stale.join('\n'))
    await this.#run(this.#argv('reset-failed', UNIT))
    const { code } = await this.#run(this.#argv(verb, UNIT))
    if (code !== 0) throw failed(`NanoClaw did not start. What it said last:\n${await this.#lastWords()}`)
  }

  #needInstalled(): void {
    if (!existsSync(this.#file)) throw failed('There is no service yet: ./nanoclaw service install')
  }

  /** What a person wrote by hand, or followed a guide to, is set aside. */
  #keepForeignUnit(): string[] {
    if (!existsSync(this.#file) || readFileSync(this.#file, 'utf8').startsWith(WRITTEN_BY_US)) return []
    const kept = `${this.#file}.before`
    renameSync(this.#file, kept)
    return [`The unit that was there is kept as ${kept}.`]
  }

  /** An ordinary user's service ends with his last session, unless systemd is told to keep it. */
  async #stayWithoutLogin(): Promise<string[]> {
    if (this.#scope === 'system') return []
    await this.#run(['loginctl', '--no-ask-password', 'enable-linger', this.#user.name])
    return this.#lingerNotes()
  }

  async #lingerNotes(): Promise<string[]> {
    if (await lingers({ user: this.#user, run: this.#run })) return []
    return [
      '! It ends when you log out, and does not start at boot, until somebody with root runs:',
      `  sudo loginctl enable-linger ${this.#user.name}`,
    ]
  }

  async #groupNotes(): Promise<string[]> {
    if (this.#scope === 'system' || !(await beganBeforeDocker({ user: this.#user, run: this.#run }))) return []
    const { name, uid } = this.#user
    return [
      `! systemd for ${name} began before you came into the group docker, so NanoClaw may not reach Docker. Reboot, or:`,
      `  sudo systemctl restart user@${uid}.service   (it ends your other services and may end your session)`,
    ]
  }

  /** In a user's service the sandbox may be refused, or be passed over in silence. So it is tried. */
  async #sandboxWorks(): Promise<boolean> {
    if (this.#scope === 'system') return true
    const properties = TRIAL.flatMap((property) => ['--property', property])
    const closed = ['/bin/sh', '-c', 'test ! -w "$1"', 'sh', this.#user.home]
    const { code } = await this.#run(['systemd-run', '--user', '--wait', '--collect', '--quiet', ...properties, '--', ...closed])
    return code === 0
  }

  async #version(): Promise<number> {
    const { stdout } = await this.#run(['systemctl', '--version'])
    return Number.parseInt(/^systemd (\d+)/.exec(stdout)?.[1] ?? '0', 10)
  }

  async #show(unit: string, ...properties: string[]): Promise<Record<string, string>> {
    const { stdout } = await this.#run(this.#argv('show', unit, ...properties.map((name) => `--property=${name}`)))
    return Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
  }

  async #lastWords(): Promise<string> {
    const whose = this.#scope === 'user' ? ['--user'] : []
    const { stdout } = await this.#run(['journalctl', ...whose, '--unit', UNIT, '--lines', '12', '--no-pager', '--output', 'cat'])
    return stdout.trimEnd() || '(The journal has nothing. logs/nanoclaw.log may.)'
  }

  async #systemctl(...words: string[]): Promise<Ran> {
    const argv = this.#argv(...words)
    const ran = await this.#run(argv)
    if (ran.code !== 0) throw failed(`This failed:  ${commandLine(argv)}\n${ran.stderr.trim()}`)
    return ran
  }

  #argv(...words: string[]): Argv {
    return ['systemctl', ...(this.#scope === 'user' ? ['--user'] : []), ...words]
  }
}

const NO_SANDBOX =
  '! This machine gives an ordinary user no sandbox (user namespaces are refused), so the service runs without: what it may write is what you may write.'

/** What is not there when the service starts stays closed to it. */
function makeWritable(folder: string): string[] {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return []
  } catch (error) {
    return [`! The service will not write in ${folder}: ${errorText(error)}`]
  }
}

function failed(message: string): AppError {
  return new AppError({ code: 'service.failed', fault: 'user', message })
}
