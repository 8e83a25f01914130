import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { until } from '../../test/fakes/patience.ts'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { loadConfig } from '../config.ts'
import { Backups, isDue, type Save, saveInProcess } from './backups.ts'

const HOUR = 60 * 60_000
const NOON = Date.parse('2026-05-01T12:00:00Z')

/** Daily backups with a clock that is set by hand. */
function daily(t: TestContext, { keep = 2, save = write, passphrase }: { keep?: number; save?: Save; passphrase?: string } = {}) {
  const folder = path.join(temporaryFolder(t), 'backups')
  const facts = new Map<string, string>()
  const clock = { now: NOON }
  const logged: string[] = []
  const log = { info: (text: string) => logged.push(text), error: (text: string) => logged.push(text) }
  const config = { backup: { folder, keep, passphrase } }
  const saves: Promise<void>[] = []
  const kept: Save = (file, signal) => {
    const saved = save(file, signal)
    saves.push(saved)
    return saved
  }
  const make = () =>
    new Backups({
      ...{ config, log, save: kept, now: () => clock.now },
      facts: { get: (key) => facts.get(key), set: (key, value) => void facts.set(key, value) },
    })
  /** A host looks at this moment; what it begins is over when this resolves. */
  const lookAt = async (now: number, backups = make()) => {
    clock.now = now
    backups.look()
    await Promise.allSettled(saves)
    await new Promise((resolve) => setImmediate(resolve)) // what follows a save waits for nothing
    return backups
  }
  return { folder, make, lookAt, logged, facts, clock }
}

const write: Save = async (file) => writeFileSync(file, 'saved')

test('a backup is due once a day, and an hour after one that failed', () => {
  const failing = { since: NOON, why: 'full' }
  const done = { doneAt: NOON, triedAt: NOON, failing: null }
  assert.equal(isDue(undefined, NOON), true)
  assert.deepEqual([isDue(done, NOON + 24 * HOUR - 1), isDue(done, NOON + 24 * HOUR)], [false, true])
  const failed = { doneAt: NOON, triedAt: NOON + 24 * HOUR, failing }
  assert.deepEqual([isDue(failed, NOON + 25 * HOUR - 1), isDue(failed, NOON + 25 * HOUR)], [false, true])
  assert.equal(isDue({ ...failed, doneAt: null }, NOON + 25 * HOUR), true)
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

test('what a backup leaves that was killed goes a day later, with the next one that is made; a younger one is left alone', async (t) => {
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, 'groups', 'main'), { recursive: true })
  writeFileSync(path.join(root, 'groups', 'main', 'film.mp4'), randomBytes(32 * 1024 * 1024))
  const { folder, lookAt } = daily(t)
  mkdirSync(folder)
  const unfinished = () => readdirSync(folder).filter((name) => name.startsWith('.'))
  const config = loadConfig({ NANOCLAW_HOME: root }, root)
  const killed = async (age: number) => {
    const before = unfinished()
    const kill = new AbortController()
    const saving = saveInProcess(config)(path.join(folder, 'killed.tar.gz'), kill.signal)
    const begun = () => unfinished().filter((name) => !before.includes(name))
    await until(() => begun().some((name) => readdirSync(path.join(folder, name)).length > 0), 'a backup is being written')
    kill.abort()
    await assert.rejects(saving)
    const [left = ''] = begun()
    const changedAt = (NOON - age) / 1_000
    utimesSync(path.join(folder, left), changedAt, changedAt)
    return left
  }
  const [day, older] = [await killed(24 * HOUR), await killed(24 * HOUR + 1)]
  mkdirSync(path.join(folder, '.nanoclaw'))
  utimesSync(path.join(folder, '.nanoclaw'), 0, 0)
  assert.deepEqual(unfinished(), ['.nanoclaw', day, older].sort())
  await lookAt(NOON)
  assert.deepEqual(unfinished(), ['.nanoclaw', day].sort())
})

test('a backup is made in a process of its own, encrypted where there is a passphrase; what that says is why it failed', async (t) => {
  const folder = temporaryFolder(t)
  const root = path.join(folder, 'root')
  const out = path.join(folder, 'backups')
  mkdirSync(root)
  const { signal } = new AbortController()
  const plain = path.join(out, 'plain.tar.gz')
  const config = loadConfig({ NANOCLAW_HOME: root }, folder)
  await saveInProcess(config)(plain, signal)
  assert.equal(readFileSync(plain).readUInt16BE(0), 0x1f8b, 'it is zipped, and no more')
  await assert.rejects(saveInProcess(config)(plain, signal), {
    message: `${plain} is there already, and is not replaced. Choose another name.`,
  })

  writeFileSync(path.join(root, '.env'), 'BACKUP_PASSPHRASE=correct horse\n')
  const sealed = path.join(out, 'sealed.tar.gz.enc')
  await saveInProcess(loadConfig({ NANOCLAW_HOME: root }, folder))(sealed, signal)
  assert.notEqual(readFileSync(sealed).readUInt16BE(0), 0x1f8b)
})

test('an encrypted backup is called so', async (t) => {
  const { folder, lookAt } = daily(t, { passphrase: 'correct horse' })
  await lookAt(NOON)
  const later = await lookAt(NOON + 24 * HOUR)
  await lookAt(NOON + 48 * HOUR)
  assert.deepEqual(readdirSync(folder).sort(), ['nanoclaw-20260502-120000.tar.gz.enc', 'nanoclaw-20260503-120000.tar.gz.enc'])
  assert.equal(later.lastDone(), NOON + 24 * HOUR)
})

test('a store that fails while a backup fails ends nothing', async (t) => {
  const { logged, folder } = daily(t)
  let reads = 0
  const fails = (): never => {
    throw new Error('the store fails')
  }
  const failing = new Backups({
    ...{ config: { backup: { folder, keep: 1, passphrase: undefined } }, now: () => NOON },
    ...{ log: { info() {}, error: (text: string) => void logged.push(text) }, save: () => Promise.reject(new Error('full')) },
    facts: { get: () => (reads++ === 0 ? undefined : fails()), set: fails },
  })
  failing.look()
  await hasTheChance()
  assert.match(logged[0] ?? '', /could not be written down: the store fails/)
  assert.match(logged[1] ?? '', /^The daily backup in .* failed: full$/)
  await failing.stop()
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
  const { make, lookAt, clock } = daily(t, { save })
  const backups = make()
  backups.look()
  clock.now = NOON + 48 * HOUR
  backups.look()
  assert.equal(begun, 1)
  await backups.stop()
  await lookAt(NOON + 48 * HOUR, backups)
  assert.equal(begun, 1, 'it stopped')
  assert.deepEqual([make().troubles(), make().lastDone()], [[], undefined])
  make().look()
  assert.equal(begun, 2)
})

test('the host makes one backup per day, and its stop waits for a backup that is being aborted', async (t) => {
  const breakingOff = Promise.withResolvers<void>()
  let begun = 0
  const save: Save = async () => {
    if (++begun === 3) await breakingOff.promise
  }
  const { make, lookAt, clock } = daily(t, { save })
  const backups = await lookAt(NOON, make())
  await lookAt(NOON + 24 * HOUR, backups)
  assert.equal(begun, 2)
  clock.now = NOON + 48 * HOUR
  backups.look()
  let stopped = false
  const stopping = backups.stop().then(() => (stopped = true))
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  assert.equal(stopped, false)
  breakingOff.resolve()
  await stopping
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

test('a backup that was made counts as made, also where the old ones cannot be removed', async (t) => {
  const save: Save = async (file) => {
    writeFileSync(file, 'saved')
    rmSync(path.dirname(file), { recursive: true })
  }
  const { lookAt, logged, folder } = daily(t, { save })
  const backups = await lookAt(NOON)
  assert.deepEqual([backups.lastDone(), backups.troubles()], [NOON, []])
  assert.match(
    logged.at(-1) ?? '',
    new RegExp(`^Old backups in ${folder} could not be removed, and stay until the next one is made: ENOENT`),
  )
})
