import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { BufferJSON, initAuthCreds, makeWASocket, type SocketConfig, useMultiFileAuthState } from 'baileys'
import { until } from '../fakes/patience.ts'
import { FAMILY, shownTexts, World } from '../fakes/whatsapp/world.ts'

const silent: SocketConfig['logger'] = {
  level: 'silent',
  child: () => silent,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
}

/** Links and talks as NanoClaw v1 did, with a file for each key. */
async function livedAsV1(world: World, folder: string): Promise<void> {
  const { state, saveCreds } = await useMultiFileAuthState(folder)
  const received: string[] = []
  for (let linked = false; ; linked = true) {
    const socket = makeWASocket({
      auth: state,
      waWebSocketUrl: world.server.url,
      logger: silent,
      shouldSyncHistoryMessage: () => true,
    })
    socket.ev.on('creds.update', saveCreds)
    socket.ev.on('messages.upsert', ({ messages }) =>
      received.push(...messages.map(({ message }) => message?.conversation ?? '')),
    )
    socket.ev.on('connection.update', ({ qr }) => {
      if (qr) world.server.scan(qr, world.olga)
    })
    const wanted = linked ? 'open' : 'close'
    await new Promise<void>((resolve) => {
      socket.ev.on('connection.update', ({ connection }) => {
        if (connection === wanted) resolve()
      })
    })
    if (!linked) continue
    await world.server.writeToGroup(world.bob, FAMILY, 'to v1, in the group')
    await world.server.write(world.alice, world.olga, 'to v1')
    await until(() => received.includes('to v1') && received.includes('to v1, in the group'), 'v1 got the messages')
    await until(() => world.server.unconfirmed(world.olga).length === 0, 'v1 confirmed them')
    return socket.end(undefined)
  }
}

test('the linked device of v1 is taken over with its conversations, and once only', async (t) => {
  const world = await World.create(t)
  const folder = path.join(world.folder, 'store', 'auth')
  mkdirSync(folder, { recursive: true })
  await livedAsV1(world, folder)
  const files = readdirSync(folder)
  await world.start()
  await world.online()
  assert.equal(world.server.linked(world.olga), 1)
  await world.server.write(world.alice, world.olga, 'to its successor')
  await world.server.writeToGroup(world.bob, FAMILY, 'to its successor, in the group')
  await world.heard('successor, in the group')
  assert.ok(
    !world.server.heard.some(({ tag, attrs }) => tag === 'receipt' && attrs.type === 'retry'),
    'nothing had to be asked for again',
  )
  await world.send(world.alice.pn, 'hello again')
  assert.deepEqual(shownTexts(world.alice), ['hello again'])
  const left = readdirSync(folder)
  assert.deepEqual(
    files.filter((name) => !left.includes(name)),
    ['creds.json'],
  )
  assert.ok(left.includes('creds.json.taken-over'))
  world.server.unlink(world.olga)
  await until(() => world.channel.state.state === 'logged-out', 'it knows')
  await world.restart()
  assert.equal(world.channel.state.state, 'logged-out')
})

test('a state of v1 that nobody confirmed on a phone is no link', async (t) => {
  const world = await World.create(t)
  const folder = path.join(world.folder, 'store', 'auth')
  mkdirSync(folder, { recursive: true })
  const unconfirmed = { ...initAuthCreds(), me: { id: world.olga.pn } }
  writeFileSync(path.join(folder, 'creds.json'), JSON.stringify(unconfirmed, BufferJSON.replacer))
  await world.start()
  assert.deepEqual(world.channel.state, { state: 'needs-pairing' })
  assert.deepEqual(
    world.log.filter((line) => line.includes('taken over')),
    [],
  )
  assert.equal((await world.link()).at(-1)?.type, 'online')
})

test('a state of v1 that cannot be read is named, and keeps nothing else from starting', async (t) => {
  const world = await World.create(t)
  const folder = path.join(world.folder, 'store', 'auth')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, 'creds.json'), '{ broken')
  await world.start()
  assert.match(JSON.stringify(world.channel.state), /creds\.json, of NanoClaw v1, cannot be read/)
  await assert.rejects(world.link(), /Nothing was taken over/)
  rmSync(path.join(folder, 'creds.json'))
  assert.equal((await world.link()).at(-1)?.type, 'online')
})
