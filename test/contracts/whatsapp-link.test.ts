import assert from 'node:assert/strict'
import { cpSync, existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { LoginEvent } from '@nanoclaw/protocol'
import { WhatsAppChannel } from '../../src/channels/whatsapp/channel.ts'
import { linkOnDisk } from '../../src/channels/whatsapp/database.ts'
import { AppError } from '../../src/domain/errors.ts'
import { ManualClock } from '../fakes/clock.ts'
import { until } from '../fakes/patience.ts'
import { node } from '../fakes/whatsapp/nodes.ts'
import { FAMILY, shownTexts, World } from '../fakes/whatsapp/world.ts'

test('an account is linked by a QR code, and messages go in and out', async (t) => {
  const world = await World.create(t)
  await world.start()
  assert.equal(world.channel.state.state, 'needs-pairing')
  assert.deepEqual(
    (await world.link()).map(({ type }) => type),
    ['qr', 'online'],
  )
  await world.server.write(world.alice, world.olga, 'hello')
  const { text, jid, senderName } = await world.heard('hello')
  assert.deepEqual([text, jid, senderName], ['hello', world.alice.pn, 'Alice'])
  await world.send(world.alice.pn, 'hi Alice')
  assert.deepEqual(shownTexts(world.alice), ['hi Alice'])
})

test('an account is linked by a code that is typed on the phone', async (t) => {
  const world = await World.create(t)
  await world.start()
  const events = await world.link({ phone: world.olga.user })
  assert.deepEqual(
    events.map(({ type }) => type),
    ['code', 'online'],
  )
  assert.deepEqual(events.at(-1), { type: 'online', account: world.olga.pn })
})

test('a restart needs no new link, and who asks for one is told that it is there', async (t) => {
  const world = await World.linked(t)
  await world.restart()
  await world.online()
  assert.deepEqual(await world.link(), [{ type: 'online', account: world.olga.pn }])
  assert.equal(world.server.linked(world.olga), 1)
})

test('the state is private to the user, and one process at a time may have it', async (t) => {
  const world = await World.linkedAnew(t)
  const folder = path.join(world.folder, 'store', 'auth')
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of ['whatsapp.db', 'whatsapp.db-wal']) assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600)
  const settings = { authFolder: folder, attachmentsFolder: folder, assistantName: 'Andy', hasOwnNumber: true }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const ports = { clock: new ManualClock(), random: () => 0, log, registration: () => undefined, refuseFile: () => undefined }
  const second = new WhatsAppChannel({ settings, ports })
  await second.start(world.notebook, world.signal)
  assert.match(JSON.stringify(second.state), /in use by another process/)
  assert.equal(world.channel.state.state, 'online')
})

test('a login that is given up leaves nothing behind', async (t) => {
  const world = await World.create(t)
  await world.start()
  const given = new AbortController()
  const told: string[] = []
  const tell = ({ type }: { type: string }) => {
    told.push(type)
    if (type === 'code') given.abort()
  }
  await world.channel.login({ phone: world.olga.user, tell, signal: given.signal })
  assert.deepEqual(told, ['code', 'failed'])
  await world.stop()
  assert.ok(!existsSync(path.join(world.folder, 'store', 'auth', 'whatsapp.db')))
  await world.restart()
  assert.equal((await world.link()).at(-1)?.type, 'online')
})

/** Olga's account is asked for a code, which nobody types; `whenShown` runs when it is there. */
async function askForCode(world: World, whenShown: (given: AbortController) => void): Promise<void> {
  const given = new AbortController()
  const tell = ({ type }: { type: string }) => {
    if (type === 'code') whenShown(given)
  }
  await world.channel.login({ phone: world.olga.user, tell, signal: given.signal })
}

test('after a login that is given up, the next one works at once', async (t) => {
  const world = await World.create(t)
  await world.start()
  await askForCode(world, (given) => given.abort())
  assert.equal(world.channel.state.state, 'needs-pairing')
  let next: ReturnType<World['link']> | undefined
  await askForCode(world, (given) => {
    given.abort()
    next = world.link()
  })
  assert.equal((await next)?.at(-1)?.type, 'online')
})

test('a login that is given up when the phone has confirmed it already ends online', async (t) => {
  const world = await World.create(t)
  await world.start()
  const { server, olga } = world
  const given = new AbortController()
  server.onStanza = ({ tag, attrs }) => {
    if (tag === 'iq' && attrs.id?.startsWith('ps')) given.abort()
  }
  const tell = (event: LoginEvent) => {
    if (event.type === 'qr') server.scan(event.data, olga)
  }
  await world.channel.login({ tell, signal: given.signal })
  assert.ok(given.signal.aborted)
  await world.online()
})

test('a login that fails says why, and the next one works', async (t) => {
  const world = await World.create(t)
  await world.start()
  const { server } = world
  server.codes = 0
  assert.deepEqual(await world.link(), [{ type: 'failed', why: 'nobody used the code in time' }])
  server.codes = 6
  server.refuseNext = '503'
  const [failed, ...more] = await world.link()
  assert.match(JSON.stringify(failed), /"failed","why":"the connection ended: .*\(503\)"/)
  assert.deepEqual([more, world.channel.state], [[], { state: 'needs-pairing' }])
  assert.equal((await world.link()).at(-1)?.type, 'online')
})

test('a restart that WhatsApp asks for while an account is being linked brings a new code', async (t) => {
  const clock = new ManualClock()
  const world = await World.create(t, { clock })
  await world.start()
  const { server, olga, channel } = world
  const told: string[] = []
  const tell = (event: LoginEvent) => {
    told.push(event.type)
    if (event.type !== 'qr') return
    if (told.length === 1) server.endAll(515)
    else server.scan(event.data, olga)
  }
  const login = channel.login({ tell, signal: world.signal })
  // Every new link begins with a restart, and this one comes too soon after the other to be followed at once.
  await until(() => channel.state.state === 'retrying' || told.includes('failed'), 'it is linked, or the login is over')
  clock.advance(3_000)
  await login
  assert.deepEqual(told, ['qr', 'qr', 'online'])
})

test('a second login is refused while the first one is under way', async (t) => {
  const world = await World.create(t)
  await world.start()
  const given = new AbortController()
  const shown = Promise.withResolvers<void>()
  const first = world.channel.login({ tell: () => shown.resolve(), signal: given.signal })
  await shown.promise
  await assert.rejects(world.link(), /being linked already, from another terminal/)
  given.abort()
  await first
  assert.equal((await world.link()).at(-1)?.type, 'online')
})

test('after a kill in the middle of a login by code, the next one works', async (t) => {
  const world = await World.create(t)
  await world.start()
  const [folder, killed] = [path.join(world.folder, 'store', 'auth'), path.join(world.folder, 'killed')]
  await askForCode(world, (given) => {
    cpSync(folder, killed, { recursive: true })
    given.abort()
  })
  await world.stop()
  cpSync(killed, folder, { recursive: true })
  await world.restart()
  assert.equal(world.channel.state.state, 'needs-pairing')
  assert.equal((await world.link()).at(-1)?.type, 'online')
})

test('a lost connection comes back, later and later, with the reason for it in the state', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  for (const [code, delay] of [
    [503, 1_500],
    [428, 3_000],
    [408, 6_000],
  ] as const) {
    world.server.endAll(code)
    await until(() => world.channel.state.state === 'retrying', 'it waits')
    const { state } = world.channel
    assert.deepEqual(state.state === 'retrying' && [state.at - clock.now(), state.why.includes(String(code))], [delay, true])
    clock.advance(delay - 1)
    assert.equal(world.channel.state.state, 'retrying')
    clock.advance(1)
    await world.online()
  }
})

test('a restart that WhatsApp asks for is done at once', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  clock.advance(60_000)
  const before = world.server.connections
  world.server.endAll(515)
  await until(() => world.server.connections === before + 1 && world.channel.state.state === 'online', 'it is back')
})

test('a stanza that the library fails on ends the connection, and neither the host nor the link', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  const { server, alice, olga } = world
  // A call to a group, without the id that every call has.
  server.sendAll(node('call', { from: alice.pn, id: 'C1', t: '1' }, [node('offer', { 'call-creator': alice.pn, type: 'group' })]))
  await until(() => world.channel.state.state === 'retrying', 'the connection is over')
  clock.advance(3_000)
  await world.online()
  await server.write(alice, olga, 'still there?')
  await world.heard('still there?')
})

test('a device that connected elsewhere is not fought with: the state says conflict', async (t) => {
  const world = await World.linked(t)
  const before = world.server.connections
  world.server.replaceAll()
  await until(() => world.channel.state.state === 'conflict', 'it gave way')
  assert.equal(world.server.connections, before)
  await assert.rejects(world.send(world.alice.pn, 'hi'), /not connected: the same linked device/)
})

test('an account that the phone removed is told until it is linked again, over restarts', async (t) => {
  const world = await World.linked(t)
  world.server.unlink(world.olga)
  await until(() => world.channel.state.state === 'logged-out', 'it knows')
  await world.restart()
  assert.equal(world.channel.state.state, 'logged-out')
  assert.match(JSON.stringify(world.channel.state), /channels login whatsapp/)
  assert.equal((await world.link()).at(-1)?.type, 'online')
  await world.server.write(world.alice, world.olga, 'back again')
  await world.heard('back again')
})

for (const end of ['the phone removed it', 'a log-out'])
  test(`an account that is linked again after ${end} writes with keys of the new device alone`, async (t) => {
    const world = await World.linked(t)
    const { server, channel, alice, bob, olga } = world
    await server.write(alice, olga, 'one')
    await world.heard('one')
    await world.send(alice.pn, 'first')
    await world.send(FAMILY, 'first to all')
    if (end === 'a log-out') await channel.logout()
    else server.unlink(olga)
    await until(() => ['logged-out', 'needs-pairing'].includes(channel.state.state), 'it knows')
    await world.link()
    await world.send(alice.pn, 'second')
    await world.send(FAMILY, 'second to all')
    assert.deepEqual(shownTexts(bob), ['first to all', 'second to all'])
    assert.deepEqual(shownTexts(alice), ['first', 'first to all', 'second', 'second to all'])
  })

test('who only looks is told whether there is a link, and why there is none any more', async (t) => {
  const world = await World.create(t)
  const folder = path.join(world.folder, 'store', 'auth')
  const look = () => linkOnDisk(folder)
  assert.deepEqual(look(), { linked: false })
  await world.start()
  await world.link()
  assert.deepEqual(look(), { linked: true, why: undefined })
  world.server.unlink(world.olga)
  await until(() => world.channel.state.state === 'logged-out', 'it knows')
  await world.stop()
  assert.match(JSON.stringify(look()), /"linked":false,"why":"the phone removed/)
})

test('a version that WhatsApp refuses is told with the setting that helps', async (t) => {
  const world = await World.linked(t)
  await world.stop()
  world.server.refuseNext = '405'
  await world.restart()
  await until(() => world.channel.state.state === 'retrying', 'it was refused')
  assert.match(JSON.stringify(world.channel.state), /WHATSAPP_VERSION/)
})

test('the version that the settings name is the one that WhatsApp is told', async (t) => {
  const world = await World.linked(t, { settings: { version: '2.4000.77' } })
  assert.equal(world.server.version, '2.4000.77')
})

test('a log-out removes the device from the account and forgets it', async (t) => {
  const world = await World.linked(t)
  await world.channel.logout()
  assert.equal(world.server.linked(world.olga), 0)
  assert.equal(world.channel.state.state, 'needs-pairing')
  await world.stop()
  assert.ok(!existsSync(path.join(world.folder, 'store', 'auth', 'whatsapp.db')))
})

test('a log-out of a device that gave way to another one forgets it here', async (t) => {
  const world = await World.linked(t)
  world.server.replaceAll()
  await until(() => world.channel.state.state === 'conflict', 'it gave way')
  await world.channel.logout()
  assert.equal(world.channel.state.state, 'needs-pairing')
  assert.equal(world.server.linked(world.olga), 1)
  await world.stop()
  assert.ok(!existsSync(path.join(world.folder, 'store', 'auth', 'whatsapp.db')))
})

test('a channel that is not linked, or not connected, shows no typing and complains of none', async (t) => {
  const world = await World.create(t)
  await world.start()
  world.channel.setTyping(world.alice.pn, true)
  await world.link()
  world.server.replaceAll()
  await until(() => world.channel.state.state === 'conflict', 'it gave way')
  world.channel.setTyping(world.alice.pn, true)
  for (let round = 0; round < 20; round++) await new Promise(setImmediate)
  assert.ok(!world.log.some((line) => line.includes('Typing')))
})

test('a stop ends the connection and leaves no listener', async (t) => {
  const world = await World.linked(t)
  await world.stop()
  await until(() => world.server.open === 0, 'the connection is closed')
  await assert.rejects(world.send(world.alice.pn, 'hi'), (error) => error instanceof AppError)
})
