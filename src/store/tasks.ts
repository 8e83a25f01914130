import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'

/** A task as it is scheduled. `nextRun` is ms since the epoch. */
export type Task = {
  id: string
  folder: string
  jid: string
  prompt: string
  scheduleType: string
  scheduleValue: string
  status: 'active' | 'paused' | 'completed'
  nextRun: number | null
}

const row = z.object({
  id: z.string(),
  group_folder: z.string(),
  chat_jid: z.string(),
  prompt: z.string(),
  schedule_type: z.string(),
  schedule_value: z.string(),
  status: z.enum(['active', 'paused', 'completed']),
  next_run: z.int().nullable(),
})

/** What is to be done at its time. */
export class Tasks {
  readonly #all: Statement

  constructor(db: Database) {
    this.#all = db.prepare(`SELECT ${Object.keys(row.shape).join(', ')} FROM scheduled_tasks ORDER BY created_at, id`)
  }

  all(): Task[] {
    return this.#all.all().map(toTask)
  }
}

function toTask(raw: unknown): Task {
  const { group_folder: folder, chat_jid: jid, schedule_type, schedule_value, next_run, ...rest } = row.parse(raw)
  return { ...rest, folder, jid, scheduleType: schedule_type, scheduleValue: schedule_value, nextRun: next_run }
}
