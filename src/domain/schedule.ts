import { Cron } from 'croner'
import type { Instant } from './clock.ts'
import { errorText } from './errors.ts'
import { localTime } from './prompt.ts'

/** As a person or an agent wrote it; it need not make sense. */
export type WrittenSchedule = { type: string; value: string }

/** When a task is due, in a form that can be computed with. */
export type Schedule = { type: 'cron'; pattern: Cron } | { type: 'interval'; everyMs: number } | { type: 'once'; at: Instant }

/** `field` is the one to correct, by the name that agents know it by. */
export type ScheduleProblem = { type: 'problem'; field: 'schedule_type' | 'schedule_value'; why: string }
export type ParsedSchedule = { type: 'schedule'; schedule: Schedule } | ScheduleProblem

/** Between two runs of one task. Five cron fields cannot say less. */
export const MIN_SPACING_MS = 60_000
const MAX_INTERVAL_MS = 10 * 365 * 86_400_000
const LONGEST_VALUE = 200
/** East of Greenwich, a day begins up to 14 hours earlier; a day before that is earlier than any local time. */
const BEFORE_ANY_ZONE_MS = 26 * 3_600_000

/**
 * Reads a schedule as people and agents write it; `zone` is the person's IANA zone.
 *
 * On the days when clocks change, fixed times (`30 2 * * *`, `0,30 2-3 * * *`, `once`) run at the first moment after the gap
 * if they fall into one, all that fall into it together, and run at the first of two occurrences. What repeats (a `*` or a
 * step in minute or hour) goes by elapsed time: moments in a gap do not exist, and an hour that comes twice counts twice.
 */
export function parseSchedule({ type, value }: WrittenSchedule, zone: string): ParsedSchedule {
  const text = value.trim()
  if (text.length > LONGEST_VALUE) return problem(`the schedule has more than ${LONGEST_VALUE} characters`)
  switch (type) {
    case 'cron':
      return parseCron(text, zone)
    case 'interval':
      return parseInterval(text)
    case 'once':
      return parseOnce(text, zone)
    default: {
      const why = `there is no schedule type "${type.slice(0, 50)}"; it is "cron", "interval" or "once"`
      return { type: 'problem', field: 'schedule_type', why }
    }
  }
}

/** Why a schedule has no moment after `now`: it cannot be read, or it is over. */
export function whyNoMoment(written: WrittenSchedule, { now, zone }: { now: Instant; zone: string }): ScheduleProblem {
  const parsed = parseSchedule(written, zone)
  if (parsed.type === 'problem') return parsed
  const { schedule } = parsed
  const what = schedule.type !== 'once' ? 'never comes' : schedule.at <= now ? 'is past' : 'was run already'
  return problem(`"${written.value}" ${what}; it is ${localTime(now, zone)} (${zone}) now`)
}

/**
 * The first moment later than `after`; undefined when there is none. An interval keeps the beat of `anchor`, however late it
 * is asked: slots that passed are not made up for.
 */
export function nextMoment(schedule: Schedule, { after, anchor }: { after: Instant; anchor: Instant }): Instant | undefined {
  switch (schedule.type) {
    case 'cron':
      return schedule.pattern.nextRun(new Date(after))?.getTime()
    case 'interval':
      return anchor + (Math.floor((after - anchor) / schedule.everyMs) + 1) * schedule.everyMs
    case 'once':
      return schedule.at > after ? schedule.at : undefined
  }
}

function parseCron(text: string, zone: string): ParsedSchedule {
  const example = 'e.g. "0 9 * * 1-5" (minute, hour, day of month, month, day of week): 09:00 from Monday to Friday'
  const fields = text.split(/\s+/).length
  if (fields > 5) return problem(`"${text}" has ${fields} fields; a schedule has five and no seconds, ${example}`)
  try {
    return { type: 'schedule', schedule: { type: 'cron', pattern: cron(text, zone) } }
  } catch (error) {
    return problem(`"${text}" is no cron expression (${errorText(error).replace(/^CronPattern: /, '')}); ${example}`)
  }
}

function cron(text: string, zone: string): Cron {
  return new Cron(text, { timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard' })
}

function parseInterval(text: string): ParsedSchedule {
  const everyMs = Number(text)
  const example = 'e.g. "3600000" for every hour'
  if (!/^\d+$/.test(text)) return problem(`"${text}" is no interval; it is a whole number of milliseconds, ${example}`)
  if (everyMs < MIN_SPACING_MS)
    return problem(`every ${everyMs} ms is too often; a task runs at most once in ${MIN_SPACING_MS} ms, ${example}`)
  if (everyMs > MAX_INTERVAL_MS) return problem(`every ${text} ms is more than ten years; ${example}`)
  return { type: 'schedule', schedule: { type: 'interval', everyMs } }
}

const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i

function parseOnce(text: string, zone: string): ParsedSchedule {
  const example = 'e.g. "2026-03-01T09:00" in local time, or "2026-03-01T09:00+01:00"'
  const match = DATE_TIME.exec(text)
  if (!match) return problem(`"${text}" is no date and time; write it like this: ${example}`)
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as Wall
  const at = instantOf({ wall: [year, month, day, hour, minute, second], offset: match[7], zone })
  if (at === undefined) return problem(`there is no such date or time as "${text}" (${match[7] ?? zone}); ${example}`)
  return { type: 'schedule', schedule: { type: 'once', at } }
}

/** Year, month (from 1), day, hour, minute, second, as a clock on the wall shows them. */
type Wall = [number, number, number, number, number, number]

function instantOf({ wall, offset, zone }: { wall: Wall; offset: string | undefined; zone: string }): Instant | undefined {
  const [year, month, day, hour, minute, second] = wall
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second)
  const date = new Date(asUtc)
  // Date.UTC takes a 30th of February for the 2nd of March.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || date.getUTCHours() !== hour) return undefined
  if (minute > 59 || second > 59) return undefined
  if (offset) return asUtc - offsetMs(offset)
  // The same rule for gaps and repeated hours as for every other fixed time.
  const moment = new Cron(`${second} ${minute} ${hour} ${day} ${month} * ${year}`, { timezone: zone, mode: '7-part' })
  return moment.nextRun(new Date(asUtc - BEFORE_ANY_ZONE_MS))?.getTime()
}

function offsetMs(offset: string): number {
  if (offset.toUpperCase() === 'Z') return 0
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(offset) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}

function problem(why: string): ScheduleProblem {
  return { type: 'problem', field: 'schedule_value', why }
}
