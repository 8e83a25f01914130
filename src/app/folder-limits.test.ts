import assert from 'node:assert/strict'
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '../../test/fakes/clock.ts'
import { storeWith, type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import type { Measure } from '../hostile-tree.ts'
import { FolderLimits, measureInThread } from './folder-limits.ts'

const MB = 1024 * 1024
const LIMITS = { bytes: MB, entries: 100 }
const TEN_MINUTES_MS = 10 * 60_000

/** Measured as the test says; what the chat is told is real. */
function limits(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main'])
  const clock = new ManualClock()
  const measured: Measure[] = []
  let [asked, delivered] = [0, 0]
  const measure = async () => {
    asked++
    return measured.shift() ?? { bytes: 0, entries: 0 }
  }
  const log = { warn: () => {}, error: (text: string) => assert.fail(text) }
  const folders = new FolderLimits({ store, root, now: clock.now, measure, deliver: () => delivered++, log })
  const look = async (size: Measure) => {
    measured.push(size)
    await folders.look('main')
    clock.advance(TEN_MINUTES_MS)
  }
  const told = () => ({ times: delivered, text: store.outbox.due(Number.MAX_SAFE_INTEGER)[0]?.text ?? '' })
  const said = () => store.messages.latest('local:main', 10).map(({ text }) => text)
  return { folders, look, told, said, asked: () => asked }
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

test('a group that works without a pause is measured now and then', async (t) => {
  const { folders, asked } = limits(t)
  for (let n = 0; n < 50; n++) await folders.look('main')
  await folders.look('no-such-group')
  assert.equal(asked(), 1)
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
  assert.ok(size !== 'over' && size.entries === 3 && size.bytes < MB)

  const sparse = make()
  writeFileSync(path.join(sparse, 'huge'), '')
  truncateSync(path.join(sparse, 'huge'), 10 * 2 ** 40)
  assert.notEqual(await measureInThread(sparse, LIMITS), 'over', 'a sparse file takes no room')

  const linked = make()
  writeFileSync(path.join(linked, 'one'), Buffer.alloc(2 * MB, 1))
  linkSync(path.join(linked, 'one'), path.join(linked, 'two'))
  assert.equal(await measureInThread(linked, LIMITS), 'over', 'a file with two names')

  const outside = make()
  symlinkSync('/', path.join(outside, 'root'))
  assert.notEqual(await measureInThread(outside, LIMITS), 'over', 'links are not followed')
  assert.equal(await measureInThread(make(Array(40).fill('d').join('/')), LIMITS), 'over', 'too deep to be counted')

  const many = make(...Array.from({ length: 101 }, (_, n) => String(n)))
  assert.equal(await measureInThread(many, LIMITS), 'over')

  const logs = make('logs')
  writeFileSync(path.join(logs, 'logs', 'container.log'), Buffer.alloc(2 * MB, 1))
  assert.notEqual(await measureInThread(logs, LIMITS), 'over', "the host's own logs")
  assert.deepEqual(await measureInThread('/nonexistent/x', LIMITS), { bytes: 0, entries: 0 })
})
