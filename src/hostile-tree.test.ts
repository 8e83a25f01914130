import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { copyOut, type Entry, readWhole, removeName, walk } from './hostile-tree.ts'

const SECRET = 'the owner’s'

/** A folder of an agent, with a secret of the owner beside it. */
function tree(t: TestContext) {
  const root = temporaryFolder(t)
  const base = path.join(root, 'group')
  mkdirSync(base)
  const secret = path.join(root, 'secret')
  writeFileSync(secret, SECRET)
  const at = (...parts: string[]) => path.join(base, ...parts)
  const read = (...parts: string[]) => readWhole({ base, parts }, 1_000)
  const copy = (...parts: string[]) => copyOut({ base, parts }, { to: path.join(root, 'copy'), maxBytes: 1_000 })
  return { root, base, secret, at, read, copy, copied: path.join(root, 'copy') }
}

async function list(base: string, options: { maxEntries?: number; deep?: boolean } = {}): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of walk(base, { maxEntries: 1_000, ...options })) found.push(entry)
  return found.sort((a, b) => (a.parts.join('/') < b.parts.join('/') ? -1 : 1))
}

test('a plain file is read, also in a folder below', async (t) => {
  const { at, read } = tree(t)
  mkdirSync(at('a', 'b'), { recursive: true })
  writeFileSync(at('a', 'b', 'x.json'), 'hello')
  const contents = await read('a', 'b', 'x.json')
  assert.equal(contents.type === 'read' && contents.bytes.toString(), 'hello')
})

test('a version of a file is told from the next one under its name', async (t) => {
  const { at, read } = tree(t)
  const version = async () => {
    const contents = await read('x')
    return contents.type === 'read' ? contents.version : assert.fail(contents.why)
  }
  writeFileSync(at('x'), 'one')
  const first = await version()
  assert.equal(await version(), first)
  writeFileSync(at('y'), 'two')
  renameSync(at('y'), at('x'))
  assert.notEqual(await version(), first)
})

/** Whatever can lie under a name but must not be read, and how it gets there. */
const TRAPS: Record<string, (place: { file: string; secret: string; t: TestContext }) => unknown> = {
  'a link to a file': ({ file, secret }) => symlinkSync(secret, file),
  'a link to nothing': ({ file }) => symlinkSync('/nowhere', file),
  'a link to itself': ({ file }) => symlinkSync(file, file),
  'a link to a device': ({ file }) => symlinkSync('/dev/zero', file),
  'a second name of a file': ({ file, secret }) => linkSync(secret, file),
  'a folder': ({ file }) => mkdirSync(file),
  'a pipe that nobody writes to': ({ file }) => execFileSync('mkfifo', [file]),
  'a socket': ({ file, t }) => {
    const server = createServer()
    t.after(() => server.close())
    return new Promise<void>((resolve) => server.listen(file, resolve))
  },
}

for (const [what, lay] of Object.entries(TRAPS)) {
  test(`${what} is refused, whether it is read, copied or listed, and nothing waits for it`, async (t) => {
    const { base, at, secret, read, copy, copied } = tree(t)
    await lay({ file: at('x'), secret, t })
    const contents = await read('x')
    assert.ok(contents.type === 'refused' && contents.why.length > 0)
    assert.equal((await copy('x')).type, 'refused')
    assert.ok(!existsSync(copied))
    const [entry] = await list(base)
    assert.equal(entry?.type, what === 'a folder' ? 'folder' : 'refused')
  })
}

test('a link or a file in place of a folder on the way is not followed', async (t) => {
  const { root, at, read, copy } = tree(t)
  symlinkSync(root, at('up'))
  symlinkSync('..', at('dots'))
  writeFileSync(at('file'), '')
  for (const way of ['up', 'dots', 'file', 'missing']) {
    assert.equal((await read(way, 'secret')).type, 'refused', way)
    assert.equal((await copy(way, 'secret')).type, 'refused', way)
  }
})

test('a base that is itself a link is not followed', async (t) => {
  const { root, base, read } = tree(t)
  rmSync(base, { recursive: true })
  symlinkSync(root, base)
  assert.equal((await read('secret')).type, 'refused')
  await assert.rejects(list(base))
})

test('a folder that is swapped for a link while files are read never shows what the link leads to', async (t) => {
  const { root, at, read } = tree(t)
  mkdirSync(at('real'))
  writeFileSync(at('real', 'secret'), 'the agent’s')
  symlinkSync(root, at('trap'))
  let reads = 0
  const swapping = (async () => {
    while (reads < 300) {
      renameSync(at('real'), at('way'))
      await new Promise(setImmediate)
      renameSync(at('way'), at('real'))
      renameSync(at('trap'), at('way'))
      await new Promise(setImmediate)
      renameSync(at('way'), at('trap'))
    }
  })()
  const seen = new Set<string>()
  for (; reads < 300; reads++) {
    const contents = await read('way', 'secret')
    seen.add(contents.type === 'read' ? contents.bytes.toString() : 'refused')
  }
  await swapping
  assert.ok(!seen.has(SECRET))
})

test('a folder that is swapped for a link before it is entered is refused, and the rest is walked', async (t) => {
  const { root, base, at } = tree(t)
  mkdirSync(at('way'))
  mkdirSync(at('other'))
  writeFileSync(at('other', 'file'), '')
  const seen: string[] = []
  for await (const entry of walk(base, { maxEntries: 100, deep: true })) {
    seen.push(`${entry.type} ${entry.parts.join('/')}`)
    if (entry.name !== 'way' || entry.type !== 'folder') continue
    renameSync(at('way'), path.join(root, 'way'))
    symlinkSync(root, at('way'))
  }
  assert.deepEqual(seen.sort(), ['file other/file', 'folder other', 'folder way', 'refused way'])
})

test('links come with what they say only where that was asked for', async (t) => {
  const { base, at, secret } = tree(t)
  symlinkSync(secret, at('link'))
  const found = async (links: boolean) => {
    const entries: Entry[] = []
    for await (const entry of walk(base, { maxEntries: 100, links })) entries.push(entry)
    return entries
  }
  assert.deepEqual(await found(true), [{ parts: ['link'], name: 'link', type: 'link', target: secret }])
  assert.deepEqual(
    (await found(false)).map((entry) => entry.type),
    ['refused'],
  )
})

test('names that lead elsewhere or cannot be shown are refused', async (t) => {
  const { at, base, read } = tree(t)
  writeFileSync(at('two\nlines'), '')
  for (const parts of [['..', 'secret'], ['.'], [''], [], ['a/../../secret'], ['two\nlines'], ['a\0b']])
    assert.equal((await read(...parts)).type, 'refused', JSON.stringify(parts))
  const [entry] = await list(base)
  assert.match(entry?.type === 'refused' ? entry.why : '', /cannot be shown/)
})

test('the longest name there can be is read, and a longer one is refused', async (t) => {
  const { at, read } = tree(t)
  const name = `${'x'.repeat(250)}.json`
  writeFileSync(at(name), 'long')
  assert.equal((await read(name)).type, 'read')
  assert.equal((await read(`x${name}`)).type, 'refused')
})

test('a file over the limit is refused and not copied, however it got there', async (t) => {
  const { root, base, at, read, copied } = tree(t)
  writeFileSync(at('big'), 'x'.repeat(1_001))
  assert.equal((await read('big')).type, 'refused')
  writeFileSync(at('huge'), '')
  truncateSync(at('huge'), 10 * 1024 ** 4)
  assert.equal((await read('huge')).type, 'refused')
  assert.equal((await copyOut({ base, parts: ['huge'] }, { to: copied, maxBytes: 1024 ** 3 })).type, 'refused')
  assert.deepEqual(readdirSync(root).sort(), ['copy', 'group', 'secret'])
  assert.equal(statSync(copied).size, 0)
})

test('a sparse file is listed with what it takes, and not with what it claims', async (t) => {
  const { base, at } = tree(t)
  writeFileSync(at('huge'), '')
  truncateSync(at('huge'), 10 * 1024 ** 4)
  const [entry] = await list(base)
  assert.ok(entry?.type === 'file')
  assert.deepEqual([entry.bytes, entry.allocated], [10 * 1024 ** 4, 0])
})

const noProc = !existsSync('/proc/self/status') && 'this system has no files that are larger than they say'

test('a file that is larger than it says is not read beyond the limit', { skip: noProc }, async () => {
  const status = { base: `/proc/${process.pid}`, parts: ['status'] }
  assert.equal((await readWhole(status, 100)).type, 'refused')
  assert.equal((await readWhole(status, 100_000)).type, 'read')
})

test('a copy is whole, and no existing file is ever written over', async (t) => {
  const { at, copy, copied } = tree(t)
  writeFileSync(at('x'), 'y'.repeat(1_000))
  assert.deepEqual(await copy('x'), { type: 'copied', bytes: 1_000 })
  assert.equal(readFileSync(copied, 'utf8'), 'y'.repeat(1_000))
  writeFileSync(at('x'), 'other')
  assert.equal((await copy('x')).type, 'refused')
  assert.equal(readFileSync(copied, 'utf8'), 'y'.repeat(1_000))
})

test('a walk goes through folders but not through links, and takes no more entries than it may', async (t) => {
  const { root, base, at } = tree(t)
  mkdirSync(at('a', 'b'), { recursive: true })
  writeFileSync(at('a', 'b', 'deep'), '')
  writeFileSync(at('top'), '')
  symlinkSync(root, at('up'))
  const deep = await list(base, { deep: true })
  assert.deepEqual(
    deep.map(({ parts, type }) => `${parts.join('/')} ${type}`),
    ['a folder', 'a/b folder', 'a/b/deep file', 'top file', 'up refused'],
  )
  assert.equal((await list(base)).length, 3)
  assert.equal((await list(base, { deep: true, maxEntries: 2 })).length, 2)
  assert.deepEqual(await list(at('missing')), [])
})

test('folders in folders without end hold no more than a few open', async (t) => {
  const { base } = tree(t)
  mkdirSync(path.join(base, ...Array.from({ length: 200 }, () => 'x')), { recursive: true })
  const found = await list(base, { deep: true })
  assert.ok(found.length > 30 && found.length < 40)
})

/** Root may look everywhere, so somebody else measures a folder of its own whose modes are these. */
const MEASURED_BY_ANOTHER = `
  import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
  import { measure } from '${import.meta.dirname}/hostile-tree.ts'
  if (process.getuid() === 0) {
    process.setgid(65534)
    process.setuid(65534)
  }
  const base = mkdtempSync('${os.tmpdir()}/nanoclaw-test-')
  mkdirSync(base + '/way')
  writeFileSync(base + '/way/file', 'x')
  const measured = {}
  for (const [what, folder, mode] of [['open', base, 0o700], ['closed', base + '/way', 0], ['names only', base + '/way', 0o400],
    ['to be entered only', base + '/way', 0o100], ['the whole folder', base, 0]]) {
    chmodSync(folder, mode)
    measured[what] = await measure(base, { bytes: 1e6, entries: 100 }).catch(String)
    chmodSync(folder, 0o700)
  }
  rmSync(base, { recursive: true })
  console.log(JSON.stringify(measured))`

test('a folder that is closed to us counts as too large, and not as empty', () => {
  const shown = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', MEASURED_BY_ANOTHER], {
    encoding: 'utf8',
  })
  const { open, ...closed } = JSON.parse(shown)
  assert.equal(open.entries, 2)
  const over = { closed: 'over', 'names only': 'over', 'to be entered only': 'over', 'the whole folder': 'over' }
  assert.deepEqual(closed, over)
})

test('removing a name removes that, and not what it leads to', async (t) => {
  const { base, at, secret } = tree(t)
  symlinkSync(secret, at('link'))
  await removeName(base, 'link')
  await removeName(base, 'link')
  assert.deepEqual(readdirSync(base), [])
  assert.equal(readFileSync(secret, 'utf8'), SECRET)
  mkdirSync(at('folder'))
  await assert.rejects(removeName(base, 'folder'))
})
