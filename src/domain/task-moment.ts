import type { Instant } from './clock.ts'
import { localTime } from './prompt.ts'

/** What becomes of a moment of a task's schedule; `note` is for its history. */
export type MomentDeed = { type: 'run'; note: string | null } | { type: 'skip'; note: string }

/** Whoever acts so much later was down, asleep, or had its clock set: the moment was missed. */
const MISSED_AFTER_MS = 60_000

export type DueMoment = {
  dueAt: Instant
  now: Instant
  catchUp: 'once' | 'skip'
  /** An earlier run of the task is not over. */
  running: boolean
  /** The task has no other moment. */
  only: boolean
  zone: string
}

/** One run stands for all moments that were missed until now. */
export function deedAt({ dueAt, now, catchUp, running, only, zone }: DueMoment): MomentDeed {
  if (running && !only) return { type: 'skip', note: 'the run before it was still going on' }
  if (now - dueAt <= MISSED_AFTER_MS) return { type: 'run', note: null }
  const due = localTime(dueAt, zone)
  if (catchUp === 'skip') return { type: 'skip', note: `due ${due}, noticed ${localTime(now, zone)}: too late, nobody was there` }
  return { type: 'run', note: `makes up for what was missed since ${due}` }
}
