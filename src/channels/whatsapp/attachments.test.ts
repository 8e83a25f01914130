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
    limits: { fileBytes: 10_000, totalBytes: 25_000, timeoutMs: 10_000, ...limits },
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
  return { root, keep }
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
    timeoutMs: 10_000,
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
  assert.equal(safeName(`${'x'.repeat(500)}.pdf`).length, 100)
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
  ]
  for (const [head, type] of cases) assert.equal(fileTypeOf(head).mimeType, type)
})
