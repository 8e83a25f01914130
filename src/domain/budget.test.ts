import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admit, type Gauge, periodAt } from './budget.ts'

const gauge = (changes: Partial<Gauge>): Gauge => ({
  whose: 'group',
  period: 'day',
  most: 100,
  spent: 0,
  reserved: 0,
  next: 50,
  ...changes,
})

for (const [name, gauges, expected] of [
  ['without a budget', [], 'go'],
  ['within its budget', [gauge({})], 'go'],
  ['beside another one, while both fit', [gauge({ reserved: 50 })], 'go'],
  ['alone, however dear it may be', [gauge({ spent: 99, next: 1_000 })], 'go'],
  ['beside another one, when both may not fit', [gauge({ reserved: 51 })], 'wait'],
  ['when one of its budgets is tight', [gauge({}), gauge({ whose: 'all', spent: 40, reserved: 11 })], 'wait'],
  ['with nothing left', [gauge({ spent: 100 })], 'over'],
  ['with a budget of nothing', [gauge({ most: 0 })], 'over'],
  ['with one budget used up and another one tight', [gauge({ reserved: 60 }), gauge({ whose: 'all', spent: 101 })], 'over'],
] as const) {
  test(`a call ${name}: ${expected}`, () => assert.equal(admit(gauges).type, expected))
}

test('what ends last says when to go on', () => {
  const over = admit([gauge({ period: 'month', spent: 100 }), gauge({ period: 'day', spent: 100 })])
  assert.ok(over.type === 'over' && over.gauge.period === 'month')
})

for (const [zone, at, day, month] of [
  ['UTC', '2026-11-21T00:00Z', ['2026-11-21T00:00Z', '2026-11-22T00:00Z'], ['2026-11-01T00:00Z', '2026-12-01T00:00Z']],
  ['Europe/Berlin', '2026-11-20T23:30Z', ['2026-11-20T23:00Z', '2026-11-21T23:00Z'], ['2026-10-31T23:00Z', '2026-11-30T23:00Z']],
  // The day on which clocks go back has 25 hours.
  ['Europe/Berlin', '2026-10-25T12:00Z', ['2026-10-24T22:00Z', '2026-10-25T23:00Z'], ['2026-09-30T22:00Z', '2026-10-31T23:00Z']],
  // There was no midnight: clocks went from 23:59 to 01:00.
  [
    'America/Sao_Paulo',
    '2018-11-04T12:00Z',
    ['2018-11-04T03:00Z', '2018-11-05T02:00Z'],
    ['2018-11-01T03:00Z', '2018-12-01T02:00Z'],
  ],
  ['Asia/Kathmandu', '2026-11-20T18:15Z', ['2026-11-20T18:15Z', '2026-11-21T18:15Z'], ['2026-10-31T18:15Z', '2026-11-30T18:15Z']],
] as const) {
  test(`day and month of ${at} in ${zone}`, () => {
    const period = (name: 'day' | 'month') => {
      const { from, to } = periodAt(name, { at: Date.parse(at), timeZone: zone })
      return [from, to]
    }
    assert.deepEqual(period('day'), day.map(Date.parse))
    assert.deepEqual(period('month'), month.map(Date.parse))
  })
}
