import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { until } from '../../../test/fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { Attachments, safeName } from './attachments.ts'
import type { Media } from './content.ts'
import { fileTypeOf } from './file-type.ts'

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(2_000)])

const log = { warn: (text: string) => assert.fail(text) }

function cupboard(t: TestContext, limits = {}) {
  const root = path.join(temporaryFolder(t), 'attachments')
  const attachments = new Attachments({
    root,
    log,
    limits: { fileBytes: 10_000, totalBytes: 25_000, timeoutMs: 600_000, ...limits },
  })
  const keep = async (content: Buffer | Readable, media: Partial<Media> = {}, message = 'M1', sha256?: Uint8Array) => {
    const bytes = Buffer.isBuffer(content) ? content.length : 0
    const { about } = await attachments.keep({
      folder: 'family',
      message,
      media: { kind: 'image', name: undefined, bytes, seconds: undefined, ...media },
      sha256,
      signal: new AbortController().signal,
      fetch: async () => (Buffer.isBuffer(content) ? Readable.from([content]) : content),
    })
    return about
  }
  return { root, keep, attachments }
}

test('a kept file is told by its path in the container, its real type and its size', async (t) => {
  const { root, keep } = cupboard(t)
  assert.equal(await keep(PNG), 'Image: /workspace/attachments/M1/image.png, image/png, 2 KB')
  assert.deepEqual(readFileSync(path.join(root, 'family/M1/image.png')), PNG)
})

test('a document keeps its name, made harmless, whatever it claims to be', async (t) => {
  const { root, keep } = cupboard(t)
  const text = await keep(Buffer.from('MZ..'), { kind: 'document', name: '../../etc/inv\u0000oice [1].pdf' })
  assert.match(text, /M1\/inv_oice _1_\.pdf, application\/x-msdownload, 4 bytes/)
  assert.deepEqual(readdirSync(path.join(root, 'family/M1')), ['inv_oice _1_.pdf'])
})

test('what is too large, too slow or altered is not kept, and the text says why', async (t) => {
  const { root, keep } = cupboard(t)
  assert.match(await keep(Buffer.alloc(10_001)), /^Image: it could not be downloaded, it has more than 10 KB$/)
  assert.match(await keep(Buffer.alloc(10_001), { bytes: 5 }), /more than 10 KB/)
  assert.match(await keep(PNG, {}, 'M1', createHash('sha256').update('other').digest()), /not what was sent/)
  assert.ok(!existsSync(path.join(root, 'family/M1')))
  const slow = new Attachments({ root, log, limits: { fileBytes: 10, totalBytes: 10, timeoutMs: 1 } })
  const media: Media = { kind: 'voice', name: undefined, bytes: 1, seconds: 3 }
  const never = {
    folder: 'f',
    message: 'M',
    media,
    sha256: undefined,
    signal: new AbortController().signal,
    fetch: () => new Promise<Readable>(() => {}),
  }
  const keepAlive = setInterval(() => {}, 1_000)
  assert.match((await slow.keep(never)).about, /^Voice note of 3 s: it could not be downloaded, it took too long$/)
  clearInterval(keepAlive)
})

test('a file of exactly the size that is allowed is kept', async (t) => {
  const { keep } = cupboard(t)
  assert.match(await keep(Buffer.alloc(10_000)), /M1\/image\.bin, .*, 10 KB$/)
})

test('sizes are told in the largest unit that fits', async (t) => {
  const { keep } = cupboard(t, { fileBytes: 3_000_000, totalBytes: 9_000_000 })
  const sizes: [number, string][] = [
    [999, '999 bytes'],
    [1_000, '1 KB'],
    [1_500, '2 KB'],
    [999_000, '999 KB'],
    [1_000_000, '1.0 MB'],
    [2_550_000, '2.5 MB'],
  ]
  for (const [bytes, told] of sizes) assert.equal((await keep(Buffer.alloc(bytes))).split(', ').at(-1), told)
})

test('attachments that take exactly the room that there is all stay, and one byte more makes the oldest go', async (t) => {
  const { root, keep } = cupboard(t)
  const kept = () => readdirSync(path.join(root, 'family')).sort()
  for (const [message, bytes] of Object.entries({ M1: 9_000, M2: 9_000, M3: 7_000 })) await keep(Buffer.alloc(bytes), {}, message)
  assert.deepEqual(kept(), ['M1', 'M2', 'M3'])
  await keep(Buffer.alloc(1), {}, 'M4')
  assert.deepEqual(kept(), ['M2', 'M3', 'M4'])
})

test('a stop while a file is fetched rejects, and leaves nothing of the file', async (t) => {
  const { attachments, root } = cupboard(t)
  const stop = new AbortController()
  const slow = new PassThrough()
  const keeping = attachments.keep({
    folder: 'family',
    message: 'M1',
    media: { kind: 'image', name: undefined, bytes: 5, seconds: undefined },
    sha256: undefined,
    signal: stop.signal,
    fetch: async () => slow,
  })
  await until(() => existsSync(path.join(root, 'family/M1/.partial')), 'it comes')
  stop.abort(new Error('stopped'))
  await assert.rejects(keeping, /stopped/)
  assert.deepEqual(readdirSync(path.join(root, 'family')), [])
})

test('when the attachments take too much room, the oldest go', async (t) => {
  const { root, keep } = cupboard(t)
  // A name says nothing of age, and neither does a moment that several files share.
  t.mock.method(Date, 'now', () => 1_000)
  for (const message of ['M3', 'M1', 'M2']) await keep(Buffer.alloc(9_000, message), {}, message)
  assert.deepEqual(
    readdirSync(path.join(root, 'family')).filter((name) => existsSync(path.join(root, 'family', name, 'image.txt'))),
    ['M1', 'M2'],
  )
  const dates = ['M1', 'M2'].map((name) => Math.round(statSync(path.join(root, 'family', name, 'image.txt')).mtimeMs))
  assert.deepEqual(dates, [1_001, 1_002])
})

test('what is being fetched is not taken for something old', async (t) => {
  const { root, keep } = cupboard(t)
  const slow = new PassThrough()
  const slowly = keep(slow, {}, 'M0')
  slow.write(Buffer.alloc(9_000, 'a'))
  const partial = path.join(root, 'family/M0/.partial')
  await until(() => existsSync(partial) && statSync(partial).size === 9_000, 'most of it is there')
  for (const message of ['M1', 'M2']) assert.match(await keep(Buffer.alloc(9_000, 'b'), {}, message), /M.\/image\.txt/)
  slow.end()
  assert.match(await slowly, /M0\/image\.txt/)
})

test('when no room can be made, that is logged, and what came is kept', async (t) => {
  const said: string[] = []
  const limits = {
    fileBytes: 10_000,
    timeoutMs: 600_000,
    get totalBytes(): number {
      throw new Error('no room')
    },
  }
  const attachments = new Attachments({ root: temporaryFolder(t), limits, log: { warn: (text) => said.push(text) } })
  const { about } = await attachments.keep({
    folder: 'family',
    message: 'M1',
    media: { kind: 'image', name: undefined, bytes: 1, seconds: undefined },
    sha256: undefined,
    signal: new AbortController().signal,
    fetch: async () => Readable.from([Buffer.from('x')]),
  })
  assert.match(about, /M1\/image\.txt/)
  assert.deepEqual(said, ['WhatsApp: Old attachments could not be removed: no room'])
})

test('files that come one while another makes room are all kept', async (t) => {
  const { root, keep } = cupboard(t, { totalBytes: 1_000_000 })
  for (let n = 0; n < 300; n++) {
    mkdirSync(path.join(root, 'earlier', `M${n}`), { recursive: true })
    writeFileSync(path.join(root, 'earlier', `M${n}`, 'image.txt'), 'x')
  }
  /** Each takes a little longer than the one before it. */
  async function* slowly(turns: number): AsyncGenerator<Buffer> {
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    yield Buffer.from('x')
  }
  const all = Array.from({ length: 40 }, (_, n) => keep(Readable.from(slowly(n * 20)), {}, `M${n}`))
  assert.deepEqual(
    (await Promise.all(all)).filter((about) => !about.includes('image.txt')),
    [],
  )
})

test('names are plain on every system', () => {
  const cases = {
    '': 'file',
    '..': 'file',
    '.bashrc': 'bashrc',
    'a/b\\c.txt': 'c.txt',
    'übung (1).docx': 'übung (1).docx',
    'a\nb': 'a_b',
  }
  for (const [name, safe] of Object.entries(cases)) assert.equal(safeName(name), safe)
  const lengths: [string, string][] = [
    ['x'.repeat(100), 'x'.repeat(100)],
    ['x'.repeat(101), 'x'.repeat(100)],
    [`${'x'.repeat(96)}.pdf`, `${'x'.repeat(96)}.pdf`],
    [`${'x'.repeat(97)}.pdf`, `${'x'.repeat(96)}.pdf`],
    [`a.${'y'.repeat(20)}`, `a.${'y'.repeat(19)}`],
    [`${'x'.repeat(99)}𝒜`, `${'x'.repeat(99)}\uFFFD`],
  ]
  for (const [name, safe] of lengths) assert.equal(safeName(name), safe)
})

test('types are told by content', () => {
  const cases: [Buffer, string][] = [
    [PNG, 'image/png'],
    [Buffer.from('RIFF....WEBPVP8 '), 'image/webp'],
    [Buffer.from('....ftypisom'), 'video/mp4'],
    [Buffer.from('....ftypM4A '), 'audio/mp4'],
    [Buffer.from('OggS'), 'audio/ogg'],
    [Buffer.from('%PDF-1.7'), 'application/pdf'],
    [Buffer.from('grüße\n'), 'text/plain'],
    [Buffer.from([0, 1, 2]), 'application/octet-stream'],
    [Buffer.from('ffd8ffe0', 'hex'), 'image/jpeg'],
    [Buffer.from('GIF89a'), 'image/gif'],
    [Buffer.from('....ftypheic'), 'image/heic'],
    [Buffer.from('....ftypavif'), 'image/avif'],
    [Buffer.from('....ftypqt  '), 'video/quicktime'],
    [Buffer.from('....ftyp3gp5'), 'video/3gpp'],
    [Buffer.from('1a45dfa3', 'hex'), 'video/webm'],
    [Buffer.from('ID3.'), 'audio/mpeg'],
    [Buffer.from('fffb90', 'hex'), 'audio/mpeg'],
    [Buffer.from('fff150', 'hex'), 'audio/aac'],
    [Buffer.from('#!AMR\n'), 'audio/amr'],
    [Buffer.from('fLaC'), 'audio/flac'],
    [Buffer.from('RIFF....WAVEfmt '), 'audio/wav'],
    [Buffer.from('RIFF....AVI LIST'), 'video/x-msvideo'],
    [Buffer.from('504b0304', 'hex'), 'application/zip'],
    [Buffer.from('504b0506', 'hex'), 'application/zip'],
    [Buffer.from('1f8b08', 'hex'), 'application/gzip'],
    [Buffer.from('377abcaf271c', 'hex'), 'application/x-7z-compressed'],
    [Buffer.from('Rar!'), 'application/vnd.rar'],
    [Buffer.from('7f454c46', 'hex'), 'application/x-executable'],
    [Buffer.from('MZ'), 'application/x-msdownload'],
    [Buffer.from('d0cf11e0a1b11ae1', 'hex'), 'application/vnd.ms-office'],
    [Buffer.from('{\\rtf1'), 'application/rtf'],
  ]
  for (const [head, type] of cases) assert.equal(fileTypeOf(head).mimeType, type, head.toString('latin1'))
})

test('a file that has only characters of a text is text', () => {
  const isText = (...bytes: number[]) => fileTypeOf(Buffer.from(bytes)).mimeType === 'text/plain'
  for (const byte of [0x09, 0x0a, 0x0d, 0x20, 0x7e]) assert.ok(isText(0x61, byte), `0x${byte.toString(16)}`)
  for (const byte of [0x00, 0x08, 0x0e, 0x1f, 0xff]) assert.ok(!isText(0x61, byte), `0x${byte.toString(16)}`)
  assert.ok(isText(0x61, 0xc3), 'the last character may be cut')
  assert.ok(!isText(0x61, 0xc3, 0x61), 'any other may not')
  assert.ok(!isText())
})
