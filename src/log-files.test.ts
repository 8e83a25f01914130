import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { descriptorsOf } from '../test/fakes/open-files.ts'
import { ERROR_LOG, keptLogs, LogFile, type LogLimits, LossyLines, MAIN_LOG, surplus } from './log-files.ts'

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

test('a log is begun anew when it would exceed its bytes or its age, and not before', (t) => {
  const full = logIn(t)
  for (const text of ['12345', '67890']) full.log.write(text)
  assert.deepEqual(full.lines(), { 'nanoclaw.log': '1234567890' })
  full.log.write('x')
  assert.deepEqual(full.lines(), { 'nanoclaw.20260131-120000.log': '1234567890', 'nanoclaw.log': 'x' })
  const old = logIn(t)
  old.log.write('1')
  old.pass(HOUR)
  old.log.write('2')
  assert.deepEqual(old.lines(), { 'nanoclaw.log': '12' })
  old.pass(1)
  old.log.write('3')
  old.pass(HOUR)
  old.log.write('4')
  assert.deepEqual(old.lines(), { 'nanoclaw.20260131-130000.log': '12', 'nanoclaw.log': '34' }, 'its age begins anew, too')
})

test('a log counts in bytes, and goes on with what its file has', (t) => {
  const { log, folder, lines } = logIn(t)
  log.write('äöü')
  const again = LogFile.open(path.join(folder, 'nanoclaw.log'), limits, () => NOON)
  t.after(() => again.close())
  again.write('1234')
  assert.deepEqual(lines(), { 'nanoclaw.log': 'äöü1234' })
  again.write('x')
  assert.deepEqual(lines(), { 'nanoclaw.20260131-120000.log': 'äöü1234', 'nanoclaw.log': 'x' })
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

/** Writes to a log that is due while the process may open no further file, a minute later, and when it may again. */
const CROWDED = `
  import { closeSync, openSync } from 'node:fs'
  import { LogFile } from ${JSON.stringify(path.join(import.meta.dirname, 'log-files.ts'))}
  let now = ${NOON}
  const log = LogFile.open(process.argv[1], ${JSON.stringify(limits)}, () => now)
  log.write('1234567890')
  const open = []
  try {
    for (;;) open.push(openSync('/dev/null'))
  } catch {}
  const said = [log.write('a'), log.write('b')]
  now += 60_000
  said.push(log.write('c'))
  for (const file of open) closeSync(file)
  said.push(log.write('d'))
  now += 60_000
  said.push(log.write('e'))
  console.log(JSON.stringify(said))`

test('a log that cannot be begun anew goes on as it is, says so once, and tries again every minute', (t) => {
  const folder = folderFor(t)
  const file = path.join(folder, 'nanoclaw.log')
  const script = ['-c', 'ulimit -n 256; exec "$@"', 'sh', process.execPath, '--input-type=module-typescript', '-e', CROWDED, file]
  const [first, ...others] = JSON.parse(String(execFileSync('sh', script)))
  assert.match(first, /nanoclaw\.log is due to be kept and begun anew, which fails \(EMFILE\); it grows until that works\.$/)
  assert.deepEqual(others, [null, null, null, null], 'it is said once')
  const kept = readdirSync(folder).filter((name) => name !== 'nanoclaw.log')
  assert.deepEqual(
    kept.map((name) => readFileSync(path.join(folder, name), 'utf8')),
    ['1234567890abcd'],
  )
  assert.equal(readFileSync(file, 'utf8'), 'e')
})

test('a log that somebody removed is begun anew when it is due', (t) => {
  const { log, lines, folder } = logIn(t)
  log.write('1234567890')
  rmSync(path.join(folder, 'nanoclaw.log'))
  assert.equal(log.write('new'), undefined)
  assert.deepEqual(lines(), { 'nanoclaw.log': 'new' })
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
  assert.deepEqual(gone([file('a', 1, 10), file('b', 2, 10), file('c', 3, 5)]), [], 'as many bytes as may be')
  assert.deepEqual(gone([file('a', 1, 10), file('b', 2, 10), file('c', 3, 6)]), ['c'])
  assert.deepEqual(gone([file('a', 1, 1), file('b', 100, 1)]), [])
  assert.deepEqual(gone([file('a', 1, 1), file('b', 100 + 1 / HOUR, 1)]), ['b'])
  assert.deepEqual(gone([file('b', 1, 20), file('a', 1, 20)]), ['a'], 'of the same age, the later name is the newer one')
  assert.deepEqual(gone([file('a', 1, 1), file('b', 101, 1)]), ['b'])
  assert.deepEqual(gone([file('a', 900, 900)]), [])
  assert.deepEqual(gone([]), [])
})

test('former logs are listed oldest first, by their time and then by their name', (t) => {
  const folder = folderFor(t)
  const ages = { '20260102-000000': 1, '20260101-000000': 2, '20260103-000000-2': 3, '20260103-000000': 3 }
  for (const [name, age] of Object.entries(ages)) {
    const file = path.join(folder, `nanoclaw.${name}.log`)
    writeFileSync(file, 'x'.repeat(age))
    utimesSync(file, NOON / 1_000 - age, NOON / 1_000 - age)
  }
  for (const other of [
    'nanoclaw.log',
    'nanoclaw.20260101-00000.log',
    'nanoclaw.20260101-000000-x.log',
    'other.20260101-000000.log',
  ])
    writeFileSync(path.join(folder, other), '')
  assert.deepEqual(
    keptLogs(path.join(folder, 'nanoclaw.log')).map(({ name, bytes, changedAt }) => [name, bytes, changedAt]),
    [
      ['nanoclaw.20260103-000000-2.log', 3, NOON - 3_000],
      ['nanoclaw.20260103-000000.log', 3, NOON - 3_000],
      ['nanoclaw.20260101-000000.log', 2, NOON - 2_000],
      ['nanoclaw.20260102-000000.log', 1, NOON - 1_000],
    ],
  )
})

test('all logs of a host together take 120 MB at most, besides those being written', () => {
  assert.equal((MAIN_LOG.keep.bytes + ERROR_LOG.keep.bytes) / 2 ** 20, 120)
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

/** A place that fails as the test says. */
function place() {
  const written: string[] = []
  const state: { fails: string | undefined; trouble: string | undefined } = { fails: undefined, trouble: undefined }
  const lines = new LossyLines({
    write: (text) => {
      if (state.fails !== undefined) throw Object.assign(new Error('it fails'), { code: state.fails })
      written.push(text)
      const { trouble } = state
      state.trouble = undefined
      return trouble
    },
    lineOf: (message) => `ERROR ${message}`,
  })
  return { lines, written, state }
}

for (const code of ['EIO', 'EDQUOT', 'ENOSPC', 'EBADF', 'EMFILE', 'EPIPE'])
  test(`lines that cannot be written are counted, and told once when that works again: ${code}`, () => {
    const { lines, written, state } = place()
    lines.write('one')
    state.fails = code
    for (const text of ['two', 'three']) lines.write(text)
    state.fails = undefined
    for (const text of ['four', 'five']) lines.write(text)
    state.fails = code
    lines.write('six')
    state.fails = undefined
    lines.write('seven')
    assert.deepEqual(written, [
      ...['one', `ERROR 2 lines were lost here: ${code}`, 'four', 'five'],
      ...[`ERROR 1 line was lost here: ${code}`, 'seven'],
    ])
  })

test('what else is wrong with a place is told there', () => {
  const { lines, written, state } = place()
  state.trouble = 'it grows'
  lines.write('one')
  lines.write('two')
  assert.deepEqual(written, ['one', 'ERROR it grows', 'two'])
})

test('a line that is lost before it comes to the place is counted, too', () => {
  const { lines, written } = place()
  lines.lose(new Error('it could not be cleaned'))
  lines.write('one')
  assert.deepEqual(written, ['ERROR 1 line was lost here: it could not be cleaned', 'one'])
})

test('a log goes on in its file when its descriptor was taken away, and never in what has the number now', (t) => {
  const { log, lines, folder } = logIn(t)
  log.write('one')
  const mine = descriptorsOf(path.join(folder, 'nanoclaw.log'))
  for (const descriptor of mine) closeSync(descriptor)
  log.write('two')
  assert.deepEqual(lines(), { 'nanoclaw.log': 'onetwo' })
})

test('a log that is closed writes nothing any more, also not into the file that has its number now', (t) => {
  const folder = folderFor(t)
  const log = LogFile.open(path.join(folder, 'nanoclaw.log'), limits)
  log.close()
  const other = openSync(path.join(folder, 'other'), 'w')
  t.after(() => closeSync(other))
  assert.throws(() => log.write('late'), /closed/)
  assert.equal(readFileSync(path.join(folder, 'other'), 'utf8'), '')
})
