import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import type { Budget } from '../domain/budget.ts'
import { HostError } from '../domain/host-failure.ts'
import { NO_TOKENS } from '../domain/model-price.ts'
import { Budgets, type Grant } from './budgets.ts'
import { usageReport } from './usage-report.ts'

const NOON = Date.parse('2026-11-21T12:00Z')
const NEVER = new AbortController().signal
/** A dollar for a million tokens, whatever they are. */
const prices = { m: { input: 1, output: 1, cacheRead: 1 } }

function room(t: TestContext, { all = {}, family = {} }: { all?: Budget; family?: Budget }) {
  const { store } = storeWith(t, [])
  for (const folder of ['family', 'work'])
    store.groups.add({ folder, name: folder, isMain: false, config: folder === 'family' ? { budget: family } : {} }, 0)
  const time = { now: NOON }
  const rules = { timeZone: 'UTC', budget: all, prices }
  const budgets = new Budgets({ store, now: () => time.now }, rules)
  const begin = (folder = 'family', signal = NEVER) =>
    budgets.begin({ folder, model: 'm', inputTokens: 0, maxTokens: 100 }, signal)
  /** A call that is over at once. */
  const call = async (output: number, folder = 'family') => settle(await begin(folder), output)
  const report = () => usageReport(store, { ...rules, now: time.now })
  return { store, budgets, time, begin, call, report }
}

function settle(grant: Grant, output: number): void {
  assert.ok(grant.type === 'granted', JSON.stringify(grant))
  grant.settle({ model: 'm', tokens: { ...NO_TOKENS, output } })
}

/** Whether it is decided as long as nothing else happens. */
async function decided(promise: Promise<unknown>): Promise<boolean> {
  let is = false
  promise.then(
    () => (is = true),
    () => (is = true),
  )
  await hasTheChance()
  return is
}

test('a group may use its budget and no more, until the day ends', async (t) => {
  const { begin, call, time } = room(t, { family: { dayTokens: 1_000 } })
  await call(5_000, 'work')
  await call(999)
  await call(500)
  const over = { type: 'over', why: "This group's budget for this day is used up.", retryAt: Date.parse('2026-11-22T00:00Z') }
  assert.deepEqual(await begin(), over)
  assert.equal((await begin('work')).type, 'granted')
  time.now = over.retryAt
  assert.equal((await begin()).type, 'granted')
})

test('the budget of all groups holds for each, in money', async (t) => {
  const { begin, call } = room(t, { all: { monthUsd: 0.001 } })
  await call(600, 'work')
  await call(400, 'family')
  const over = {
    type: 'over',
    why: 'The budget of all groups for this month is used up.',
    retryAt: Date.parse('2026-12-01T00:00Z'),
  }
  assert.deepEqual([await begin('family'), await begin('work')], [over, over])
})

test('near the end calls go one by one, and each is decided by what the one before it cost', async (t) => {
  const { begin } = room(t, { family: { dayTokens: 250 } })
  const [first, second] = [await begin(), await begin()]
  const third = begin()
  assert.equal(await decided(third), false)
  settle(first, 100)
  assert.equal(await decided(third), false, '100 used, 100 under way and 100 more are too much')
  settle(second, 10)
  settle(await third, 139)
  settle(await begin(), 1)
  assert.equal((await begin()).type, 'over')
})

for (const whose of ['family', 'all'] as const)
  test(`calls of other groups do not wait for one under way, and its own do (${whose})`, async (t) => {
    const { begin } = room(t, { [whose]: { dayTokens: 150 } })
    await begin('family')
    assert.equal((await begin('work')).type, 'granted')
    assert.equal(await decided(begin('family')), false)
  })

test('a call of another group may not begin when all have used up what they have together', async (t) => {
  const { begin } = room(t, { all: { dayTokens: 150 } })
  const [family, work] = [await begin('family'), await begin('work')]
  settle(family, 100)
  settle(work, 100)
  assert.deepEqual([(await begin('family')).type, (await begin('work')).type], ['over', 'over'])
})

test('who leaves while it waits is not waited for', async (t) => {
  const { begin } = room(t, { family: { dayTokens: 150 } })
  const first = await begin()
  const leaver = new AbortController()
  const waiting = begin('family', leaver.signal)
  assert.equal(await decided(waiting), false)
  leaver.abort(new Error('left'))
  await assert.rejects(waiting, /left/)
  settle(first, 10)
  assert.equal((await begin()).type, 'granted')
})

test('a call counts at its most while it is under way: all that it sends written to the cache, and all that it asks for', async (t) => {
  const { store, budgets } = room(t, { family: { dayTokens: 1_000 } })
  const begin = (inputTokens: number, maxTokens: number) =>
    budgets.begin({ folder: 'family', model: 'm', inputTokens, maxTokens }, NEVER)
  await begin(400, 100)
  assert.equal(await decided(begin(400, 101)), false)
  assert.equal((await begin(400, 100)).type, 'granted')
  const own = room(t, { family: { dayUsd: 0.001 } })
  await own.budgets.begin({ folder: 'family', model: 'm', inputTokens: 400, maxTokens: 0 }, NEVER)
  const next = (inputTokens: number) => own.budgets.begin({ folder: 'family', model: 'm', inputTokens, maxTokens: 0 }, NEVER)
  assert.equal(await decided(next(401)), false, 'a token costs 1.25 dollars in a million')
  assert.equal((await next(400)).type, 'granted')
  assert.deepEqual(store.usage.between({ from: 0, to: Number.MAX_SAFE_INTEGER }), [], 'nothing is spent yet')
})

test('a call whose client left before it began is not begun', async (t) => {
  const { begin } = room(t, {})
  await assert.rejects(begin('family', AbortSignal.abort(new Error('left'))), /left/)
})

test('a call counts once, and nothing used is no call', async (t) => {
  const { begin, report } = room(t, {})
  const grant = await begin()
  settle(grant, 7)
  settle(grant, 7)
  settle(await begin(), 0)
  assert.deepEqual([report().all.day.calls, report().all.day.output], [1, 7])
})

test('what was used is told by group, model, day and month', async (t) => {
  const { call, time, report } = room(t, { all: { dayUsd: 1 }, family: { monthTokens: 5 } })
  time.now = Date.parse('2026-11-01T00:00Z')
  await call(1_000)
  time.now = Date.parse('2026-10-31T23:59Z')
  await call(9)
  time.now = NOON
  await call(10, 'work')
  const { all, groups, models, periods } = report()
  assert.deepEqual([all.day.output, all.month.output, all.month.usd, all.budget], [10, 1_010, 0.00101, { dayUsd: 1 }])
  assert.deepEqual(
    groups.map(({ folder, day, month, budget }) => [folder, day.calls, month.countedTokens, budget]),
    [
      ['family', 0, 1_000, { monthTokens: 5 }],
      ['work', 1, 10, {}],
    ],
  )
  assert.deepEqual(
    models.map(({ model, month }) => [model, month.calls]),
    [['m', 2]],
  )
  assert.deepEqual(periods.day, { from: '2026-11-21T00:00:00.000Z', to: '2026-11-22T00:00:00.000Z' })
})

test('a call that cannot be counted has been made, lets the next one begin, and is counted with it', async (t) => {
  const { store, begin, call } = room(t, { family: { dayTokens: 1_000 } })
  await call(950)
  const under = await begin()
  const next = begin()
  assert.equal(await decided(next), false, 'it waits for what the other one uses')
  const { mock } = t.mock.method(store.usage, 'add', () => {
    throw new HostError(new Error('ENOSPC'))
  })
  settle(under, 20)
  const granted = await next
  mock.restore()
  settle(granted, 5)
  const [all] = store.usage.between({ from: NOON - 1, to: NOON + 1 })
  assert.equal(all?.output, 975)
})

test('a use that the store does not take is not tried for ever', async (t) => {
  const { store, begin, call } = room(t, {})
  const { mock } = t.mock.method(store.usage, 'add', () => {
    throw new Error('a mistake of ours')
  })
  settle(await begin(), 20)
  mock.restore()
  await call(5)
  assert.equal(store.usage.between({ from: NOON - 1, to: NOON + 1 })[0]?.output, 5)
})

test('what a failing disk refuses counts against the budget, and is stored in one entry for each group and model', async (t) => {
  const { store, call, begin } = room(t, { family: { dayTokens: 1_000 } })
  const full = t.mock.method(store.usage, 'add', () => {
    throw new HostError(new Error('the disk is full'))
  })
  for (let n = 0; n < 3; n++) await call(300)
  await call(100)
  assert.equal((await begin()).type, 'over')
  await call(1, 'work')
  full.mock.restore()
  const add = t.mock.method(store.usage, 'add')
  await call(1, 'work')
  assert.equal(add.mock.callCount(), 2)
  const calls = store.usage.between({ from: 0, to: NOON * 2 }).map((sum) => [sum.folder, sum.calls, sum.output])
  assert.deepEqual(calls, [
    ['family', 4, 1_000],
    ['work', 2, 2],
  ])
})
