import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError } from '../../src/domain/errors.ts'
import { writeFileDurably } from '../../src/files.ts'
import { openDatabase } from '../../src/store/database.ts'
import { Store } from '../../src/store/store.ts'
import { needProgram } from '../fakes/program.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import { fillDisk, smallDisk } from '../fakes/small-disk.ts'
import { digestOf } from './digest.ts'
import { databaseIn, stepsOf } from './life.ts'

const PROGRAM = path.join(import.meta.dirname, 'faults-program.ts')
const ROUNDS = 8

type Faults = { call: string; error: string; first: number; every: number }

/** A life in which the kernel fails calls of one kind, from the `first` on every so many. Returns how many commits failed. */
function liveWithFaults(t: TestContext, { call, error, first, every }: Faults): number {
  needProgram('strace')
  const root = temporaryFolder(t)
  Store.open(databaseIn(root)).close()
  const inject = `inject=${call}:error=${error}:when=${first}+${every}`
  const args = ['-o', '/dev/null', '-e', `trace=${call}`, '-e', inject, process.execPath, PROGRAM, root, String(ROUNDS)]
  const { status, stdout, stderr } = spawnSync('strace', args, { encoding: 'utf8' })
  assert.equal(status, 0, `${inject}: ${stderr}`)
  const db = openDatabase(databaseIn(root))
  const [said, digest] = [JSON.parse(stdout), digestOf(db)]
  db.close()
  assert.equal(digest, said.digest, `${inject}: the database holds something else after the end`)
  assert.equal(said.messages, expectedMessages(t))
  return said.failed
}

function expectedMessages(t: TestContext): number {
  const store = Store.open(path.join(temporaryFolder(t), 'messages.db'))
  for (const step of stepsOf(store, ROUNDS)) step()
  const count = store.messages.latest('tg:1', 1_000).length
  store.close()
  return count
}

// `every` is more than any one step needs, so that each gets through between two failures.
for (const { call, error, every, apart } of [
  { call: 'pwrite64', error: 'ENOSPC', every: 61, apart: 9 },
  { call: 'pwrite64', error: 'EIO', every: 61, apart: 9 },
  { call: 'fsync,fdatasync', error: 'EIO', every: 7, apart: 1 },
])
  test(`${error} at any ${call} of the store is told as the disk's, leaves nothing behind, and work goes on`, (t) => {
    const starts = Array.from({ length: Math.ceil(every / apart) }, (_, n) => 1 + apart * n)
    const failures = starts.map((first) => liveWithFaults(t, { call, error, first, every }))
    t.diagnostic(`${failures.reduce((sum, one) => sum + one, 0)} commits failed`)
    assert.ok(failures.every((count) => count > 0))
  })

const twoMegabytes = (t: TestContext) =>
  smallDisk(t, { folder: path.join(os.tmpdir(), `nanoclaw-small-${randomUUID()}`), megabytes: 2 })

const onDisk = (error: unknown) => error instanceof AppError && error.code === 'store.disk'

test('a disk that fills up stops a commit at whatever page is the last, and one more page later it goes on', (t) => {
  const root = twoMegabytes(t)
  const db = openDatabase(databaseIn(root))
  const store = new Store(db)
  const steps = stepsOf(store, 3)
  steps.next().value?.()
  let refused = 0
  for (const step of steps) {
    for (let pages = 0; ; pages++) {
      const before = digestOf(db)
      const ballast = fillDisk(root, { leave: pages * 4_096 })
      const stored = attempt(() => store.tx(step))
      rmSync(ballast)
      if (stored) break
      refused++
      assert.equal(digestOf(db), before)
    }
  }
  t.diagnostic(`${refused} commits were refused`)
  assert.ok(refused > 10)
  assert.equal(db.pragma('quick_check', { simple: true }), 'ok')
  db.close()
})

function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (onDisk(error)) return false
    throw error
  }
}

test('a database that cannot be made or opened because the disk is full is not called broken', (t) => {
  const root = twoMegabytes(t)
  mkdirSync(path.dirname(databaseIn(root)))
  const ballast = fillDisk(root, { leave: 0 })
  assert.throws(() => Store.open(databaseIn(root)), onDisk)
  rmSync(ballast)
  Store.open(databaseIn(root)).close()
})

test('a file that does not fit on the disk leaves the old one, whole, and no draft', (t) => {
  const folder = twoMegabytes(t)
  const file = path.join(folder, 'settings')
  writeFileSync(file, 'old')
  for (const leave of [0, 4_096, 8_192]) {
    const ballast = fillDisk(folder, { leave })
    assert.throws(() => writeFileDurably(file, { text: 'new'.repeat(10_000), mode: 0o600 }), /ENOSPC/)
    assert.deepEqual(readdirSync(folder).sort(), ['ballast', 'settings'])
    assert.equal(readFileSync(file, 'utf8'), 'old')
    rmSync(ballast)
  }
  writeFileDurably(file, { text: 'new', mode: 0o600 })
  assert.equal(readFileSync(file, 'utf8'), 'new')
})
