import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { contentFor, messageIdFor, prefixOf } from './outgoing.ts'

/** What goes out of a file and the words beside it, but for the stream of the file itself. */
function fileContent(t: TestContext, mimeType: string, text = '') {
  const file = { path: path.join(temporaryFolder(t), 'x'), name: 'x', mimeType }
  writeFileSync(file.path, 'content')
  const { image, video, audio, document, ...rest }: Record<string, unknown> = { ...contentFor({ text, file }, 'Andy: ') }
  const [kind] = Object.entries({ image, video, audio, document }).flatMap(([name, part]) => (part ? [name] : []))
  return { kind, ...rest }
}

test('a delivery has the same id whenever it is sent, over restarts and updates', () => {
  assert.equal(messageIdFor('answer-1'), '3EB08DDD39739B22E33C0B')
  assert.notEqual(messageIdFor('answer-2'), messageIdFor('answer-1'))
})

test('on a shared number words have the name of the assistant in front, and without words there is none', () => {
  const prefix = prefixOf({ assistantName: 'Andy', hasOwnNumber: false })
  assert.deepEqual(contentFor({ text: '**hi**' }, prefix), { text: 'Andy: *hi*', linkPreview: null })
  assert.deepEqual(contentFor({ text: '' }, prefix), { text: '', linkPreview: null })
  assert.equal(prefixOf({ assistantName: 'Andy', hasOwnNumber: true }), '')
})

test('pictures, videos and sounds go as such, with nothing to decode, and all else as documents', (t) => {
  for (const mimetype of ['image/jpeg', 'image/png'])
    assert.deepEqual(fileContent(t, mimetype, 'see'), { kind: 'image', mimetype, caption: 'Andy: see', jpegThumbnail: '' })
  for (const mimetype of ['video/mp4', 'video/3gpp'])
    assert.deepEqual(fileContent(t, mimetype), { kind: 'video', mimetype, caption: '', jpegThumbnail: '' })
  assert.deepEqual(fileContent(t, 'audio/mpeg'), { kind: 'audio', mimetype: 'audio/mpeg', ptt: false, seconds: 0 })
  assert.deepEqual(fileContent(t, 'audio/ogg'), { kind: 'audio', mimetype: 'audio/ogg; codecs=opus', ptt: true, seconds: 0 })
  for (const mimetype of ['image/webp', 'video/webm', 'text/plain'])
    assert.deepEqual(fileContent(t, mimetype, 'see'), { kind: 'document', mimetype, caption: 'Andy: see', fileName: 'x' })
  const spoken = { kind: 'document', mimetype: 'audio/ogg', caption: 'Andy: listen', fileName: 'x' }
  assert.deepEqual(fileContent(t, 'audio/ogg', 'listen'), spoken)
})
