import type { GroupChange } from '../app/group-change.ts'
import { ensureMain, GroupRegistry } from '../app/groups.ts'
import { changeTask, newTaskId, TaskBook } from '../app/tasks.ts'
import { type Config, PROJECT } from '../config.ts'
import { containerUser } from '../container/folders.ts'
import { AppError } from '../domain/errors.ts'
import { prepareRoot } from '../project.ts'
import { HostLock } from '../store/lock.ts'
import { openForReading } from '../store/read-only.ts'
import { Store } from '../store/store.ts'
import { ControlClient } from './control-client.ts'

/** What the command line changes: through the host, or, where none runs, in its place. */
export type GroupAdmin = Pick<ControlClient, 'registerChat' | 'setGroup' | 'removeGroup' | 'clearSession' | 'changeTask'>

/** How long a host that is just starting may take until it answers. */
const STARTING_MS = 60_000
const POLL_MS = 100

/** Does one change. Only the host writes while it runs; where none does, its lock keeps one from starting meanwhile. */
export async function withGroupAdmin<T>({ config, use }: { config: Config; use: (admin: GroupAdmin) => Promise<T> }): Promise<T> {
  const client = new ControlClient({ socketPath: config.paths.controlSocket })
  for (let waited = 0; ; waited += POLL_MS) {
    try {
      return await use(client)
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'host.not-running')) throw error
    }
    try {
      return await withoutHost(config, use)
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'host.already-running') || waited >= STARTING_MS) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

async function withoutHost<T>(config: Config, use: (admin: GroupAdmin) => Promise<T>): Promise<T> {
  const { root, paths, assistantName, timeZone } = config
  prepareRoot({
    root,
    project: PROJECT,
    owner: containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 }),
  })
  const lock = HostLock.take({ lock: paths.lock, holder: paths.holder, pid: process.pid, now: new Date() })
  try {
    const store = Store.open(paths.database, (text) => process.stderr.write(`${text}\n`))
    try {
      ensureMain(store, Date.now())
      return await use(adminOf(store, { root, assistantName, timeZone }))
    } finally {
      store.close()
    }
  } finally {
    lock.release()
  }
}

/** No container runs without a host, and the next one writes its lists at its start. */
function adminOf(store: Store, rules: { root: string; assistantName: string; timeZone: string }): GroupAdmin {
  const registry = new GroupRegistry({ store, now: Date.now, release: () => {}, changed: () => {} }, rules)
  const tasks = new TaskBook({ store, now: Date.now, newId: newTaskId, wake: () => {}, changed: () => {} }, rules)
  return {
    registerChat: async (wish) => answer(registry.register(wish)),
    setGroup: async (settings) => answer(registry.set(settings)),
    removeGroup: async (target) => answer(registry.remove(target)),
    clearSession: async (folder) => answer(registry.clearSession(folder)),
    changeTask: async (id, deed) => changeTask(tasks, { id, deed }),
  }
}

function answer(change: GroupChange): { text: string; notes: string[] } {
  if (change.type === 'refused') throw new AppError({ code: 'input.group', fault: 'user', message: change.why })
  return change
}

/** Looks into the store, whether a host runs or not; `empty` when nothing was ever stored. */
export function readStore<T>(config: Config, { read, empty }: { read: (store: Store) => T; empty: T }): T {
  const store = openForReading(config.paths.database)
  try {
    return store ? read(store) : empty
  } finally {
    store?.close()
  }
}
