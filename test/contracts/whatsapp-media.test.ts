import assert from 'node:assert/strict'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { proto } from 'baileys'
import { triggerOf } from '../../src/domain/routing.ts'
import { until } from '../fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../fakes/rooms.ts'
import { notUploadedAgain, uploadedAgain } from '../fakes/whatsapp/media-retry.ts'
import { FAMILY, World, type WorldOptions } from '../fakes/whatsapp/world.ts'

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(50_000, 7)])

async function withMedia(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = await World.linked(t, options)
  await world.server.media.start()
  return world
}

/** Sends a file through the assistant, which has the real library encrypt and upload it; the message as a phone got it. */
async function sendFile(
  world: World,
  { name, mimeType, content, text = '' }: { name: string; mimeType: string; content: Buffer; text?: string },
) {
  const file = path.join(world.folder, name)
  writeFileSync(file, content)
  const before = world.alice.shown.length
  const outbound = { text, file: { path: file, name, mimeType } }
  await world.channel.send(world.alice.pn, outbound, { idempotencyKey: `${name}${text}`, signal: world.signal })
  const message = world.alice.shown[before]?.message ?? assert.fail('nothing arrived')
  return proto.Message.decode(proto.Message.encode(message).finish())
}

test('files go out as what they are', async (t) => {
  const world = await withMedia(t)
  const image = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG, text: 'see **this**' })
  assert.equal(image.imageMessage?.caption, 'see *this*')
  const video = await sendFile(world, { name: 'a.mp4', mimeType: 'video/mp4', content: Buffer.from('....ftypisom') })
  assert.equal(video.videoMessage?.mimetype, 'video/mp4')
  const voice = await sendFile(world, { name: 'a.ogg', mimeType: 'audio/ogg', content: Buffer.from('OggS') })
  assert.equal(voice.audioMessage?.ptt, true)
  const report = { name: 'report.pdf', mimeType: 'application/pdf', content: Buffer.from('%PDF-1.7'), text: 'the report' }
  const { documentMessage } = await sendFile(world, report)
  assert.deepEqual([documentMessage?.fileName, documentMessage?.caption], ['report.pdf', 'the report'])
})

test('a file that is not there, or is a folder, or a link to somewhere else, is refused for good', async (t) => {
  const world = await withMedia(t)
  const link = path.join(temporaryFolder(t), 'link.png')
  symlinkSync('/etc/hostname', link)
  for (const file of ['/nowhere/a.png', link, temporaryFolder(t)]) {
    const outbound = { text: '', file: { path: file, name: 'a.png', mimeType: 'image/png' } }
    await assert.rejects(world.channel.send(world.alice.pn, outbound, { idempotencyKey: file, signal: world.signal }), {
      fault: 'user',
    })
  }
})

test("files that come in lie in the group's attachments, and the message says where, what and how large", async (t) => {
  const world = await withMedia(t)
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  const photo = { ...imageMessage, mimetype: 'image/jpeg', caption: '@Andy what is this?' }
  const id = await world.server.writeToGroup(world.bob, FAMILY, { imageMessage: photo })
  const { text } = await world.heard('what is this?')
  assert.equal(text, `[Image: /workspace/attachments/${id}/image.png, image/png, 50 KB] @Andy what is this?`)
  assert.ok(triggerOf('@Andy')(text))
  assert.deepEqual(readFileSync(path.join(world.folder, 'data/attachments/family', id, 'image.png')), PNG)
})

test('a file that the host would not keep is not fetched, and the message says why', async (t) => {
  const world = await withMedia(t, { refuseFile: () => 'it is too much' })
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  await world.server.writeToGroup(world.bob, FAMILY, { imageMessage: { ...imageMessage, caption: 'look' } })
  assert.equal((await world.heard('look')).text, '[Image: it was not kept, it is too much] look')
  assert.ok(!existsSync(path.join(world.folder, 'data/attachments/family')))
})

test('a document keeps its name, and a voice note tells how long it is', async (t) => {
  const world = await withMedia(t)
  const pdf = await sendFile(world, { name: 'x.pdf', mimeType: 'application/pdf', content: Buffer.from('%PDF-1.7') })
  const id = await world.server.write(world.alice, world.olga, {
    documentWithCaptionMessage: { message: { documentMessage: { ...pdf.documentMessage, fileName: '../../my bill.pdf' } } },
  })
  assert.match((await world.heard('Document')).text, new RegExp(`attachments/${id}/my bill.pdf, application/pdf, 8 bytes`))
  const voice = await sendFile(world, { name: 'v.ogg', mimeType: 'audio/ogg', content: Buffer.from('OggS1234') })
  await world.server.write(world.alice, world.olga, { audioMessage: { ...voice.audioMessage, seconds: 7 } })
  assert.match(
    (await world.heard('Voice note')).text,
    /^\[Voice note of 7 s: .*voice\.ogg, audio\/ogg, 8 bytes; not transcribed: .* is set\]$/,
  )
})

test('what is said in a voice note is told behind it, and why where nobody knows', async (t) => {
  const asked: Buffer[] = []
  const transcribe = async ({ file }: { file: string }) => {
    asked.push(readFileSync(file))
    if (asked.length > 1) throw new Error('the [tape] broke')
    return 'buy milk'
  }
  const world = await withMedia(t, { transcribe })
  const { audioMessage } = await sendFile(world, { name: 'v.ogg', mimeType: 'audio/ogg', content: Buffer.from('OggS1234') })
  await world.server.write(world.alice, world.olga, { audioMessage: { ...audioMessage, seconds: 2 } })
  assert.match((await world.heard('buy milk')).text, /^\[Voice note of 2 s: .*, audio\/ogg, 8 bytes; transcribed:\] buy milk$/)
  await world.server.write(world.alice, world.olga, { audioMessage: { ...audioMessage, seconds: 3 } })
  assert.match((await world.heard('of 3 s')).text, /8 bytes; not transcribed: the \(tape\) broke\]$/)
  assert.deepEqual(asked[0]?.toString(), 'OggS1234')
})

test("only WhatsApp's own host is asked for files, whatever address a message names", async (t) => {
  const world = await withMedia(t)
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  const elsewhere = { ...imageMessage, url: 'https://127.0.0.1:1/secret', caption: 'named elsewhere' }
  await world.server.write(world.alice, world.olga, { imageMessage: elsewhere })
  assert.match((await world.heard('named elsewhere')).text, /^\[Image: \/workspace/)
  const smuggled = { ...imageMessage, directPath: '@127.0.0.1:1/secret', caption: 'smuggled' }
  await world.server.write(world.alice, world.olga, { imageMessage: smuggled })
  assert.match((await world.heard('smuggled')).text, /does not say where it is/)
})

test('a file that cannot be had does not keep its message, or a later one, from arriving', async (t) => {
  const world = await withMedia(t)
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  const damaged = { ...imageMessage, fileSha256: Buffer.alloc(32), caption: 'damaged' }
  await world.server.write(world.alice, world.olga, { imageMessage: damaged })
  assert.match((await world.heard('damaged')).text, /could not be downloaded, what came is not what was sent/)
  const huge = { ...imageMessage, fileLength: 5_000_000_000, caption: 'huge' }
  await world.server.write(world.alice, world.olga, { imageMessage: huge })
  assert.match((await world.heard('huge')).text, /more than 104.9 MB/)
  await world.server.write(world.alice, world.olga, 'after that')
  await world.heard('after that')
})

test("a file that WhatsApp no longer has is asked of its sender's phone, which may not have it either", async (t) => {
  const world = await withMedia(t)
  const { server, alice, olga } = world
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  const { mediaKey, directPath } = imageMessage ?? {}
  const file = server.media.files.get(directPath ?? '')
  assert.ok(mediaKey && file)
  server.media.files.clear()
  const askedFor = (id: string) => server.heard.some(({ attrs }) => attrs.type === 'server-error' && attrs.id === id)
  const write = async (caption: string) => {
    const id = await server.write(alice, olga, { imageMessage: { ...imageMessage, caption } })
    await until(() => askedFor(id), 'the phone is asked')
    return { id, chat: alice.pn }
  }
  const found = await write('found')
  server.media.files.set('/again', file)
  server.sendAll(uploadedAgain({ ...found, mediaKey, directPath: '/again' }))
  assert.match((await world.heard('found')).text, /image\/png, 50 KB\] found$/)
  server.sendAll(notUploadedAgain(await write('lost')))
  assert.match((await world.heard('lost')).text, /^\[Image: it could not be downloaded, .*\] lost$/)
})

test('files of chats that nobody registered are not fetched', async (t) => {
  const world = await withMedia(t)
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  await world.server.write(world.bob, world.olga, { imageMessage: { ...imageMessage, caption: 'a stranger' } })
  assert.equal((await world.heard('a stranger')).text, 'a stranger')
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'it is confirmed')
})

test('a stop while a file is being fetched does not wait for it, and the next start fetches it again', async (t) => {
  const world = await withMedia(t)
  const { imageMessage } = await sendFile(world, { name: 'a.png', mimeType: 'image/png', content: PNG })
  world.server.media.held = true
  await world.server.write(world.alice, world.olga, { imageMessage: { ...imageMessage, caption: 'interrupted' } })
  await until(() => world.server.media.asked === 1, 'the file is asked for')
  await world.stop()
  assert.deepEqual(world.notebook.texts, [])
  world.server.media.held = false
  await world.restart()
  assert.match((await world.heard('interrupted')).text, /image\/png, 50 KB\] interrupted$/)
})
