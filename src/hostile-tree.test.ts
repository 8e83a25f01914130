import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
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
import { noOpenFiles, openFilesIn } from '../test/fakes/open-files.ts'
import type { TestContext } from '../test/fakes/rooms.ts'
import { socketFolder } from '../test/fakes/socket-folder.ts'
import {
  copyOut,
  type Entry,
  MAX_DEPTH,
  type Measure,
  measure,
  readInPieces,
  readWhole,
  removeName,
  walk,
} from './hostile-tree.ts'

const SECRET = 'the owner’s'

/** A folder of an agent, with a secret of the owner beside it. */
function tree(t: TestContext) {
  const root = socketFolder(t)
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
    return contents.type === 'read' ? contents.version : assert.fail(contents.type)
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
  for (const way of ['up', 'dots', 'file']) {
    assert.equal((await read(way, 'secret')).type, 'refused', way)
    assert.equal((await copy(way, 'secret')).type, 'refused', way)
  }
  assert.deepEqual([await read('missing', 'secret'), await copy('missing')], [{ type: 'gone' }, { type: 'gone' }])
})

test('a base that is itself a link is not followed', async (t) => {
  const { root, base, read } = tree(t)
  rmSync(base, { recursive: true })
  symlinkSync(root, base)
  assert.equal((await read('secret')).type, 'refused')
  const why = 'it, or a folder above it, is a link or not a folder'
  assert.deepEqual(await list(base), [{ parts: [], name: '', type: 'refused', why }])
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
    seen.add(contents.type === 'read' ? contents.bytes.toString() : contents.type)
  }
  await swapping
  // Between two names it is gone for a moment.
  seen.delete('gone')
  assert.deepEqual([...seen].sort(), ['refused', 'the agent’s'])
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
  truncateSync(at('big'), 1_000)
  assert.equal((await read('big')).type, 'read')
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
  assert.equal(statSync(copied).mode & 0o777, 0o600)
  writeFileSync(at('x'), 'other')
  assert.equal((await copy('x')).type, 'host-failure')
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
  assert.equal(found.length, MAX_DEPTH + 1)
})

test('a walk and a measure go 32 folders deep', async (t) => {
  const { at, base } = tree(t)
  const folders = (count: number) => Array.from({ length: count }, () => 'x')
  mkdirSync(at(...folders(32)), { recursive: true })
  writeFileSync(at(...folders(32), 'deepest'), '')
  assert.ok((await list(base, { deep: true })).some(({ name }) => name === 'deepest'))
  const limits = { bytes: 1e9, entries: 1_000 }
  assert.deepEqual(measured(await measure(base, limits)), { entries: 33 })
  mkdirSync(at(...folders(33)))
  writeFileSync(at(...folders(33), 'too deep'), '')
  assert.ok(!(await list(base, { deep: true })).some(({ name }) => name === 'too deep'))
  assert.equal(await measure(base, limits), 'over')
})

/** A measure without the bytes, which differ between file systems. */
function measured(found: Measure): { entries: number } | 'over' {
  return found === 'over' ? found : { entries: sizeOf(found).entries }
}

function sizeOf(found: Measure): { bytes: number; entries: number } {
  return found !== 'over' && 'bytes' in found ? found : assert.fail(JSON.stringify(found))
}

test('a folder at its limits is within them, and one with an entry or a byte more is over', async (t) => {
  const { at, base } = tree(t)
  mkdirSync(at('below'))
  for (const name of ['a', 'b']) writeFileSync(at('below', name), 'x'.repeat(10_000))
  const all = sizeOf(await measure(base, { bytes: 1e9, entries: 3 }))
  const blocks = [at('below'), at('below', 'a'), at('below', 'b')].reduce((sum, file) => sum + statSync(file).blocks, 0)
  assert.deepEqual(all, { bytes: blocks * 512, entries: 3 })
  assert.deepEqual(await measure(base, { bytes: all.bytes, entries: 3 }), all)
  assert.equal(await measure(base, { bytes: all.bytes - 1, entries: 3 }), 'over')
  assert.equal(await measure(base, { bytes: 1e9, entries: 2 }), 'over')
})

test('every name of a file counts, a link counts as itself, and a sparse file as what it takes', async (t) => {
  const { at, base, root } = tree(t)
  const bytes = async () => sizeOf(await measure(base, { bytes: 1e9, entries: 1_000 })).bytes
  writeFileSync(at('one'), 'x'.repeat(100_000))
  const once = await bytes()
  linkSync(at('one'), at('two'))
  assert.equal(await bytes(), 2 * once)
  symlinkSync(root, at('link'))
  writeFileSync(at('sparse'), '')
  truncateSync(at('sparse'), 1e9)
  assert.ok((await bytes()) < 3 * once)
})

test('the folder `logs` at the top is not measured, and one further down is', async (t) => {
  const { at, base } = tree(t)
  const entries = async () => measured(await measure(base, { bytes: 1e9, entries: 1_000 }))
  mkdirSync(at('logs', 'more'), { recursive: true })
  writeFileSync(at('logs', 'file'), '')
  assert.deepEqual(await entries(), { entries: 0 })
  mkdirSync(at('a', 'logs'), { recursive: true })
  writeFileSync(at('a', 'logs', 'file'), '')
  assert.deepEqual(await entries(), { entries: 3 })
  assert.deepEqual(await measure(at('missing'), { bytes: 0, entries: 0 }), { bytes: 0, entries: 0 })
  assert.equal(
    await measure(at('a', 'logs', 'file'), { bytes: 1, entries: 1 }),
    'over',
    'a file in its place hides what is behind it',
  )
})

/** The pieces of a file as `readInPieces` hands them out; \`meanwhile\` is called before the first is taken. */
async function piecesOf(
  base: string,
  name: string,
  meanwhile = () => {},
): Promise<{ claimed: number; mode: number; pieces: number[]; text: string }> {
  const read = await readInPieces({ base, parts: [name] }, async ({ bytes, mode }, pieces) => {
    meanwhile()
    const all = await Array.fromAsync(pieces, (piece) => Buffer.from(piece))
    return { claimed: bytes, mode, pieces: all.map(({ length }) => length), text: Buffer.concat(all).toString() }
  })
  return read.type === 'used' ? read.result : assert.fail(read.type)
}

test('a file comes in pieces of at most 256 KiB, with its size and mode', async (t) => {
  const { at, base } = tree(t)
  const KIB = 1024
  for (const [bytes, pieces] of [
    [0, []],
    [1, [1]],
    [256 * KIB, [256 * KIB]],
    [256 * KIB + 1, [256 * KIB, 1]],
  ] as const) {
    writeFileSync(at('x'), 'y'.repeat(bytes))
    chmodSync(at('x'), 0o640)
    assert.deepEqual(await piecesOf(base, 'x'), { claimed: bytes, mode: 0o640, pieces: [...pieces], text: 'y'.repeat(bytes) })
  }
})

test('a file that grows during a read yields its first size, and a file that shrinks yields the rest', async (t) => {
  const { at, base } = tree(t)
  writeFileSync(at('x'), '12345')
  assert.equal((await piecesOf(base, 'x', () => appendFileSync(at('x'), '678'))).text, '12345')
  assert.equal((await piecesOf(base, 'x', () => truncateSync(at('x'), 3))).text, '123')
})

test('a refusal says why, in words that can follow the name', async (t) => {
  const { at, read, secret, root, base } = tree(t)
  mkdirSync(at('folder'))
  symlinkSync(secret, at('link'))
  linkSync(secret, at('second'))
  execFileSync('mkfifo', [at('pipe')])
  writeFileSync(at('file'), '')
  writeFileSync(at('big'), 'x'.repeat(1_001))
  const why = async (...parts: string[]) => {
    const contents = await read(...parts)
    return contents.type === 'refused' ? contents.why : contents.type
  }
  const linked = 'it, or a folder above it, is a link or not a folder'
  assert.equal(await why('missing'), 'gone')
  assert.equal(await why('link'), linked)
  assert.equal(await why('file', 'below'), linked)
  assert.equal(await why('folder'), 'it is a folder')
  assert.equal(await why(), 'it is a folder')
  assert.equal(await why('second'), 'it is a file with several names')
  assert.equal(await why('pipe'), 'it is not a plain file')
  assert.equal(await why('big'), 'it is larger than 1000 bytes')
  assert.equal(await why('..'), 'its name is not a plain name')
  for (const control of ['\0', '\t', '\x1f', '\x7f', '\x9f', '\ufffd'])
    assert.equal(await why(`a${control}`), 'its name has characters that cannot be shown', JSON.stringify(control))
  assert.equal(await why('ä '), 'gone')
  const found = await list(base)
  assert.deepEqual(
    found.filter((entry) => entry.type === 'refused').map((entry) => [entry.name, entry.why]),
    [
      ['link', 'it is a link'],
      ['pipe', 'it is not a plain file'],
      ['second', 'it is a file with several names'],
    ],
  )
  const socket = createServer().listen(at('socket'))
  t.after(() => socket.close())
  await once(socket, 'listening')
  assert.equal(await why('socket'), 'it is not a plain file')
  assert.deepEqual(readdirSync(root).sort(), ['group', 'secret'])
})

test('a link whose name cannot be shown is refused, also where links were asked for', async (t) => {
  const { base, at, secret } = tree(t)
  symlinkSync(secret, at('two\nlines'))
  const found: Entry[] = []
  for await (const entry of walk(base, { maxEntries: 100, links: true })) found.push(entry)
  assert.deepEqual(
    found.map(({ type }) => type),
    ['refused'],
  )
})

/**
 * Root may look everywhere, so another user measures a folder of its own whose modes are these. It may not reach the folder
 * for temporary files of whoever runs this: it takes the first place where it can make a folder.
 */
const MEASURED_BY_ANOTHER = `
  import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
  import { measure } from ${JSON.stringify(path.join(import.meta.dirname, 'hostile-tree.ts'))}
  if (process.getuid() === 0) {
    process.setgid(65534)
    process.setuid(65534)
  }
  const base = madeIn(${JSON.stringify([os.tmpdir(), '/tmp', '/var/tmp', '/dev/shm'])})
  function madeIn([first, ...others]) {
    try {
      return mkdtempSync(first + '/nanoclaw-test-')
    } catch (error) {
      if (others.length === 0) throw error
      return madeIn(others)
    }
  }
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
    cwd: '/',
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
  assert.deepEqual([await removeName(base, 'link'), await removeName(base, 'link')], [{ type: 'removed' }, { type: 'gone' }])
  assert.deepEqual(readdirSync(base), [])
  assert.equal(readFileSync(secret, 'utf8'), SECRET)
  mkdirSync(at('folder'))
  assert.equal((await removeName(base, 'folder')).type, 'refused')
  assert.ok(existsSync(at('folder')))
})

test('what is above a base, or behind a copy of ours, is never blamed on what an agent laid there', async (t) => {
  const { root, base, at } = tree(t)
  writeFileSync(at('x'), 'hello')
  writeFileSync(path.join(root, 'file'), '')
  const above = path.join(root, 'file', 'group', 'folder')
  const kinds = async () => [
    (await readWhole({ base: above, parts: ['x'] }, 10)).type,
    (await list(above))[0]?.type,
    (await copyOut({ base, parts: ['x'] }, { to: path.join(root, 'missing', 'copy'), maxBytes: 10 })).type,
    (await copyOut({ base, parts: ['x'] }, { to: root, maxBytes: 10 })).type,
  ]
  assert.deepEqual(await kinds(), Array(4).fill('host-failure'))
  const long = await copyOut({ base, parts: ['x'] }, { to: path.join(root, 'x'.repeat(300)), maxBytes: 10 })
  assert.deepEqual(long, { type: 'refused', why: 'its name is too long' })
})

test('an error of whoever uses the pieces of a file is told from one of the file, and reaches the caller', async (t) => {
  const { base, at } = tree(t)
  writeFileSync(at('x'), 'hello')
  const broken = Object.assign(new Error('no room for the archive'), { code: 'EACCES', syscall: 'write' })
  const read = readInPieces({ base, parts: ['x'] }, async (_file, pieces) => {
    for await (const _ of pieces) throw broken
  })
  await assert.rejects(read, broken)
})

test('no operation on a tree leaves a file open, however it ended', { skip: noOpenFiles }, async (t) => {
  const { root, base, at, read, copy } = tree(t)
  mkdirSync(at('a', 'b'), { recursive: true })
  for (const parts of [['file'], ['a', 'file'], ['a', 'b', 'file']]) writeFileSync(at(...parts), 'x')
  writeFileSync(at('big'), 'x'.repeat(2_000))
  symlinkSync('/etc/passwd', at('link'))
  await copy('file')
  for (const parts of [['file'], ['a', 'b', 'file'], ['big'], ['link'], ['a'], ['a', 'missing'], ['link', 'x'], []]) {
    await read(...parts)
    await copy(...parts)
  }
  for await (const _ of walk(base, { maxEntries: 100, deep: true })) break
  await list(base, { deep: true })
  await measure(base, { bytes: 1e9, entries: 100 })
  await measure(base, { bytes: 1e9, entries: 3 })
  await readInPieces({ base, parts: ['a', 'file'] }, async () => 'nothing of it')
  await assert.rejects(readInPieces({ base, parts: ['file'] }, () => Promise.reject(new Error('x'))).then(refusalOf), /x/)
  assert.deepEqual(openFilesIn(realpathSync(root)), [])
})

function refusalOf(read: Awaited<ReturnType<typeof readInPieces>>): never {
  throw new Error(read.type === 'refused' ? read.why : 'it was read')
}
