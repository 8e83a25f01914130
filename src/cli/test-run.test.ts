import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testProblems } from './test.ts'
import { joined, type Totals } from './test-run.ts'

const none: Totals = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 }
const note = (message: string) => ({ type: 'test:diagnostic', data: { nesting: 0, message } })

/** What a run of node:test sends, in short: its tests, its summary lines, and the counts. */
async function* run(name: string, counts: Partial<Totals>) {
  yield { type: 'test:pass', data: { nesting: 0, file: name } }
  yield { type: 'test:summary', data: { file: name, counts: { ...none, tests: 99 } } }
  yield note(`tests ${counts.tests}`)
  yield note('duration_ms 10.5')
  yield { type: 'test:summary', data: { counts: { ...none, ...counts }, duration_ms: 10.5 } }
}

test('runs become one, with one summary that adds them up; those of a phase go at the same time', async () => {
  const totals = { ...none }
  const seen: string[] = []
  const begins = (name: string, counts: Partial<Totals>) => () => {
    seen.push(`begin ${name}`)
    return run(name, counts)
  }
  for await (const { type, data } of joined(
    [
      [begins('a', { tests: 2, passed: 2 })],
      [begins('b', { tests: 3, passed: 2, failed: 1 }), begins('c', { tests: 1, passed: 1 })],
    ],
    totals,
  ))
    seen.push(data.message ?? `${type} ${data.file}`)
  assert.deepEqual(totals, { ...none, tests: 6, passed: 5, failed: 1 })
  const summary = ['tests 6', 'suites 0', 'pass 5', 'fail 1', 'cancelled 0', 'skipped 0', 'todo 0', 'duration_ms 21']
  const told = (name: string) => [`test:pass ${name}`, `test:summary ${name}`]
  assert.deepEqual(seen, ['begin a', ...told('a'), 'begin b', 'begin c', ...told('b'), ...told('c'), ...summary])
})

test('failed, cancelled and no tests fail the run; skipped ones do so in CI', () => {
  assert.deepEqual(testProblems({ totals: { ...none, tests: 3, passed: 2, skipped: 1 }, strict: false }), [])
  assert.equal(testProblems({ totals: { ...none, tests: 3, passed: 2, skipped: 1 }, strict: true }).length, 1)
  assert.equal(testProblems({ totals: { ...none, tests: 2, failed: 1, cancelled: 1 }, strict: false }).length, 1)
  assert.equal(testProblems({ totals: none, strict: false }).length, 1)
})
