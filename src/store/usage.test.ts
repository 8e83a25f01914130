import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { oldDatabase } from '../../test/fakes/old-database.ts'
import { openStore, storeWith, temporaryFolder } from '../../test/fakes/rooms.ts'
import { type Period, periodAt } from '../domain/budget.ts'
import type { UsageSum } from './usage.ts'

const QUARTER_MS = 15 * 60_000
const DAY_MS = 96 * QUARTER_MS
/** Days of 23, 24, 25 and 23.5 hours, offsets of 30 and 45 minutes. */
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Pacific/Chatham', 'Australia/Lord_Howe']
/** Both changes of clocks of the year are near, and so is the end of a month. */
const MOMENTS = ['2026-03-29T00:30Z', '2026-10-25T01:00Z', '2026-10-31T22:45Z', '2026-03-08T06:59Z', '2026-04-04T15:00Z'].map(
  (at) => Date.parse(at),
)

/** The same numbers in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

type Roll = (sides: number) => number

function anyCall(roll: Roll) {
  const around = MOMENTS[roll(MOMENTS.length)] ?? 0
  const [input, output] = [roll(1_000), roll(1_000)]
  const tokens = { input, output, cacheWrite: roll(9), cacheWriteHour: roll(9), cacheRead: roll(9), searches: roll(3) }
  return {
    ...tokens,
    at: around + (roll(40 * 96) - 20 * 96) * QUARTER_MS + roll(QUARTER_MS),
    folder: ['main', 'family', 'work'][roll(3)] ?? '',
    model: ['opus', 'haiku'][roll(2)] ?? '',
    nanoUsd: roll(1e9),
  }
}

/** What the rows themselves add up to. */
function added(rows: SQLite.Database, period: { from: number; to: number }): UsageSum[] {
  return rows
    .prepare(
      `SELECT group_folder AS folder, model, sum(calls) AS calls, sum(input) AS input, sum(cache_write) AS cacheWrite,
        sum(cache_write_hour) AS cacheWriteHour, sum(cache_read) AS cacheRead, sum(output) AS output, sum(searches) AS searches,
        sum(nano_usd) AS nanoUsd
      FROM usage WHERE slot >= :from AND slot < :to GROUP BY group_folder, model`,
    )
    .all(period) as UsageSum[]
}

const sorted = (sums: readonly UsageSum[]) =>
  sums.toSorted((a, b) => `${a.folder} ${a.model}`.localeCompare(`${b.folder} ${b.model}`))

function anyPeriod(roll: Roll): { from: number; to: number } {
  if (roll(10) === 0) return { from: 0, to: Number.MAX_SAFE_INTEGER }
  const [timeZone = 'UTC', period] = [ZONES[roll(ZONES.length)], (['day', 'month'] as Period[])[roll(2)] ?? 'day']
  return periodAt(period, { at: anyCall(roll).at, timeZone })
}

for (const seed of [1, 2, 3])
  test(`sums are what the rows add up to, whatever is written in whatever order (seed ${seed})`, (t) => {
    const { store, folder } = storeWith(t, ['main'])
    const rows = new SQLite(path.join(folder, 'messages.db'))
    t.after(() => rows.close())
    const roll = dice(seed)
    const someSlot = () => rows.prepare('SELECT slot FROM usage ORDER BY slot LIMIT 1 OFFSET ?').pluck().get(roll(200)) ?? 0
    const happenings = [
      () => store.tx(() => Array.from({ length: 20 }, () => store.usage.add(anyCall(roll))).length),
      () => store.usage.add(anyCall(roll)),
      () => rows.prepare('UPDATE usage SET nano_usd = nano_usd * 2, input = input + 1 WHERE slot = ?').run(someSlot()),
      () => rows.prepare("DELETE FROM usage WHERE slot = ? AND model = 'haiku'").run(someSlot()),
    ]
    for (let round = 0; round < 150; round++) {
      happenings[roll(happenings.length)]?.()
      const period = anyPeriod(roll)
      const expected = sorted(added(rows, period))
      assert.deepEqual(sorted(store.usage.between(period)), expected, JSON.stringify(period))
      const ofFamily = store.usage.between({ ...period, folder: 'family' })
      assert.deepEqual(
        sorted(ofFamily),
        expected.filter(({ folder }) => folder === 'family'),
      )
    }
  })

test('a group comes before the next, and its dearest model first', (t) => {
  const { store } = storeWith(t, ['main'])
  const call = { ...anyCall(dice(1)), at: 0 }
  for (const [folder, model, nanoUsd] of [
    ['b', 'x', 1],
    ['a', 'x', 1],
    ['a', 'y', 2],
  ] as const)
    store.usage.add({ ...call, folder, model, nanoUsd })
  const order = store.usage.between({ from: 0, to: 1 }).map(({ folder, model }) => folder + model)
  assert.deepEqual(order, ['ay', 'ax', 'bx'])
})

test('what a former version counted is in the sums', (t) => {
  const file = path.join(temporaryFolder(t), 'messages.db')
  const old = oldDatabase(file, 10)
  const roll = dice(7)
  const add = old.prepare('INSERT INTO usage VALUES (?, ?, ?, 1, ?, 2, 3, 4, 5, 6, ?) ON CONFLICT DO NOTHING')
  for (let n = 0; n < 500; n++) {
    const { at, folder, model, input, nanoUsd } = anyCall(roll)
    add.run(Math.floor(at / QUARTER_MS) * QUARTER_MS, folder, model, input, nanoUsd)
  }
  old.close()
  const store = openStore(file)
  const rows = new SQLite(file, { readonly: true })
  t.after(() => [rows.close(), store.close()])
  store.usage.add(anyCall(roll))
  for (let round = 0; round < 50; round++) {
    const period = anyPeriod(roll)
    assert.deepEqual(sorted(store.usage.between(period)), sorted(added(rows, period)))
  }
})

test('what is forgotten is still in the sum since ever, and later periods are as they were', (t) => {
  const { store, folder } = storeWith(t, ['main'])
  const rows = new SQLite(path.join(folder, 'messages.db'), { readonly: true })
  t.after(() => rows.close())
  const roll = dice(3)
  store.tx(() => Array.from({ length: 2_500 }, () => store.usage.add(anyCall(roll))).length)
  const [before, ever] = [(MOMENTS[2] ?? 0) - DAY_MS, { from: 0, to: Number.MAX_SAFE_INTEGER }]
  const periods = [
    ever,
    { from: before, to: Number.MAX_SAFE_INTEGER },
    periodAt('month', { at: before + 5 * DAY_MS, timeZone: 'UTC' }),
  ]
  const sums = () => periods.map((period) => sorted(store.usage.between(period)))
  const [known, old] = [sums(), rows.prepare('SELECT count(*) FROM usage WHERE slot < ?').pluck().get(before) as number]
  const went = [0, 1, 2, 3].map(() => store.tx(() => store.usage.prune(before)))
  assert.deepEqual(went, [1_000, 1_000, old - 6 - 2_000, 0], 'some at a time; of each group and model one stays')
  assert.deepEqual(sums(), known)
  store.usage.add({ ...anyCall(roll), at: before + DAY_MS })
  assert.notDeepEqual(sums(), known)
})
