import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'

export type LoginWatchPorts = {
  store: Pick<Store, 'chats' | 'facts' | 'tx'>
  /** `fingerprint` changes when the login does, and tells nothing of it; when it ends, where that is known. */
  login(): Promise<{ fingerprint: string; expiresAt?: Instant | undefined }>
  wakeAll(): void
  /** Tells the owner that the login ends soon. */
  onExpiring?(at: Instant): void
  now?(): Instant
}

/** So long before its end the owner hears of it; the logins of Claude Code last some hours. */
const NOTICE_MS = 60 * 60_000
const TOLD = 'login_expiry_told'

/** Messages that wait for a login are taken up again when there is another one. */
export class LoginWatch {
  readonly #ports: LoginWatchPorts
  #known: string | undefined
  #changes = 0

  constructor(ports: LoginWatchPorts) {
    this.#ports = ports
  }

  /** How often another login was found: what was begun before that may fail for the old one. */
  get changes(): number {
    return this.#changes
  }

  /** Called at the start, when the login's file changes, and now and then. */
  async check(): Promise<void> {
    const { store, login, wakeAll } = this.#ports
    const { fingerprint: current, expiresAt } = await login()
    if (expiresAt !== undefined) this.#tellOfEnd(expiresAt)
    const changed = this.#known !== undefined && this.#known !== current
    if (changed) {
      this.#changes++
      store.chats.unparkAll()
    }
    this.#known = current
    if (changed) wakeAll()
  }

  /** Once for each login, also by a host that was started again since. */
  #tellOfEnd(at: Instant): void {
    const { store, onExpiring = () => {}, now = Date.now } = this.#ports
    if (at - now() > NOTICE_MS || store.facts.get(TOLD) === String(at)) return
    // Both or neither: where one of them fails, the next look tells it.
    store.tx(() => {
      store.facts.set(TOLD, String(at))
      onExpiring(at)
    })
  }
}
