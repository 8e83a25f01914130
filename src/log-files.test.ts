import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { LogFile, type LogLimits, surplus } from './log-files.ts'

const NOON = Date.UTC(2026, 0, 31, 12)
const HOUR = 3_600_000
const limits: LogLimits = { fileBytes: 10, fileAgeMs: HOUR, keep: { files: 3, bytes: 25, ageMs: 100 * HOUR } }

test('a log that would get too large is kept under its time, and begun anew', (t) => {
  const { log, lines } = logIn(t)
  for (const text of ['12345\n', '678\n', 'new\n']) log.write(text)
  assert.deepEqual(lines(), { 'nanoclaw.20260131-120000.log': '12345\n678\n', 'nanoclaw.log': 'new\n' })
})

test('so is one that is too old', (t) => {
  const { log, lines, pass } = logIn(t)
  log.write('old\n')
  pass(2 * HOUR)
  log.write('new\n')
  assert.deepEqual(lines(), { 'nanoclaw.20260131-140000.log': 'old\n', 'nanoclaw.log': 'new\n' })
})

test('two in the same second have names of their own', (t) => {
  const { log, lines } = logIn(t)
  for (const text of ['1234567890', '1234567890', 'x']) log.write(text)
  assert.deepEqual(Object.keys(lines()), ['nanoclaw.20260131-120000-2.log', 'nanoclaw.20260131-120000.log', 'nanoclaw.log'])
})

test('an entry is never cut, however long it is', (t) => {
  const { log, lines } = logIn(t)
  log.write('much longer than a log may be\n')
  assert.deepEqual(lines(), { 'nanoclaw.log': 'much longer than a log may be\n' })
})

test('former logs go when they are too many, and nothing else goes with them', (t) => {
  const { log, folder, lines } = logIn(t)
  const old = ['nanoclaw.20250101-000000.log', 'nanoclaw.20250102-000000.log', 'nanoclaw.20250103-000000.log']
  const others = ['nanoclaw.error.log', 'nanoclaw.error.20250101-000000.log', 'nanoclaw.mine.log', 'nanoclaw-dockerd.log']
  for (const [day, name] of [...old, ...others].entries()) {
    writeFileSync(path.join(folder, name), 'x')
    utimesSync(path.join(folder, name), NOON / 1_000 - 100 + day, NOON / 1_000 - 100 + day)
  }
  for (const text of ['1234567890', 'new']) log.write(text)
  const left = Object.keys(lines())
  assert.deepEqual(
    left.filter((name) => old.includes(name)),
    old.slice(1),
  )
  for (const name of others) assert.ok(left.includes(name), name)
})

test('a link in place of the log is refused', (t) => {
  const folder = folderFor(t)
  symlinkSync('/etc/passwd', path.join(folder, 'nanoclaw.log'))
  assert.throws(() => LogFile.open(path.join(folder, 'nanoclaw.log'), limits), /ELOOP/)
})

test('what is kept is bounded by number, bytes and age; the newest always stays', () => {
  const file = (name: string, hoursAgo: number, bytes: number) => ({ name, bytes, changedAt: NOON - hoursAgo * HOUR })
  const gone = (files: ReturnType<typeof file>[]) => surplus(files, { keep: limits.keep, now: NOON }).sort()
  assert.deepEqual(gone([file('a', 1, 1), file('b', 2, 1), file('c', 3, 1), file('d', 4, 1)]), ['d'])
  assert.deepEqual(gone([file('a', 1, 10), file('b', 2, 10), file('c', 3, 10)]), ['c'])
  assert.deepEqual(gone([file('a', 1, 1), file('b', 101, 1)]), ['b'])
  assert.deepEqual(gone([file('a', 900, 900)]), [])
  assert.deepEqual(gone([]), [])
})

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-logs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function logIn(t: TestContext) {
  const folder = folderFor(t)
  let now = NOON
  const log = LogFile.open(path.join(folder, 'nanoclaw.log'), limits, () => now)
  t.after(() => log.close())
  const lines = () =>
    Object.fromEntries(
      readdirSync(folder)
        .sort()
        .map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
    )
  return { folder, log, lines, pass: (ms: number) => (now += ms) }
}
