import type { Clock, Instant } from '../domain/clock.ts'
import { errorText } from '../domain/errors.ts'
import { localTime } from '../domain/prompt.ts'
import { deedAt } from '../domain/task-moment.ts'
import type { Store } from '../store/store.ts'
import type { Task } from '../store/tasks.ts'
import { postNotice } from './notices.ts'
import { beginRun, homeProblem, nextOf, pauseTask } from './task-run.ts'

export type SchedulerPorts = {
  store: Store
  clock: Clock
  log: { info(text: string): void; warn(text: string): void; error(text: string): void }
  /** A run waits for this group's agent. */
  wake(folder: string): void
  /** Tasks of this group are not what they were. */
  changed(folder: string): void
  /** Something waits in the outbox. */
  deliver(): void
}

/** So many tasks are taken up before others get their turn in this process. */
const BATCH = 100
/** The next try after the store failed. */
const AFTER_FAILURE_MS = 60_000
/** Less than this is a clock being kept exact. */
const SET_BACK_MS = 5_000

/**
 * Begins the runs of tasks at their moments. One timer stands at the next moment; the store decides, so `wake` may be called
 * at any time, and a sweep that calls it finds what a sleeping machine or a clock that was set has made late. A moment is
 * claimed in one transaction: `nextRun` moves on, the run is on record, its turn waits.
 */
export class Scheduler {
  readonly #ports: SchedulerPorts
  readonly #zone: string
  readonly #changed = new Set<string>()
  #started = false
  /** When it looked last; before the first look, any clock counts as set back. */
  #seen: Instant = Number.POSITIVE_INFINITY
  #disarm: () => void = () => {}

  constructor(ports: SchedulerPorts, { timeZone }: { timeZone: string }) {
    this.#ports = ports
    this.#zone = timeZone
  }

  start(): void {
    this.#started = true
    this.wake()
  }

  stop(): void {
    this.#started = false
    this.#disarm()
  }

  /** Acts on every moment that has come, and sleeps until the next. Never throws: what fails is tried again in a minute. */
  wake(): void {
    if (!this.#started) return
    const { store, clock, log } = this.#ports
    this.#disarm()
    const now = clock.now()
    try {
      if (now < this.#seen - SET_BACK_MS) this.#realign()
      this.#seen = now
      const failed = this.#actOn(store.tasks.due({ now, limit: BATCH }), now)
      const next = failed ? now + AFTER_FAILURE_MS : store.tasks.nextDue()
      if (next === undefined || next > now) this.#tellChanges()
      this.#arm(next)
    } catch (error) {
      log.error(`The tasks could not be looked at, and are in a minute: ${errorText(error)}`)
      this.#arm(now + AFTER_FAILURE_MS)
    }
  }

  #arm(at: Instant | undefined): void {
    const { clock } = this.#ports
    if (at !== undefined) this.#disarm = clock.wakeAt(Math.max(at, clock.now()), () => this.wake())
  }

  /** Returns whether one of them could not be claimed. */
  #actOn(due: readonly Task[], now: Instant): boolean {
    const failed = !this.#claimed(due, now) && due.filter((task) => !this.#claimed([task], now)).length > 0
    const { store, wake, deliver } = this.#ports
    for (const folder of new Set(due.map((task) => task.folder))) {
      this.#changed.add(folder)
      store.afterCommit('Waking the group', () => wake(folder))
    }
    if (due.length > 0) store.afterCommit('The delivery of a notice', deliver)
    return failed
  }

  /** Once for all batches of a moment: whoever is told looks at all tasks of the group. */
  #tellChanges(): void {
    const { store, changed } = this.#ports
    for (const folder of this.#changed) store.afterCommit('Telling of changed tasks', () => changed(folder))
    this.#changed.clear()
  }

  /** One transaction is many times faster than one each; where it fails, each is tried alone, so that none holds others up. */
  #claimed(tasks: readonly Task[], now: Instant): boolean {
    try {
      this.#ports.store.tx(() => {
        for (const task of tasks) this.#claim(task, now)
      })
      return true
    } catch (error) {
      const ids = tasks.map(({ id }) => id).join(', ')
      this.#ports.log.error(`Task ${ids} could not begin, and is tried again: ${errorText(error)}`)
      return false
    }
  }

  #claim(task: Task, now: Instant): void {
    const { store } = this.#ports
    const plan = this.#plan(task, now)
    if (plan.type === 'pause') return this.#pause(task, plan.why)
    const { dueAt, nextRun } = plan
    const only = task.schedule.type === 'once'
    store.tasks.save({ ...task, nextRun, status: only && nextRun === null ? 'completed' : 'active' })
    if (dueAt === null || store.tasks.actedOn(task.id, dueAt)) return
    const running = store.tasks.isRunning(task.id)
    const deed = deedAt({ dueAt, now, catchUp: task.catchUp, running, only, zone: this.#zone })
    if (deed.type === 'run') beginRun(store, { task, at: now, dueAt, note: deed.note })
    else store.tasks.skipRun({ taskId: task.id, at: now, dueAt, note: deed.note })
  }

  /** Which moment it is, and the one after it. A task that has none, which only v1 left behind, gets one. */
  #plan(task: Task, now: Instant): Plan {
    const { store } = this.#ports
    const home = homeProblem(store, task)
    if (home !== undefined) return { type: 'pause', why: home }
    // The one moment is known; how v1 wrote it down does not matter any more.
    if (task.schedule.type === 'once' && task.nextRun !== null) return { type: 'go', dueAt: task.nextRun, nextRun: null }
    const next = nextOf(store, { task, after: now, zone: this.#zone })
    if (next.type === 'problem') return { type: 'pause', why: next.why }
    return { type: 'go', dueAt: task.nextRun, nextRun: next.at }
  }

  /** Told where somebody may read it: in its chat, or else in one of its group, or else in one of main. */
  #pause(task: Task, why: string): void {
    const { store, clock, log } = this.#ports
    const { id, jid, folder, prompt } = pauseTask(store, task, { reason: why, at: clock.now() })
    store.afterCommit('A line of the log', () => log.warn(`Task ${id} of group ${folder} is paused: ${why}`))
    const main = store.groups.all().find(({ isMain }) => isMain)
    const places = [...(main ? store.groups.chatsOf(main.folder) : [])]
    const reader = [store.groups.chat(jid) ?? [], store.groups.chatsOf(folder), places].flat()[0]
    if (!reader) return
    const text = `The scheduled task ${id} ("${prompt.slice(0, 60)}") is paused: ${why}. It runs again when it is corrected and resumed; it can be cancelled, too.`
    postNotice(store, { jid: reader.jid, text, key: `task-paused-${id}-${clock.now()}`, turnId: null, at: clock.now() })
  }

  /**
   * The zone may be another one since the last start, and a clock that was far ahead has moved tasks far ahead: what waits
   * for its moment waits for the right one. What is due already is left alone.
   */
  #realign(): void {
    const { store, clock, log } = this.#ports
    const now = clock.now()
    for (const task of store.tasks.all()) {
      if (task.status !== 'active' || task.nextRun === null || task.nextRun <= now || task.schedule.type === 'once') continue
      const next = nextOf(store, { task, after: now, zone: this.#zone })
      if (next.type === 'problem' || next.at === task.nextRun) continue
      store.tasks.save({ ...task, nextRun: next.at })
      log.info(`Task ${task.id} is due ${localTime(next.at, this.#zone)} by the present clock and time zone`)
    }
  }
}

type Plan = { type: 'go'; dueAt: Instant | null; nextRun: Instant | null } | { type: 'pause'; why: string }
