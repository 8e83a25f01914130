import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
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
