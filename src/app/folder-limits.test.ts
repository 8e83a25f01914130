import assert from 'node:assert/strict'
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { type Measure, measure } from '../hostile-tree.ts'
import { FolderLimits, measureInThread, type TreeLimits } from './folder-limits.ts'

const MB = 1024 * 1024
const LIMITS = { bytes: MB, entries: 100 }
const TEN_MINUTES_MS = 10 * 60_000

/** Measured as the test says; what the chat is told is real. */
function limits(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main'])
  const clock = new ManualClock()
  const measured: Measure[] = []
  const asked: { folder: string; limits: TreeLimits }[] = []
  const errors: string[] = []
  let delivered = 0
  const measure = async (folder: string, limits: TreeLimits) => {
    asked.push({ folder: path.relative(root, folder), limits })
    return measured.shift() ?? Promise.reject(new Error('the thread broke'))
  }
  const log = { warn: () => {}, error: (text: string) => void errors.push(text) }
  const folders = new FolderLimits({ store, root, now: clock.now, measure, deliver: () => delivered++, log })
  const look = async (size: Measure) => {
    measured.push(size)
    await folders.look('main')
    clock.advance(TEN_MINUTES_MS)
  }
  const told = () => ({ times: delivered, text: store.outbox.due(Number.MAX_SAFE_INTEGER)[0]?.text ?? '' })
  const said = () => store.messages.latest('local:main', 10).map(({ text }) => text)
  return { store, clock, folders, look, told, said, asked, errors }
}

test('a group that keeps too much is told once, and again only when it was within its limits meanwhile', async (t) => {
  const { folders, look, told, said } = limits(t)
  await look({ bytes: 1, entries: 1 })
  assert.deepEqual([folders.isOver('main'), told().times], [false, 0])
  for (let n = 0; n < 3; n++) await look('over')
  assert.deepEqual([folders.isOver('main'), told().times], [true, 1])
  assert.match(told().text, /10240 MB, 500000 files/)
  assert.deepEqual(said(), [told().text], 'also where what is said is read from the messages')
  await look({ bytes: 1, entries: 1 })
  assert.equal(folders.isOver('main'), false)
  await look('over')
  assert.equal(told().times, 2)
})

test('a group that works without a pause is measured every ten minutes', async (t) => {
  const { folders, asked, clock } = limits(t)
  for (let n = 0; n < 50; n++) await folders.look('main')
  await folders.look('no-such-group')
  clock.advance(TEN_MINUTES_MS - 1)
  await folders.look('main')
  assert.equal(asked.length, 1)
  clock.advance(1)
  await folders.look('main')
  assert.equal(asked.length, 2)
})

test('a folder is measured by the limits of its group, or else by those of all', async (t) => {
  const { store, asked, look } = limits(t)
  await look({ bytes: 1, entries: 1 })
  store.groups.save({ folder: 'main', name: 'main', config: { limits: { diskMb: 10, files: 1_000 } } })
  await look('over')
  assert.deepEqual(asked, [
    { folder: 'groups/main', limits: { bytes: 10_240 * MB, entries: 500_000 } },
    { folder: 'groups/main', limits: { bytes: 10 * MB, entries: 1_000 } },
  ])
  assert.match(store.outbox.due(Number.MAX_SAFE_INTEGER)[0]?.text ?? '', /\(10 MB, 1000 files and folders\)/)
})

test('a folder that cannot be measured changes nothing, and is measured again later', async (t) => {
  const { folders, clock, asked, errors, look } = limits(t)
  await folders.look('main')
  assert.deepEqual([folders.isOver('main'), errors], [false, ['Group main: its folder could not be measured: the thread broke']])
  clock.advance(TEN_MINUTES_MS)
  await look('over')
  assert.deepEqual([folders.isOver('main'), asked.length], [true, 2])
})

test('a store that cannot be read, or written, is a line of the log', async (t) => {
  const { store, folders, clock, errors, look } = limits(t)
  const broken = t.mock.method(store.groups, 'find', () => {
    throw new Error('the disk is broken')
  })
  await folders.look('main')
  broken.mock.restore()
  t.mock.method(store.facts, 'set', () => {
    throw new Error('the disk is full')
  })
  await look('over')
  clock.advance(TEN_MINUTES_MS)
  const what = 'Group main: its folder could not be measured'
  assert.deepEqual(errors, [`${what}: the disk is broken`, `${what}: the disk is full`])
})

test('a tree is measured beside the main loop, by what it takes on the disk, and nothing hides in it', async (t) => {
  const make = (...names: string[]) => {
    const folder = temporaryFolder(t)
    for (const name of names) mkdirSync(path.join(folder, name), { recursive: true })
    return folder
  }
  const plain = make('a/b')
  writeFileSync(path.join(plain, 'a', 'b', 'file'), 'x'.repeat(1_000))
  const size = await measureInThread(plain, LIMITS)
  assert.ok(size !== 'over' && 'entries' in size && size.entries === 3 && size.bytes < MB)

  writeFileSync(path.join(plain, 'large'), Buffer.alloc(2 * MB, 1))
  assert.equal(await measureInThread(plain, LIMITS), 'over')

  const sparse = make()
  writeFileSync(path.join(sparse, 'huge'), '')
  truncateSync(path.join(sparse, 'huge'), 10 * 2 ** 40)
  assert.notEqual(await measure(sparse, LIMITS), 'over', 'a sparse file takes no room')

  const linked = make()
  writeFileSync(path.join(linked, 'one'), Buffer.alloc(2 * MB, 1))
  linkSync(path.join(linked, 'one'), path.join(linked, 'two'))
  assert.equal(await measure(linked, LIMITS), 'over', 'a file with two names')

  const outside = make()
  symlinkSync('/', path.join(outside, 'root'))
  assert.notEqual(await measure(outside, LIMITS), 'over', 'links are not followed')
  assert.equal(await measure(make(Array(40).fill('d').join('/')), LIMITS), 'over', 'too deep to be counted')

  const many = make(...Array.from({ length: 101 }, (_, n) => String(n)))
  assert.equal(await measure(many, LIMITS), 'over')

  const logs = make('logs')
  writeFileSync(path.join(logs, 'logs', 'container.log'), Buffer.alloc(2 * MB, 1))
  assert.notEqual(await measure(logs, LIMITS), 'over', "the host's own logs")
  assert.deepEqual(await measure('/nonexistent/x', LIMITS), { bytes: 0, entries: 0 })
})
