import { AuditBook } from '../app/audit-book.ts'
import type { GroupChange } from '../app/group-change.ts'
import { ensureMain, GroupRegistry } from '../app/groups.ts'
import { MountAdmin } from '../app/mount-admin.ts'
import { OwnerDesk } from '../app/owner-desk.ts'
import { newTaskId, TaskBook } from '../app/tasks.ts'
import { type Config, mountRules, PROJECT, policyFile } from '../config.ts'
import { containerUser } from '../container/folders.ts'
import { AppError } from '../domain/errors.ts'
import { prepareRoot } from '../project.ts'
import { Secrets } from '../secrets.ts'
import { SenderAllowlist } from '../sender-allowlist.ts'
import { HostLock } from '../store/lock.ts'
import { openForReading } from '../store/read-only.ts'
import { Store } from '../store/store.ts'
import { ControlClient } from './control-client.ts'

/** What the command line changes: through the host, or, where none runs, in its place. */
export type GroupAdmin = Pick<
  ControlClient,
  'registerChat' | 'setGroup' | 'removeGroup' | 'clearSession' | 'allowMount' | 'removeMount' | 'changeTask'
>

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
  const { root, paths } = config
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
      return await use(adminOf(store, config))
    } finally {
      store.close()
    }
  } finally {
    lock.release()
  }
}

/** No container runs without a host, and the next one writes its lists at its start. */
function adminOf(store: Store, config: Config): GroupAdmin {
  const senders = new SenderAllowlist({ file: policyFile(config.userHome, 'sender-allowlist.json'), onBroken: () => {} })
  const ports = { store, now: Date.now, release: () => {}, changed: () => {}, senderPolicy: () => senders.policy() }
  const registry = new GroupRegistry(ports, config)
  const audit = new AuditBook({ store, now: Date.now, redact: new Secrets(config).redact })
  const mounts = new MountAdmin(mountRules(config))
  const tasks = new TaskBook({ store, now: Date.now, newId: newTaskId, wake: () => {}, changed: () => {} }, config)
  const desk = new OwnerDesk({ store, registry, mounts, tasks, audit: (note) => audit.note(note) })
  return {
    registerChat: async (wish) => answer(desk.register(wish)),
    setGroup: async (settings) => answer(desk.set(settings)),
    removeGroup: async (target) => answer(desk.remove(target)),
    clearSession: async (folder) => answer(desk.clearSession(folder)),
    allowMount: async (wish) => answer(desk.allowMount(wish)),
    removeMount: async (target) => answer(desk.removeMount(target)),
    changeTask: async (id, deed) => answer(desk.changeTask({ id, deed })),
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
