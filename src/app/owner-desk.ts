import type { TaskDeed } from '@nanoclaw/protocol'
import type { AuditNote } from '../domain/audit.ts'
import type { Registration } from '../domain/registration.ts'
import type { Store } from '../store/store.ts'
import type { GroupChange, GroupSettings } from './group-change.ts'
import type { GroupRegistry } from './groups.ts'
import type { MountAdmin, RootWish } from './mount-admin.ts'
import { changeTask, type TaskBook } from './tasks.ts'

export type OwnerPorts = {
  store: Pick<Store, 'tx' | 'tasks' | 'onRollback'>
  registry: GroupRegistry
  mounts: MountAdmin
  tasks: TaskBook
  audit(note: AuditNote): void
}

/** What the owner changes, by the command line or the dashboard. Each change, also a refused one, is in the audit. */
export class OwnerDesk {
  readonly #ports: OwnerPorts

  constructor(ports: OwnerPorts) {
    this.#ports = ports
  }

  register(wish: Registration): GroupChange {
    return this.#noted({ act: 'register', subject: wish.jid, folder: wish.folder }, () => this.#ports.registry.register(wish))
  }

  set(settings: GroupSettings): GroupChange {
    return this.#noted({ act: 'set', subject: settings.target, more: settings.config }, () => this.#ports.registry.set(settings))
  }

  remove(target: string): GroupChange {
    return this.#noted({ act: 'remove', subject: target }, () => this.#ports.registry.remove(target))
  }

  clearSession(folder: string): GroupChange {
    return this.#noted({ act: 'clear-session', subject: folder, folder }, () => this.#ports.registry.clearSession(folder))
  }

  /** Opening a terminal gives nobody anything that the owner does not have. */
  openTerminal(folder: string): ReturnType<GroupRegistry['openTerminal']> {
    return this.#ports.registry.openTerminal(folder)
  }

  allowMount(wish: RootWish): GroupChange {
    return this.#noted({ act: 'allow-mount', subject: wish.path }, () => this.#changeMounts((mounts) => mounts.allow(wish)))
  }

  removeMount(path: string): GroupChange {
    return this.#noted({ act: 'remove-mount', subject: path }, () => this.#changeMounts((mounts) => mounts.remove(path)))
  }

  /** A file takes part in no transaction: where the change cannot be recorded, the file gets its old text back. */
  #changeMounts(change: (mounts: MountAdmin) => GroupChange): GroupChange {
    const { store, mounts } = this.#ports
    store.onRollback('Taking back a change of the mount allowlist', mounts.keep())
    return change(mounts)
  }

  changeTask({ id, deed }: { id: string; deed: TaskDeed }): GroupChange {
    const { store, tasks } = this.#ports
    const folder = store.tasks.find(id)?.folder
    const what = { act: `${deed}-task`, subject: id, ...(folder === undefined ? {} : { folder }) }
    return this.#noted(what, () => changeTask(tasks, { id, deed }))
  }

  #noted({ act, subject, folder, more }: What, change: () => GroupChange): GroupChange {
    const { store, audit } = this.#ports
    // What an MCP server is given may be a secret.
    const { mcpServers, ...shown } = more ?? {}
    const words = more && ` ${JSON.stringify({ ...shown, ...(mcpServers ? { mcpServers: Object.keys(mcpServers) } : {}) })}`
    return store.tx((): GroupChange => {
      const made = change()
      const text = made.type === 'done' ? made.text : made.why
      audit({ by: 'owner', folder: folder ?? null, act, subject, outcome: made.type, detail: text + (words ?? '') })
      return made
    })
  }
}

type What = { act: string; subject: string; folder?: string; more?: Record<string, unknown> | undefined }
