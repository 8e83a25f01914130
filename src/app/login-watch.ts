import type { Store } from '../store/store.ts'

export type LoginWatchPorts = {
  store: Pick<Store, 'chats'>
  /** Changes when the login does, and tells nothing of it. */
  fingerprint(): Promise<string>
  wakeAll(): void
}

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
    const { store, fingerprint, wakeAll } = this.#ports
    const current = await fingerprint()
    const changed = this.#known !== undefined && this.#known !== current
    if (changed) {
      this.#changes++
      store.chats.unparkAll()
    }
    this.#known = current
    if (changed) wakeAll()
  }
}
