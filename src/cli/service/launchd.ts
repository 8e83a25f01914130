import { existsSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../../domain/errors.ts'
import { writeFileDurably } from '../../files.ts'
import { commandLine } from '../setup/command.ts'
import type { ServiceFacts } from './choose.ts'
import { EXIT_TIMEOUT_S, LABEL, launchdPlist, type PlistParts } from './launchd-plist.ts'
import type { Run } from './run.ts'
import type { Service, ServiceState } from './service.ts'

const LOOKS_APART_MS = 500
/** Somewhat longer than launchd itself would wait. */
const STOP_LOOKS = ((EXIT_TIMEOUT_S + 30) * 1_000) / LOOKS_APART_MS

type LaunchdParts = {
  user: ServiceFacts['user']
  parts: PlistParts
  run: Run
  /** Between two looks at an agent that is to end. */
  pause?: () => Promise<void>
}

/** The service as an agent of launchd, on macOS: it runs while its user is logged in. */
export class LaunchdService implements Service {
  readonly #parts: PlistParts
  readonly #run: Run
  readonly #file: string
  readonly #domain: string
  readonly #pause: () => Promise<void>

  constructor({ user, parts, run, pause = () => delay(LOOKS_APART_MS) }: LaunchdParts) {
    this.#parts = parts
    this.#run = run
    this.#pause = pause
    this.#file = path.join(user.home, 'Library', 'LaunchAgents', `${LABEL}.plist`)
    this.#domain = `gui/${user.uid}`
  }

  async install(): Promise<string[]> {
    for (const folder of [path.dirname(this.#file), path.join(this.#parts.root, 'logs')]) mkdirSync(folder, { recursive: true })
    writeFileDurably(this.#file, { text: launchdPlist(this.#parts), mode: 0o644 })
    await this.#unload()
    await this.#launchctl('bootstrap', this.#domain, this.#file)
    return [`Wrote ${this.#file}`, 'NanoClaw runs, and starts when you log in.']
  }

  async uninstall(): Promise<string[]> {
    if (!existsSync(this.#file)) return ['There is no service to remove.']
    await this.#unload()
    rmSync(this.#file)
    return [`Removed ${this.#file}; groups, data and settings stay.`]
  }

  async start(): Promise<void> {
    this.#needInstalled()
    if (!(await this.#isLoaded())) await this.#launchctl('bootstrap', this.#domain, this.#file)
    await this.#launchctl('kickstart', this.#target)
  }

  /** It ends well by SIGTERM, so it is not started again before the next login or `start`. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#needInstalled()
    if (!(await this.state()).running) return
    await this.#launchctl('kill', 'SIGTERM', this.#target)
    for (let looks = 0; looks < STOP_LOOKS; looks++) {
      if (!(await this.state()).running) return
      await this.#pause()
    }
    throw failed('NanoClaw was told to stop, and still runs. ./nanoclaw logs says what it is doing.')
  }

  async restart(): Promise<void> {
    this.#needInstalled()
    if (!(await this.#isLoaded())) return this.start()
    await this.#launchctl('kickstart', '-k', this.#target)
  }

  async state(): Promise<ServiceState> {
    const { code, stdout } = await this.#run(['launchctl', 'print', this.#target])
    const running = code === 0 && /^\s*state = running$/m.test(stdout)
    const pid = /^\s*pid = (\d+)$/m.exec(stdout)?.[1]
    const exit = /^\s*last exit code = (.+)$/m.exec(stdout)?.[1]
    const detail = code !== 0 ? 'not loaded' : running ? `running, process ${pid}` : `not running, last exit code ${exit}`
    return { manager: 'launchd', file: this.#file, installed: existsSync(this.#file), running, detail, notes: [] }
  }

  get #target(): string {
    return `${this.#domain}/${LABEL}`
  }

  async #isLoaded(): Promise<boolean> {
    return (await this.#run(['launchctl', 'print', this.#target])).code === 0
  }

  async #unload(): Promise<void> {
    if (await this.#isLoaded()) await this.#launchctl('bootout', this.#target)
  }

  #needInstalled(): void {
    if (existsSync(this.#file)) return
    throw failed('There is no service yet: ./nanoclaw service install')
  }

  async #launchctl(...words: string[]): Promise<void> {
    const argv = ['launchctl', ...words] as const
    const { code, stderr } = await this.#run(argv)
    if (code !== 0) throw failed(`This failed:  ${commandLine(argv)}\n${stderr.trim()}`)
  }
}

function failed(message: string): AppError {
  return new AppError({ code: 'service.failed', fault: 'user', message })
}
