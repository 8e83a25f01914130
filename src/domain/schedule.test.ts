import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { localTime } from './prompt.ts'
import { nextMoment, parseSchedule, type Schedule, whyNoMoment } from './schedule.ts'

/** Zone, schedule, after, the next moment, and what a clock on the wall shows then, with its offset. */
const CRON = `
  UTC | 0 9 * * * | 2026-03-28T09:00Z | 2026-03-29T09:00Z | 2026-03-29 09:00+00:00
  UTC | */15 * * * * | 2026-03-28T23:50Z | 2026-03-29T00:00Z | 2026-03-29 00:00+00:00
  UTC | 0 0 29 2 * | 2026-01-01T00:00Z | 2028-02-29T00:00Z | 2028-02-29 00:00+00:00
  UTC | 0 9 1 * 1 | 2026-01-31T09:00Z | 2026-02-01T09:00Z | 2026-02-01 09:00+00:00
  UTC | 0 9 1 * 1 | 2026-02-01T09:00Z | 2026-02-02T09:00Z | 2026-02-02 09:00+00:00
  UTC | 59 23 31 12 * | 2026-12-31T23:59Z | 2027-12-31T23:59Z | 2027-12-31 23:59+00:00
  UTC | 0 12 * * 7 | 2026-03-02T00:00Z | 2026-03-08T12:00Z | 2026-03-08 12:00+00:00
  UTC | 0 12 * jan,jul mon-fri | 2026-02-01T00:00Z | 2026-07-01T12:00Z | 2026-07-01 12:00+00:00
  UTC | 0 8 L * * | 2026-02-10T00:00Z | 2026-02-28T08:00Z | 2026-02-28 08:00+00:00
  UTC | 30 7 * * 1#2 | 2026-03-01T00:00Z | 2026-03-09T07:30Z | 2026-03-09 07:30+00:00
  UTC | @daily | 2026-03-01T00:00Z | 2026-03-02T00:00Z | 2026-03-02 00:00+00:00
  UTC | @hourly | 2026-03-01T00:30Z | 2026-03-01T01:00Z | 2026-03-01 01:00+00:00
  Europe/Berlin | 0 9 * * * | 2026-03-28T08:00Z | 2026-03-29T07:00Z | 2026-03-29 09:00+02:00
  Europe/Berlin | 30 2 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  Europe/Berlin | 30 2 * * * | 2026-03-29T01:00Z | 2026-03-30T00:30Z | 2026-03-30 02:30+02:00
  Europe/Berlin | 0,30 2 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  Europe/Berlin | 0,30 2 * * * | 2026-03-29T01:00Z | 2026-03-30T00:00Z | 2026-03-30 02:00+02:00
  Europe/Berlin | 0 2,3 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  Europe/Berlin | 0 2,3 * * * | 2026-03-29T01:00Z | 2026-03-30T00:00Z | 2026-03-30 02:00+02:00
  Europe/Berlin | */20 2 * * * | 2026-03-28T12:00Z | 2026-03-30T00:00Z | 2026-03-30 02:00+02:00
  Europe/Berlin | 30 * * * * | 2026-03-29T00:30Z | 2026-03-29T01:30Z | 2026-03-29 03:30+02:00
  Europe/Berlin | 30 2 29 3 * | 2026-01-01T00:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  Europe/Berlin | 30 2 * * * | 2026-10-24T12:00Z | 2026-10-25T00:30Z | 2026-10-25 02:30+02:00
  Europe/Berlin | 30 2 * * * | 2026-10-25T00:30Z | 2026-10-26T01:30Z | 2026-10-26 02:30+01:00
  Europe/Berlin | 30 2 * * * | 2026-10-25T01:30Z | 2026-10-26T01:30Z | 2026-10-26 02:30+01:00
  Europe/Berlin | 30 * * * * | 2026-10-25T00:30Z | 2026-10-25T01:30Z | 2026-10-25 02:30+01:00
  Europe/Berlin | */20 2 * * * | 2026-10-25T00:40Z | 2026-10-25T01:00Z | 2026-10-25 02:00+01:00
  Europe/Berlin | 30 3 * * * | 2026-10-25T00:00Z | 2026-10-25T02:30Z | 2026-10-25 03:30+01:00
  Europe/Berlin | 0 9 * * * | 2026-10-24T08:00Z | 2026-10-25T08:00Z | 2026-10-25 09:00+01:00
  America/New_York | 30 2 * * * | 2026-03-07T12:00Z | 2026-03-08T07:00Z | 2026-03-08 03:00-04:00
  America/New_York | 15 2 * * 0 | 2026-03-07T12:00Z | 2026-03-08T07:00Z | 2026-03-08 03:00-04:00
  America/New_York | 0 3 * * * | 2026-03-07T12:00Z | 2026-03-08T07:00Z | 2026-03-08 03:00-04:00
  America/New_York | 30 1 * * * | 2026-10-31T12:00Z | 2026-11-01T05:30Z | 2026-11-01 01:30-04:00
  America/New_York | 30 1 * * * | 2026-11-01T05:30Z | 2026-11-02T06:30Z | 2026-11-02 01:30-05:00
  America/New_York | */30 1 * * * | 2026-11-01T05:30Z | 2026-11-01T06:00Z | 2026-11-01 01:00-05:00
  America/New_York | 0 12 * * * | 2026-10-31T17:00Z | 2026-11-01T17:00Z | 2026-11-01 12:00-05:00
  Australia/Lord_Howe | 15 2 * * * | 2026-10-03T00:00Z | 2026-10-03T15:30Z | 2026-10-04 02:30+11:00
  Australia/Lord_Howe | 15 2 * * * | 2026-10-03T15:30Z | 2026-10-04T15:15Z | 2026-10-05 02:15+11:00
  Australia/Lord_Howe | 45 1 * * * | 2026-04-04T00:00Z | 2026-04-04T14:45Z | 2026-04-05 01:45+11:00
  Australia/Lord_Howe | 45 1 * * * | 2026-04-04T14:45Z | 2026-04-05T15:15Z | 2026-04-06 01:45+10:30
  Australia/Lord_Howe | 45 * * * * | 2026-04-04T14:45Z | 2026-04-04T15:15Z | 2026-04-05 01:45+10:30
  Australia/Lord_Howe | 0 12 * * * | 2026-10-03T01:30Z | 2026-10-04T01:00Z | 2026-10-04 12:00+11:00
  Asia/Kolkata | 0 9 * * * | 2026-03-28T03:30Z | 2026-03-29T03:30Z | 2026-03-29 09:00+05:30
  Asia/Kolkata | 45 23 * * * | 2026-03-28T00:00Z | 2026-03-28T18:15Z | 2026-03-28 23:45+05:30
  Asia/Kathmandu | 0 6 * * * | 2026-03-28T00:15Z | 2026-03-29T00:15Z | 2026-03-29 06:00+05:45
  Pacific/Apia | 0 9 * * * | 2011-12-29T19:00Z | 2011-12-30T19:00Z | 2011-12-31 09:00+14:00
  Pacific/Apia | 0 9 30 12 * | 2011-12-29T20:00Z | 2012-12-29T19:00Z | 2012-12-30 09:00+14:00
  Pacific/Apia | 0 9 * * 5 | 2011-12-29T20:00Z | 2012-01-05T19:00Z | 2012-01-06 09:00+14:00
  Pacific/Apia | 0 9 * * 6 | 2011-12-29T20:00Z | 2011-12-30T19:00Z | 2011-12-31 09:00+14:00
  Pacific/Kiritimati | 0 0 1 1 * | 2026-06-01T00:00Z | 2026-12-31T10:00Z | 2027-01-01 00:00+14:00
  Pacific/Pago_Pago | 59 23 31 12 * | 2026-06-01T00:00Z | 2027-01-01T10:59Z | 2026-12-31 23:59-11:00
  America/Sao_Paulo | 0 0 * * * | 2018-11-03T12:00Z | 2018-11-04T03:00Z | 2018-11-04 01:00-02:00
  America/Sao_Paulo | 30 0 * * * | 2018-11-03T12:00Z | 2018-11-04T03:00Z | 2018-11-04 01:00-02:00
  America/Sao_Paulo | 30 0 * * * | 2018-11-04T03:00Z | 2018-11-05T02:30Z | 2018-11-05 00:30-02:00
  America/Sao_Paulo | 30 23 * * * | 2018-02-17T12:00Z | 2018-02-18T01:30Z | 2018-02-17 23:30-02:00
  America/Sao_Paulo | 30 23 * * * | 2018-02-18T01:30Z | 2018-02-19T02:30Z | 2018-02-18 23:30-03:00
  America/Sao_Paulo | 0 0 * * * | 2026-11-01T12:00Z | 2026-11-02T03:00Z | 2026-11-02 00:00-03:00
  Africa/Casablanca | 30 2 * * * | 2026-02-14T12:00Z | 2026-02-15T01:30Z | 2026-02-15 02:30+01:00
  Africa/Casablanca | 30 2 * * * | 2026-02-15T01:30Z | 2026-02-16T02:30Z | 2026-02-16 02:30+00:00
  Africa/Casablanca | 30 2 * * * | 2026-03-21T12:00Z | 2026-03-22T02:00Z | 2026-03-22 03:00+01:00
  Africa/Casablanca | 0 9 * * * | 2026-02-20T00:00Z | 2026-02-20T09:00Z | 2026-02-20 09:00+00:00
  Asia/Tehran | 30 0 * * * | 2022-03-21T12:00Z | 2022-03-21T20:30Z | 2022-03-22 01:00+04:30
  Asia/Tehran | 30 23 * * * | 2022-09-21T12:00Z | 2022-09-21T19:00Z | 2022-09-21 23:30+04:30
  Asia/Tehran | 0 9 * * * | 2026-03-22T00:00Z | 2026-03-22T05:30Z | 2026-03-22 09:00+03:30
  Europe/London | 30 1 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 02:00+01:00
  Europe/London | 30 1 * * * | 2026-10-24T12:00Z | 2026-10-25T00:30Z | 2026-10-25 01:30+01:00
  Europe/Dublin | 30 1 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 02:00+01:00
  America/St_Johns | 30 2 * * * | 2026-03-07T12:00Z | 2026-03-08T05:30Z | 2026-03-08 03:00-02:30
  America/Havana | 30 0 * * * | 2026-03-07T12:00Z | 2026-03-08T05:00Z | 2026-03-08 01:00-04:00
  Asia/Beirut | 30 0 * * * | 2026-03-28T12:00Z | 2026-03-28T22:00Z | 2026-03-29 01:00+03:00
  Africa/Cairo | 30 0 * * 5 | 2026-04-23T12:00Z | 2026-04-23T22:00Z | 2026-04-24 01:00+03:00
  Pacific/Chatham | 0 3 * * * | 2026-09-26T00:00Z | 2026-09-26T14:00Z | 2026-09-27 03:45+13:45
  Antarctica/Troll | 30 2 * * * | 2026-03-28T12:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  America/Santiago | 30 0 * * * | 2026-09-05T12:00Z | 2026-09-06T04:00Z | 2026-09-06 01:00-03:00
  Pacific/Norfolk | 30 2 * * * | 2026-10-03T00:00Z | 2026-10-03T15:00Z | 2026-10-04 03:00+12:00`
const ONCE = `
  Europe/Berlin | 2026-03-01T09:00 | 2026-01-01T00:00Z | 2026-03-01T08:00Z | 2026-03-01 09:00+01:00
  Europe/Berlin | 2026-03-01 09:00 | 2026-01-01T00:00Z | 2026-03-01T08:00Z | 2026-03-01 09:00+01:00
  Europe/Berlin | 2026-07-01T09:00:30 | 2026-01-01T00:00Z | 2026-07-01T07:00:30Z | 2026-07-01 09:00+02:00
  Europe/Berlin | 2026-03-29T02:30 | 2026-01-01T00:00Z | 2026-03-29T01:00Z | 2026-03-29 03:00+02:00
  Europe/Berlin | 2026-10-25T02:30 | 2026-01-01T00:00Z | 2026-10-25T00:30Z | 2026-10-25 02:30+02:00
  Europe/Berlin | 2026-10-25T02:30+01:00 | 2026-01-01T00:00Z | 2026-10-25T01:30Z | 2026-10-25 02:30+01:00
  America/New_York | 2026-03-08T02:30 | 2026-01-01T00:00Z | 2026-03-08T07:00Z | 2026-03-08 03:00-04:00
  Australia/Lord_Howe | 2026-10-04T02:10 | 2026-01-01T00:00Z | 2026-10-03T15:30Z | 2026-10-04 02:30+11:00
  Pacific/Kiritimati | 2026-01-02T00:00 | 2026-01-01T00:00Z | 2026-01-01T10:00Z | 2026-01-02 00:00+14:00
  UTC | 2026-03-01T09:00:00.000Z | 2026-01-01T00:00Z | 2026-03-01T09:00Z | 2026-03-01 09:00+00:00
  UTC | 2026-03-01T09:59:59z | 2026-01-01T00:00Z | 2026-03-01T09:59:59Z | 2026-03-01 09:59+00:00
  UTC | 2026-12-31T23:59+05:45 | 2026-01-01T00:00Z | 2026-12-31T18:14Z | 2026-12-31 18:14+00:00
  Asia/Kolkata | 2026-03-01T09:00-0330 | 2026-01-01T00:00Z | 2026-03-01T12:30Z | 2026-03-01 18:00+05:30`

const rowsOf = (table: string) =>
  table
    .trim()
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()) as [string, string, string, string, string])

function schedule(type: string, value: string, zone = 'UTC'): Schedule {
  const parsed = parseSchedule({ type, value }, zone)
  return parsed.type === 'schedule' ? parsed.schedule : assert.fail(parsed.why)
}

function next(of: Schedule, after: number, anchor = 0): number {
  return nextMoment(of, { after, anchor }) ?? assert.fail('it never comes')
}

/** `2026-03-29 03:00+02:00` */
function wall(at: number, zone: string): string {
  const offset = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(at).at(-1)?.value
  return `${localTime(at, zone)}${offset?.replace('GMT', '') || '+00:00'}`
}

for (const [type, table] of [
  ['cron', CRON],
  ['once', ONCE],
] as const)
  test(`${type} is due at its local time, after a gap of the clock and at the first of two occurrences`, () => {
    for (const [zone, value, after, expected, onTheWall] of rowsOf(table)) {
      const at = next(schedule(type, value, zone), Date.parse(after))
      const name = `${zone}: ${value} after ${after}`
      assert.equal(new Date(at).toISOString(), new Date(expected).toISOString(), name)
      assert.equal(wall(at, zone), onTheWall, name)
    }
  })

test('an interval keeps the beat of its anchor, and slots that passed are not made up for', () => {
  const hourly = schedule('interval', '3600000')
  const hour = 3_600_000
  const rows: [after: number, anchor: number, next: number][] = [
    [0, 0, hour],
    [hour - 1, 0, hour],
    [hour, 0, 2 * hour],
    [hour + 1, 0, 2 * hour],
    [100.5 * hour, 0, 101 * hour],
    [100.5 * hour, 1_234, 100 * hour + 1_234 + hour],
    // The clock was set back: the anchor is far ahead.
    [2.5 * hour, 1_000 * hour, 3 * hour],
  ]
  for (const [after, anchor, expected] of rows) assert.equal(next(hourly, after, anchor), expected, `${after} ${anchor}`)
})

test('what is no schedule is refused with the field, the reason and an example that is one', () => {
  const rows: [type: string, value: string, why: RegExp][] = [
    ['fortnightly', 'x', /no schedule type "fortnightly".*"cron", "interval" or "once"/],
    ['cron', '', /no cron expression.*0 9 \* \* 1-5/],
    ['cron', 'every day', /no cron expression/],
    ['cron', '61 * * * *', /Invalid value for minute: 61/],
    ['cron', '*/0 * * * *', /no cron expression/],
    ['cron', '5-1 * * * *', /no cron expression/],
    ['cron', '@reboot', /no cron expression/],
    ['cron', '* * * * * *', /has 6 fields; .*five and no seconds/],
    ['cron', '0 9 * * * * 2026', /has 7 fields/],
    ['cron', `0 9 * * ${'1,'.repeat(200)}`, /more than 200 characters/],
    ['interval', 'soon', /whole number of milliseconds.*3600000/],
    ['interval', '-60000', /whole number/],
    ['interval', '6e5', /whole number/],
    ['interval', '59999', /too often.*at most once in 60000 ms/],
    ['interval', '9'.repeat(15), /ten years/],
    ['interval', '315360000001', /ten years/],
    ['interval', `${'0'.repeat(194)}3600000`, /more than 200 characters/],
    ['once', 'tomorrow', /no date and time.*2026-03-01T09:00/],
    ['once', '2026-03-01', /no date and time/],
    ['once', '2026-02-30T09:00', /no such date/],
    ['once', '2026-02-30T09:00Z', /no such date/],
    ['once', '2026-03-01T25:00', /no such date/],
    ['once', '2026-03-01T09:60', /no such date/],
    ['once', '2026-03-01T09:59:60', /no such date/],
    ['once', '2026-03-01T24:00', /no such date/],
    ['once', '2026-13-01T09:00', /no such date/],
    ['x'.repeat(60), 'x', /no schedule type "x{50}";/],
  ]
  for (const [type, value, why] of rows) {
    const parsed = parseSchedule({ type, value }, 'UTC')
    if (parsed.type === 'schedule') assert.fail(`${type} ${value} was taken`)
    assert.equal(parsed.field, ['cron', 'interval', 'once'].includes(type) ? 'schedule_value' : 'schedule_type')
    assert.match(parsed.why, why)
  }
  assert.equal(parseSchedule({ type: 'once', value: '2011-12-30T09:00' }, 'Pacific/Apia').type, 'problem', 'a day that never was')
})

test('the shortest interval is a minute, and cron cannot be more often', () => {
  assert.equal(next(schedule('interval', '60000'), 0), 60_000)
  assert.equal(next(schedule('interval', '315360000000'), 0), 315_360_000_000, 'and the longest is ten years')
  assert.equal(next(schedule('interval', ` ${'0'.repeat(193)}3600000\n`), 0), 3_600_000, '200 characters are looked at')
  assert.equal(next(schedule('cron', '* * * * *'), 0), 60_000)
})

test('a schedule without a further moment says so with the present local time', () => {
  const now = Date.parse('2026-03-01T09:00Z')
  const why = (type: string, value: string) => whyNoMoment({ type, value }, { now, zone: 'Asia/Kolkata' }).why
  assert.equal(why('once', '2026-03-01T14:30'), '"2026-03-01T14:30" is past; it is 2026-03-01 14:30 (Asia/Kolkata) now')
  assert.match(why('once', '2026-03-01T14:31'), /^"2026-03-01T14:31" was run already;/)
  assert.equal(why('weekly', '1'), 'there is no schedule type "weekly"; it is "cron", "interval" or "once"')
  assert.equal(why('cron', '0 0 30 2 *'), '"0 0 30 2 *" never comes; it is 2026-03-01 14:30 (Asia/Kolkata) now')
  assert.equal(nextMoment(schedule('once', '2026-03-01T14:30', 'Asia/Kolkata'), { after: now, anchor: 0 }), undefined)
  assert.equal(nextMoment(schedule('cron', '0 0 30 2 *'), { after: now, anchor: 0 }), undefined)
})

/** A second implementation of cron that only compares: minute by minute through a few days, as `Intl` shows them. */
type Minute = { at: number; date: string; time: string; fields: readonly [number, number, number, number, number] }

const DAYS: [zone: string, day: string][] = [
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Pacific/Apia', '2011-12-30'],
  ['America/Sao_Paulo', '2018-11-04'],
  ['Africa/Casablanca', '2026-03-22'],
  ['Asia/Tehran', '2022-03-22'],
  ['Asia/Kolkata', '2026-12-31'],
  ['UTC', '2028-02-29'],
]

/** Every minute from two days before to two days after. */
function minutesAround([zone, day]: [string, string]): Minute[] {
  // Swedes write a moment as 2026-03-29 03:00.
  const format = new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  const first = Date.parse(`${day}T00:00Z`) - 2 * 86_400_000
  return Array.from({ length: 4 * 1_440 }, (_, n) => {
    const at = first + n * 60_000
    const [date = '', time = ''] = format.format(at).split(' ')
    const [minute, hour, dayOfMonth, month] = [time.slice(3), time.slice(0, 2), date.slice(8), date.slice(5, 7)].map(Number)
    const weekday = new Date(date).getUTCDay()
    return { at, date, time, fields: [minute, hour, dayOfMonth, month, weekday] as Minute['fields'] }
  })
}

/** The whole days of these minutes: a day of which only a part is there says nothing of its gaps. */
function wholeDays(minutes: readonly Minute[]): Minute[] {
  return minutes.filter(({ date }) => date !== minutes[0]?.date && date !== minutes.at(-1)?.date)
}

const SMALLEST = [0, 0, 1, 1, 0]
const LARGEST = [59, 23, 31, 12, 6]

/** The values that a field lets through. */
function valuesOf(field: string, index: number): Set<number> {
  const values = field.split(',').flatMap((item) => {
    const [range = '', step = '1'] = item.split('/')
    const [from, to = from] = range === '*' ? [SMALLEST[index], LARGEST[index]] : range.split('-').map(Number)
    const all = Array.from({ length: Number(to) - Number(from) + 1 }, (_, n) => Number(from) + n)
    return all.filter((value) => (value - Number(from)) % Number(step) === 0)
  })
  return new Set(values)
}

function naive(expression: string, minutes: readonly Minute[]): number[] {
  const field = expression.split(' ')
  const values = field.map(valuesOf)
  const fits = (index: number, value: number) => values[index]?.has(value)
  const onDay = ({ fields: [, , day, month, weekday] }: Minute) => {
    if (!fits(3, month)) return false
    const [byDay, byWeekday] = [field[2] !== '*', field[4] !== '*']
    return byDay && byWeekday ? fits(2, day) || fits(4, weekday) : fits(2, day) && fits(4, weekday)
  }
  if (/[*/]/.test(`${field[0]}${field[1]}`))
    return minutes.filter((one) => onDay(one) && fits(0, one.fields[0]) && fits(1, one.fields[1])).map(({ at }) => at)
  const found = [...Map.groupBy(minutes.filter(onDay), ({ date }) => date).values()].flatMap((day) =>
    Array.from({ length: 1_440 }, (_, n) => [n % 60, Math.floor(n / 60)] as const)
      .filter(([minute, hour]) => fits(0, minute) && fits(1, hour))
      .flatMap(([minute, hour]) => {
        const time = `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`
        return (day.find((one) => one.time === time) ?? day.find((one) => one.time > time))?.at ?? []
      }),
  )
  return [...new Set(found)].sort((a, b) => a - b)
}

function readable(moments: readonly number[]): string {
  return moments.map((moment) => new Date(moment).toISOString()).join('\n')
}

/** mulberry32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

function randomField(index: number, random: (below: number) => number): string {
  const [low, high] = [SMALLEST[index] ?? 0, LARGEST[index] ?? 0]
  const one = () => low + random(high - low + 1)
  const range = () => [one(), one()].sort((a, b) => a - b).join('-')
  // Days, months and weekdays are mostly free, so that something is due in the few days that are looked at.
  const kind = random(index < 2 ? 7 : 14)
  if (kind === 0) return String(one())
  if (kind === 1) return range()
  if (kind === 2) return `${one()},${one()},${range()}`
  if (kind === 3) return `${range()}/${2 + random(4)}`
  if (kind === 4) return `*/${2 + random(Math.min(9, high - 1))}`
  if (kind === 5 && index < 2) return `${one()},${one()}`
  return '*'
}

/** What `Intl` said of a moment in a zone is remembered until the test ends: it is asked the same millions of times. */
function rememberParts(t: TestContext): void {
  const { prototype } = Intl.DateTimeFormat
  const asked = prototype.formatToParts
  const known = new Map<Intl.DateTimeFormat, Map<number, Intl.DateTimeFormatPart[]>>()
  prototype.formatToParts = function (date) {
    const moments = known.get(this) ?? new Map<number, Intl.DateTimeFormatPart[]>()
    const parts = moments.get(Number(date)) ?? asked.call(this, date)
    known.set(this, moments.set(Number(date), parts))
    return parts
  }
  t.after(() => {
    prototype.formatToParts = asked
  })
}

test('1,000 random expressions are due when a second implementation finds them due', (t) => {
  rememberParts(t)
  const random = randomOf(5)
  const around = DAYS.map(([zone, day]) => {
    const minutes = wholeDays(minutesAround([zone, day]))
    return { zone, minutes, change: Date.parse(`${day}T00:00Z`) }
  })
  let compared = 0
  for (let n = 0; n < 1_000; n++) {
    const { zone, minutes, change } = around[n % around.length] ?? assert.fail()
    const expression = [0, 1, 2, 3, 4].map((index) => randomField(index, random)).join(' ')
    const all = naive(expression, minutes)
    // What is due all the time is looked at in the hours around the change only: clocks change up to 14 hours from UTC's midnight.
    const reach = all.length > 200 ? 15 * 3_600_000 : Number.POSITIVE_INFINITY
    const start = Math.max(minutes[0]?.at ?? 0, change - reach)
    const end = Math.min(minutes.at(-1)?.at ?? 0, change + reach)
    const expected = all.filter((at) => start <= at && at <= end)
    const actual: number[] = []
    const parsed = schedule('cron', expression, zone)
    let at = nextMoment(parsed, { after: start - 1, anchor: 0 })
    while (at !== undefined && at <= end) {
      actual.push(at)
      at = nextMoment(parsed, { after: at, anchor: 0 })
    }
    assert.equal(readable(actual), readable(expected), `${expression} in ${zone}`)
    compared += expected.length
  }
  assert.ok(compared > 50_000, `only ${compared} moments were compared`)
})
