import { Commands } from '../app/commands.ts'
import type { Feed } from '../app/feed.ts'
import type { GroupQueue } from '../app/group-queue.ts'
import { GroupRegistry } from '../app/groups.ts'
import { HardReset, removeByProcess } from '../app/hard-reset.ts'
import { IpcDesk } from '../app/ipc-desk.ts'
import type { Posting } from '../app/ipc-speech.ts'
import { IpcWatcher } from '../app/ipc-watcher.ts'
import type { Courier } from '../app/outbox.ts'
import type { OutgoingFiles } from '../app/outgoing-files.ts'
import { QuestionDesk } from '../app/questions.ts'
import { Scheduler } from '../app/scheduler.ts'
import type { Snapshots } from '../app/snapshots.ts'
import { newTaskId, TaskBook } from '../app/tasks.ts'
import type { Trouble } from '../app/troubles.ts'
import type { TurnDesk } from '../app/turn-desk.ts'
import type { Channel } from '../channels/contract.ts'
import { inBackground } from '../domain/attempt.ts'
import type { AuditNote } from '../domain/audit.ts'
import { systemClock } from '../domain/clock.ts'
import type { Base } from './base.ts'

/** So long a channel may take to name its chats. */
const SYNC_MS = 60_000
type IpcParts = {
  base: Base
  feed: Feed
  desk: TurnDesk
  courier: Courier
  files: OutgoingFiles
  registry: GroupRegistry
  tasks: TaskBook
  snapshots: Snapshots
  channels: readonly Channel[]
}

/** What agents ask for: read from their folders, decided, carried out and answered. */
export function makeIpc({
  base: { config, log, store, audit },
  feed,
  desk,
  courier,
  files,
  registry,
  tasks,
  snapshots,
  channels,
}: IpcParts) {
  const { root, timeZone, assistantName } = config
  const { now } = systemClock
  const post = (posting: Posting) => store.outbox.add(posting)
  const speech = { store, feed, post, now, assistantName }
  const deliver = () => courier.deliver()
  const questions = new QuestionDesk({ store, clock: systemClock, speech, desk, deliver, log })
  const refreshGroups = async () => {
    const asked = await Promise.allSettled(channels.map((channel) => channel.syncGroups?.(AbortSignal.timeout(SYNC_MS))))
    snapshots.writeAll()
    const failed = asked.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }
  const ports = { store, speech, registry, tasks, questions, files, timeZone, deliver, refreshGroups, now, log }
  const office = { ...ports, redact: log.redact, audit: (note: AuditNote) => audit.note(note) }
  return { questions, ipc: new IpcWatcher({ desk: new IpcDesk(office), clock: systemClock, log }, root) }
}

export function makeCommands({
  base,
  desk,
  queue,
  courier,
  hardReset,
  troubles,
}: {
  base: Base
  desk: TurnDesk
  queue: GroupQueue
  courier: Courier
  hardReset: HardReset
  troubles(): Trouble[]
}): Commands {
  const { assistantName, timeZone } = base.config
  const { store, log, audit } = base
  return new Commands(
    {
      store,
      desk,
      queue,
      log,
      hardReset,
      troubles,
      audit: (note) => audit.note(note),
      deliver: () => courier.deliver(),
      now: systemClock.now,
    },
    { assistantName, timeZone },
  )
}

type ResetParts = { base: Base; feed: Feed; queue: GroupQueue; courier: Courier }

export function makeHardReset({ base: { config, store, log }, feed, queue, courier }: ResetParts): HardReset {
  const ports = { store, feed, log, root: config.root, now: systemClock.now, removeTree: removeByProcess }
  return new HardReset({
    ...ports,
    closeGroup: (folder) => queue.closeGroup(folder),
    deliver: () => courier.deliver(),
  })
}

/** What the command line and the agents change about groups. */
type RegistryParts = { base: Base; queue: () => GroupQueue; changed: () => void }

export function makeRegistry({ base: { config, log, store, senders }, queue, changed }: RegistryParts): GroupRegistry {
  const release = (folder: string) =>
    inBackground({ what: `Group ${folder}: its container did not leave`, log }, async () => {
      await queue().closeGroup(folder)
      // What it waited for may have changed with its settings.
      queue().wake(folder)
    })
  return new GroupRegistry({ store, now: systemClock.now, release, changed, senderPolicy: () => senders.policy() }, config)
}

type TaskParts = { base: Base; queue(): GroupQueue; courier: Courier; snapshots: Snapshots }

export function makeTasks({ base: { config, log, store }, queue, courier, snapshots }: TaskParts): {
  scheduler: Scheduler
  tasks: TaskBook
} {
  const wake = (folder: string) => queue().wake(folder)
  const written = (folder: string) => snapshots.writeTasks(folder)
  const deliver = () => courier.deliver()
  const scheduler = new Scheduler({ store, clock: systemClock, log, wake, deliver, changed: written }, config)
  const changed = (folder: string) => {
    store.afterCommit('Writing the snapshots', () => written(folder))
    scheduler.wake()
  }
  const tasks = new TaskBook({ store, now: systemClock.now, newId: newTaskId, wake, changed }, config)
  return { scheduler, tasks }
}
