import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { Backups, isDue, type Save } from './backups.ts'

const HOUR = 60 * 60_000
const NOON = Date.parse('2026-05-01T12:00:00Z')

/** Daily backups with a clock that is set by hand. */
function daily(t: TestContext, { keep = 2, save = write }: { keep?: number; save?: Save } = {}) {
  const folder = path.join(temporaryFolder(t), 'backups')
  const facts = new Map<string, string>()
  const clock = { now: NOON }
  const logged: string[] = []
  const log = { info: (text: string) => logged.push(text), error: (text: string) => logged.push(text) }
  const config = { backup: { folder, keep, passphrase: undefined } }
  const make = () =>
    new Backups({
      ...{ config, log, save, now: () => clock.now },
      facts: { get: (key) => facts.get(key), set: (key, value) => void facts.set(key, value) },
    })
  /** A host looks at this moment; what it begins is over when this resolves. */
  const lookAt = async (now: number, backups = make()) => {
    clock.now = now
    backups.look()
    await new Promise((resolve) => setImmediate(resolve))
    return backups
  }
  return { folder, make, lookAt, logged, facts }
}

const write: Save = async (file) => writeFileSync(file, 'saved')

test('a backup is due once a day, and an hour after one that failed', () => {
  const failing = { since: NOON, why: 'full' }
  assert.equal(isDue(undefined, NOON), true)
  assert.equal(isDue({ doneAt: NOON, triedAt: NOON, failing: null }, NOON + 23 * HOUR), false)
  assert.equal(isDue({ doneAt: NOON, triedAt: NOON, failing: null }, NOON + 24 * HOUR), true)
  assert.equal(isDue({ doneAt: NOON, triedAt: NOON + 24 * HOUR, failing }, NOON + 24.5 * HOUR), false)
  assert.equal(isDue({ doneAt: NOON, triedAt: NOON + 24 * HOUR, failing }, NOON + 25 * HOUR), true)
})

test('the newest backups are kept, and nothing that is called otherwise is removed', async (t) => {
  const { folder, lookAt } = daily(t)
  mkdirSync(folder)
  writeFileSync(path.join(folder, 'nanoclaw-of-mine.tar.gz'), '')
  for (let day = 0; day < 4; day++) await lookAt(NOON + day * 24 * HOUR)
  assert.deepEqual(readdirSync(folder).sort(), [
    'nanoclaw-20260503-120000.tar.gz',
    'nanoclaw-20260504-120000.tar.gz',
    'nanoclaw-of-mine.tar.gz',
  ])
})

test('what fails is a trouble since its first time, across restarts, until one succeeds; old ones stay', async (t) => {
  let fails = false
  const save: Save = async (file) => (fails ? Promise.reject(new Error('the disk is full')) : writeFileSync(file, ''))
  const { folder, make, lookAt } = daily(t, { keep: 1, save })
  await lookAt(NOON)
  assert.deepEqual(make().troubles(), [])
  fails = true
  await lookAt(NOON + 24 * HOUR)
  await lookAt(NOON + 25 * HOUR)
  assert.deepEqual(make().troubles(), [
    {
      ...{ kind: 'backup', where: folder, folder: null, since: NOON + 24 * HOUR },
      why: 'the daily backup fails: the disk is full',
    },
  ])
  assert.equal(readdirSync(folder).length, 1)
  fails = false
  await lookAt(NOON + 26 * HOUR)
  assert.deepEqual(make().troubles(), [])
})

test('one at a time is made; a host that stops breaks it off, and that is no failure', async (t) => {
  let begun = 0
  const save: Save = (_file, signal) => {
    begun++
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const { make, lookAt } = daily(t, { save })
  const backups = await lookAt(NOON)
  await lookAt(NOON + 48 * HOUR, backups)
  assert.equal(begun, 1)
  await backups.stop()
  assert.deepEqual(make().troubles(), [])
  await lookAt(NOON + 48 * HOUR)
  assert.equal(begun, 2)
})

test('what became of a backup and cannot be written down, for a full disk, is logged and known all the same', async (t) => {
  const { lookAt, logged, facts } = daily(t, { save: () => Promise.reject(new Error('the disk is full')) })
  t.mock.method(facts, 'set', () => {
    throw new Error('nothing can be stored')
  })
  const backups = await lookAt(NOON)
  assert.match(logged.join(), /could not be written down: nothing can be stored/)
  assert.match(backups.troubles()[0]?.why ?? '', /the disk is full/)
})
