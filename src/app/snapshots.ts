import path from 'node:path'
import { ensureFolder } from '../container/folders.ts'
import { errorText } from '../domain/errors.ts'
import { writeFileAtomically } from '../files.ts'
import type { Store } from '../store/store.ts'

/** Written by the host, read by agents: the folder is read-only in their containers. */
const MODE = 0o644

/**
 * What an agent may know of the host, as files in `data/ipc/{folder}`: the tasks it may see, and for main also the chats
 * that could be activated. Written at the start, before each container, and when something changes.
 */
export class Snapshots {
  readonly #store: Store
  readonly #root: string
  readonly #now: () => number
  readonly #log: { warn(text: string): void }

  constructor({ store, root, now, log }: { store: Store; root: string; now: () => number; log: { warn(text: string): void } }) {
    this.#log = log
    this.#store = store
    this.#root = root
    this.#now = now
  }

  writeAll(): void {
    for (const { folder } of this.#store.groups.all()) this.#tryWrite(folder)
  }

  /** What a change in this group's tasks shows to itself and to main. */
  writeTasks(folder: string): void {
    for (const group of this.#store.groups.all()) if (group.isMain || group.folder === folder) this.#tryWrite(group.folder)
  }

  /** A group whose folder cannot be used is told so when it starts; the others get theirs. */
  #tryWrite(folder: string): void {
    try {
      this.write(folder)
    } catch (error) {
      this.#log.warn(`Group ${folder}: its snapshots were not written: ${errorText(error)}`)
    }
  }

  write(folder: string): void {
    const ipc = path.join(this.#root, 'data', 'ipc')
    ensureFolder(ipc)
    ensureFolder(path.join(ipc, folder))
    const isMain = this.#store.groups.find(folder)?.isMain ?? false
    this.#put(folder, { name: 'current_tasks.json', value: this.#tasks(folder, isMain) })
    if (isMain) this.#put(folder, { name: 'available_groups.json', value: this.#chats() })
  }

  #tasks(folder: string, isMain: boolean): object[] {
    const visible = isMain ? this.#store.tasks.all() : this.#store.tasks.ofGroup(folder)
    return visible.map((task) => ({
      id: task.id,
      groupFolder: task.folder,
      prompt: task.prompt,
      schedule_type: task.schedule.type,
      schedule_value: task.schedule.value,
      status: task.status,
      next_run: task.nextRun === null ? null : new Date(task.nextRun).toISOString(),
    }))
  }

  #chats(): object {
    const registered = new Set(this.#store.groups.chats().map((chat) => chat.jid))
    const groups = this.#store.chats.all().map(({ jid, name, lastMessageAt }) => ({
      jid,
      name: name ?? jid,
      lastActivity: lastMessageAt === null ? null : new Date(lastMessageAt).toISOString(),
      isRegistered: registered.has(jid),
    }))
    return { groups, lastSync: new Date(this.#now()).toISOString() }
  }

  #put(folder: string, { name, value }: { name: string; value: object }): void {
    const file = path.join(this.#root, 'data', 'ipc', folder, name)
    writeFileAtomically(file, { text: `${JSON.stringify(value, null, 2)}\n`, mode: MODE })
  }
}
