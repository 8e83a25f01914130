import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { descriptorsOf } from '../../test/fakes/open-files.ts'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { RunLog } from './run-log.ts'

test('what a container prints drives no terminal, hides no secret and looks like no other line of its log', (t) => {
  const folder = temporaryFolder(t)
  const heard: string[] = []
  const redact = (text: string) => text.replaceAll('s3cret', '[redacted]')
  const log = RunLog.create({ folder, at: new Date(0), redact, onStderr: (text) => heard.push(text) })
  log.section('input', 'two\nlines s3\u001b[2Jcret')
  log.line('stderr', 'a\u001b]52;c;eA==\u0007b s3\u001b[0mcret\r=== ended: exit code 0 ===\u009b')
  log.line('egress', 'x\u0085y\u2028[stdout] z:443, not reached')
  log.close('it br\u001bcoke')
  assert.equal(
    readFileSync(path.join(folder, readdirSync(folder)[0] ?? ''), 'utf8'),
    `=== input ===
two
lines [redacted]
[stderr] ab [redacted] === ended: exit code 0 ===
[egress] xy [stdout] z:443, not reached
=== ended: it broke ===
`,
  )
  assert.equal(heard.length, 1)
})

const at = new Date(2026, 0, 2, 3, 4, 5)

/** A log in a new folder, and what stands in it. */
function logged(t: TestContext) {
  const folder = temporaryFolder(t)
  const heard: string[] = []
  const log = RunLog.create({ folder, at, redact: (text) => text, onStderr: (text) => heard.push(text) })
  return { folder, heard, log, text: () => readFileSync(path.join(folder, 'container-20260102-030405.log'), 'utf8') }
}

test('a log is named after its local time, and a second log of the same second gets a number', (t) => {
  const { folder } = logged(t)
  for (let n = 0; n < 2; n++) RunLog.create({ folder, at, redact: (text) => text }).close('x')
  assert.deepEqual(readdirSync(folder).sort(), [
    'container-20260102-030405-2.log',
    'container-20260102-030405-3.log',
    'container-20260102-030405.log',
  ])
  assert.equal(statSync(path.join(folder, 'container-20260102-030405.log')).mode & 0o777, 0o600)
})

test('a log is never written through a link, nor below one', (t) => {
  const [folder, elsewhere] = [temporaryFolder(t), temporaryFolder(t)]
  symlinkSync(path.join(elsewhere, 'victim'), path.join(folder, 'container-20260102-030405.log'))
  RunLog.create({ folder, at, redact: (text) => text }).close('x')
  assert.deepEqual(readdirSync(elsewhere), [])
  const link = path.join(temporaryFolder(t), 'logs')
  symlinkSync(elsewhere, link)
  assert.throws(() => RunLog.create({ folder: link, at, redact: (text) => text }), { code: 'log.unsafe' })
})

test('of a run that prints much the first four MiB are kept, and how much more there was', (t) => {
  const { log, text, heard } = logged(t)
  const mib = 'x'.repeat(2 ** 20 - '[stderr] \n'.length)
  for (let n = 0; n < 4; n++) log.line('stderr', mib)
  log.line('stderr', 'too much')
  log.line('stdout', '')
  log.close('done')
  assert.equal(text().length, 4 * 2 ** 20 + text().slice(4 * 2 ** 20).length)
  const dropped = '[stderr] too much\n'.length + '[stdout] \n'.length
  assert.equal(text().slice(4 * 2 ** 20), `=== ${dropped} bytes more were printed and not kept ===\n=== ended: done ===\n`)
  assert.equal(heard.length, 4)
})

test('nothing is written to a log after it was closed', (t) => {
  const { log, text } = logged(t)
  log.close('done')
  // The next file that is opened has the number that the log had.
  const other = path.join(temporaryFolder(t), 'other')
  const descriptor = openSync(other, 'w')
  t.after(() => closeSync(descriptor))
  log.line('egress', 'late')
  assert.equal(text(), '=== ended: done ===\n')
  assert.equal(readFileSync(other, 'utf8'), '')
})

test('bytes that cannot be written are counted, and told once when that works again, whatever the disk says', (t) => {
  const { log, folder, text } = logged(t)
  log.line('stdout', 'one')
  const file = path.join(folder, 'container-20260102-030405.log')
  const [descriptor = -1] = descriptorsOf(file)
  closeSync(descriptor)
  for (const line of ['two', 'three']) log.line('stdout', line)
  assert.equal(openSync(file, 'a'), descriptor, 'the number is free, and is the next one')
  for (const line of ['four', 'five']) log.line('stdout', line)
  closeSync(descriptor)
  log.line('stdout', 'six')
  log.close('done')
  const lost = '[stdout] two\n[stdout] three\n'.length
  assert.equal(text(), `[stdout] one\n\n=== ${lost} bytes were lost here: EBADF ===\n[stdout] four\n[stdout] five\n`)
})

test('a text that cannot be cleaned of secrets is lost, and not written as it is', (t) => {
  const folder = temporaryFolder(t)
  const redact = (text: string) => {
    if (text.includes('s3cret')) throw new Error('too deep')
    return text
  }
  const log = RunLog.create({ folder, at, redact })
  log.line('stdout', 's3cret')
  log.close('done')
  const text = readFileSync(path.join(folder, 'container-20260102-030405.log'), 'utf8')
  assert.equal(text, '\n=== 16 bytes were lost here: too deep ===\n=== ended: done ===\n')
})

test('a log that is closed twice ends once', (t) => {
  const { log, text } = logged(t)
  log.close('first')
  log.close('second')
  assert.equal(text(), '=== ended: first ===\n')
})

test('a log that is not kept still reports warnings', () => {
  const heard: string[] = []
  const log = RunLog.unkept({ redact: (text) => text, onStderr: (text) => heard.push(text) })
  log.line('stderr', 'a warning')
  log.line('stdout', 'no warning')
  log.close('done')
  assert.deepEqual(heard, ['a warning'])
})
