import type { TaskDetail } from '@nanoclaw/protocol'
import type { Store } from '../store/store.ts'

/** Every task, or those of one group, as the owner sees them. */
export function taskList(store: Store, folder?: string): TaskDetail[] {
  const tasks = folder === undefined ? store.tasks.all() : store.tasks.ofGroup(folder)
  return tasks.map((task) => ({ ...task, running: store.tasks.isRunning(task.id) }))
}
