import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { office } from '../fakes/ipc-office.ts'
import { until } from '../fakes/patience.ts'
import { fillDisk, smallDisk } from '../fakes/small-disk.ts'

const MB = 1024 * 1024

test('a file for which the disk has no room is sent when it has, and nobody is told that it was refused', async (t) => {
  const { root, attach, drop, clock, store, logged, boxOf, posted } = office(t)
  const outgoing = smallDisk(t, { folder: path.join(os.tmpdir(), `nanoclaw-small-${randomUUID()}`), megabytes: 4 })
  symlinkSync(outgoing, path.join(root, 'data', 'outgoing'))
  const group = path.join(root, 'groups', 'family')
  mkdirSync(group, { recursive: true })
  writeFileSync(path.join(group, 'film'), Buffer.alloc(2 * MB, 1))
  const ballast = fillDisk(outgoing, { leave: MB })
  const id = drop('family', { type: 'file', path: 'film' })
  const run = attach('family')
  for (let n = 0; n < 3; n++) {
    await until(() => clock.waiting > 0, 'it failed, and waits', { seen: () => logged })
    assert.deepEqual([run.replies.size, existsSync(path.join(boxOf('family'), `${id}.json`))], [0, true])
    assert.deepEqual(readdirSync(outgoing), ['ballast'], 'no part of a copy is kept')
    clock.advanceToNext()
  }
  assert.equal(logged.length, 1)
  assert.match(logged[0] ?? '', /ENOSPC/)
  rmSync(ballast)
  await until(() => {
    clock.advance(1_000)
    return run.replies.has(id)
  }, 'it is answered')
  assert.deepEqual([run.replies.get(id)?.status, posted.length, store.audit.latest({ limit: 9 })], ['done', 1, []])
})
