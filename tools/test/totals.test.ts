import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testProblems } from './command.ts'
import { type Event, joined, noTotals, type Totals } from './totals.ts'

const note = (message: string) => ({ type: 'test:diagnostic', data: { nesting: 0, message } })

/** What a run of node:test sends, in short: its tests, its summary lines, and the counts. */
function run(name: string, counts: Partial<Totals>): Event[] {
  return [
    { type: 'test:pass', data: { nesting: 0, file: name } },
    { type: 'test:summary', data: { file: name, counts: { ...noTotals(), tests: 99 } } },
    note(`tests ${counts.tests}`),
    note('duration_ms 10.5'),
    { type: 'test:summary', data: { counts: { ...noTotals(), ...counts }, duration_ms: 10.5 } },
  ]
}

async function* runs(...all: Event[][]): AsyncGenerator<Event[]> {
  yield* all
}

test('runs become one, with one summary that adds them up', async () => {
  const totals = noTotals()
  const seen: string[] = []
  const both = runs(run('a', { tests: 2, passed: 2 }), run('b', { tests: 3, passed: 2, failed: 1 }))
  for await (const { type, data } of joined(both, totals, () => 21)) seen.push(data.message ?? `${type} ${data.file}`)
  assert.deepEqual(totals, { ...noTotals(), tests: 5, passed: 4, failed: 1 })
  const told = (name: string) => [`test:pass ${name}`, `test:summary ${name}`]
  const summary = ['tests 5', 'suites 0', 'pass 4', 'fail 1', 'cancelled 0', 'skipped 0', 'todo 0', 'duration_ms 21000']
  assert.deepEqual(seen, [...told('a'), ...told('b'), ...summary])
})

test('failed, cancelled and no tests fail the run; skipped ones do so in CI', () => {
  const problems = (counts: Partial<Totals>, strict = false) => testProblems({ totals: { ...noTotals(), ...counts }, strict })
  assert.deepEqual(problems({ tests: 3, passed: 2, skipped: 1 }), [])
  assert.equal(problems({ tests: 3, passed: 2, skipped: 1 }, true).length, 1)
  assert.equal(problems({ tests: 2, passed: 1, failed: 1 }).length, 1)
  assert.equal(problems({ tests: 2, passed: 1, cancelled: 1 }).length, 1)
  assert.equal(problems({}).length, 1)
})
