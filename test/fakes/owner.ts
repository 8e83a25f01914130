import path from 'node:path'
import { AuditBook } from '../../src/app/audit-book.ts'
import type { GroupRegistry } from '../../src/app/groups.ts'
import { MountAdmin } from '../../src/app/mount-admin.ts'
import { OwnerDesk } from '../../src/app/owner-desk.ts'
import { newTaskId, TaskBook } from '../../src/app/tasks.ts'
import type { Store } from '../../src/store/store.ts'

/** What the owner changes, with a home below the root of the test. */
export function ownerDesk({ store, registry, root }: { store: Store; registry: GroupRegistry; root: string }): OwnerDesk {
  const audit = new AuditBook({ store, now: () => 0, redact: (text) => text })
  const userHome = path.join(root, 'home')
  const allowlistFile = path.join(userHome, '.config', 'nanoclaw', 'mount-allowlist.json')
  const mounts = new MountAdmin({ allowlistFile, userHome, own: [], uid: 0, gid: 0 })
  const tasks = new TaskBook({ store, now: () => 0, newId: newTaskId, wake: () => {}, changed: () => {} }, { timeZone: 'UTC' })
  return new OwnerDesk({ store, registry, mounts, tasks, audit: (note) => audit.note(note) })
}
