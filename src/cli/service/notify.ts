import { execFile } from 'node:child_process'
import type { Environment } from '../host.ts'

/**
 * What a service tells systemd (sd_notify): that it is ready, that it stops, and, as long as its event loop turns, that it
 * lives. Node has no datagram sockets of this kind, so `systemd-notify` carries the words (4 ms of the loop each): no
 * library, and always there where systemd is. Without NOTIFY_SOCKET nobody listens, and nothing is done.
 */
export class Supervisor {
  readonly #env: Environment
  readonly #say: (line: string) => void
  #beat: NodeJS.Timeout | undefined
  #sending = false

  constructor({ env, say }: { env: Environment; say: (line: string) => void }) {
    this.#env = env
    this.#say = say
  }

  /** From now on the loop must turn: a beat that stays away for WATCHDOG_USEC ends the service. */
  ready(): void {
    this.#tell(['--ready', '--status=Ready'])
    const every = beatMs(this.#env)
    if (every === undefined) return
    // A beat that is still on its way says the same.
    this.#beat = setInterval(() => this.#sending || this.#tell(['WATCHDOG=1']), every)
  }

  /** Asks for the time that a graceful end may take. */
  stopping(graceMs: number): void {
    this.#tell(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${(graceMs + END_MS) * 1_000}`, '--status=Stopping'])
  }

  close(): void {
    clearInterval(this.#beat)
  }

  #tell(words: string[]): void {
    if (!this.#env.NOTIFY_SOCKET) return
    this.#sending = true
    execFile('systemd-notify', words, { env: this.#env }, (error) => {
      this.#sending = false
      if (error) this.#say(`systemd cannot be told how NanoClaw is: ${error.message}`)
    })
  }
}

/** What the end takes after the grace: killed containers go, the store is closed. */
const END_MS = 30_000

/** Three beats for each time that systemd waits; undefined when it does not. */
export function beatMs({ WATCHDOG_USEC }: Environment): number | undefined {
  const wait = Number(WATCHDOG_USEC)
  return Number.isFinite(wait) && wait > 0 ? wait / 3_000 : undefined
}
