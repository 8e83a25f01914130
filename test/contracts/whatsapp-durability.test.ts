import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { BinaryNode } from 'baileys'
import SQLite from 'better-sqlite3'
import { NotSent } from '../../src/channels/contract.ts'
import { restore } from '../../src/cli/backup/restore.ts'
import { loadConfig, PROJECT } from '../../src/config.ts'
import { systemClock } from '../../src/domain/clock.ts'
import { AppError } from '../../src/domain/errors.ts'
import { ManualClock } from '../fakes/clock.ts'
import { until } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import type { Mishap } from '../fakes/whatsapp/server.ts'
import { Victim } from '../fakes/whatsapp/victim.ts'
import { FAMILY, shownTexts, World } from '../fakes/whatsapp/world.ts'

for (const mishap of ['swallowed', 'delivered-unconfirmed'] satisfies Mishap[]) {
  test(`a send whose link drops is repeated under the same id and seen once (the message was ${mishap})`, async (t) => {
    const world = await World.linked(t, { clock: fastClock() })
    world.server.nextMishap = mishap
    await assert.rejects(world.send(world.alice.pn, 'once', 'key'))
    await until(() => world.channel.state.state !== 'online', 'the link is gone')
    await assert.rejects(world.send(world.alice.pn, 'once', 'key'), NotSent)
    await world.online()
    const { platformId } = await world.send(world.alice.pn, 'once', 'key')
    assert.deepEqual(shownTexts(world.alice), ['once'])
    assert.equal(world.alice.shown[0]?.id, platformId)
    await world.restart()
    await world.online()
    const before = world.server.heard.filter(({ tag }) => tag === 'message').length
    assert.deepEqual(await world.send(world.alice.pn, 'once', 'key'), { platformId })
    assert.equal(world.server.heard.filter(({ tag }) => tag === 'message').length, before)
  })
}

test('a send that is under way when WhatsApp ends the connection fails at once, not when its time is over', async (t) => {
  const world = await World.linked(t)
  world.server.nextMishap = 'unanswered'
  let failure: unknown
  world.send(world.alice.pn, 'unlucky').catch((error) => {
    failure = error
  })
  await until(() => world.server.heard.some(({ tag }) => tag === 'message'), 'it is under way')
  world.server.endAll(503)
  await until(() => failure !== undefined, 'it failed')
  assert.ok(failure instanceof AppError && failure.fault === 'platform')
})

test('what WhatsApp refuses for good is told as such, and what passes is to be tried again', async (t) => {
  const world = await World.linked(t)
  const faultOf = (code: string) => {
    world.server.nextMishap = { refusedWith: code }
    return world.send(world.alice.pn, code).then(
      () => 'sent',
      ({ fault }) => fault,
    )
  }
  assert.deepEqual([await faultOf('463'), await faultOf('500')], ['user', 'platform'])
  await assert.rejects(world.send('120363999@g.us', 'to no group'), { fault: 'user' })
})

test('messages that are under way when the link drops arrive once, in their order', async (t) => {
  const world = await World.linked(t, { clock: fastClock() })
  const texts = Array.from({ length: 12 }, (_, n) => `message ${n}.`)
  for (const [n, text] of texts.entries()) {
    await world.server.write(world.alice, world.olga, text)
    if (n % 4 === 3) world.server.dropAll()
  }
  await world.heard('message 11.')
  assert.deepEqual(world.notebook.texts, texts)
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'all are confirmed')
})

test('what cannot be stored is kept and told again until it can, and what came later waits behind it', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  world.notebook.full = new Error('the disk is full')
  await world.server.write(world.alice, world.olga, 'kept')
  await until(() => world.notebook.told === 1, 'it was tried')
  world.notebook.full = undefined
  await world.server.write(world.alice, world.olga, 'what came later')
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'both are in the journal')
  assert.deepEqual(world.notebook.texts, [])
  clock.advance(30_000)
  await world.heard('what came later')
  assert.deepEqual(world.notebook.texts, ['kept', 'what came later'])
})

test('what was confirmed but not yet told is told after a restart', async (t) => {
  const world = await World.linked(t)
  world.notebook.full = new Error('the disk is full')
  await world.server.write(world.alice, world.olga, 'kept over the restart')
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'it is confirmed')
  await world.stop()
  world.notebook.full = undefined
  world.server.refuseNext = '503'
  await world.restart()
  await world.heard('kept over the restart')
})

/** Says of 127 letters that they follow, of which one does. */
const NO_MESSAGE = Buffer.from('0a7f41', 'hex')

test('what decrypts to no message is dropped and logged, and what comes after it is heard', async (t) => {
  const world = await World.linked(t)
  const { server, bob, olga } = world
  const id = await server.write(bob, olga, NO_MESSAGE)
  await server.writeToGroup(bob, FAMILY, NO_MESSAGE)
  await server.write(bob, olga, 'from a stranger')
  await server.writeToGroup(bob, FAMILY, 'in a group')
  await until(() => world.notebook.texts.length === 2, 'both are heard')
  assert.ok(world.log.some((line) => line.includes(`${id} of ${bob.pn} is dropped`)))
  assert.equal(journalled(world), 0)
})

test('what decrypted to no message before a restart is dropped after it, and what came before and after it is heard', async (t) => {
  const world = await World.linked(t)
  const { server, alice, olga, notebook } = world
  notebook.full = new Error('the disk is full')
  for (const words of ['before', NO_MESSAGE, 'after']) await server.write(alice, olga, words)
  await until(() => journalled(world) === 3, 'all are in the journal')
  await world.stop()
  notebook.full = undefined
  await world.restart()
  await world.heard('after')
  assert.deepEqual([notebook.texts, journalled(world)], [['before', 'after'], 0])
})

test('what waits in the journal when a link ends is told after the next one, also what the owner wrote', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock, settings: { hasOwnNumber: false } })
  const { server, olga, alice, notebook } = world
  notebook.full = new Error('the disk is full')
  notebook.told = 0
  await server.writeFromPhone(olga, 'of my own', alice)
  await until(() => notebook.told === 1, 'it is in the journal, and will be tried again')
  server.unlink(olga)
  await until(() => world.channel.state.state === 'logged-out', 'it knows')
  clock.advance(30_000)
  notebook.full = undefined
  await world.link()
  assert.equal((await world.heard('of my own')).fromMe, true)
})

test('a message that can never be stored is dropped in the end, but none for a disk that is full', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  const { server, alice, olga, notebook } = world
  const failWith = async (error: Error, tries: number) => {
    notebook.full = error
    notebook.told = 0
    await server.write(alice, olga, error.message)
    for (let n = 1; n <= tries; n++) {
      await until(() => notebook.told === n, `try ${n}`)
      if (n < tries) clock.advance(30_000)
    }
    notebook.full = undefined
  }
  await failWith(new TypeError('never'), 10)
  await failWith(Object.assign(new Error('later'), { code: 'SQLITE_FULL' }), 15)
  notebook.full = new TypeError('once')
  clock.advance(30_000)
  await until(() => notebook.told === 16, 'it failed for another reason')
  notebook.full = undefined
  clock.advance(30_000)
  await world.heard('later')
  await failWith(new AppError({ code: 'store.disk', fault: 'user', message: 'in the words of the store' }), 15)
  clock.advance(30_000)
  await world.heard('in the words of the store')
  assert.deepEqual([notebook.texts, journalled(world)], [['later', 'in the words of the store'], 0])
})

function journalled({ folder }: Pick<World, 'folder'>): unknown {
  const db = new SQLite(path.join(folder, 'store', 'auth', 'whatsapp.db'), { readonly: true })
  try {
    return db.prepare('SELECT count(*) FROM received').pluck().get()
  } finally {
    db.close()
  }
}

test('a backup that is made while the device is in use brings all of it back, for its owner alone', async (t) => {
  const world = await World.linked(t)
  const { server, alice, olga, folder } = world
  await server.write(alice, olga, 'before')
  await world.heard('before')
  const [file, home] = [path.join(temporaryFolder(t), 'backup.tar.gz'), temporaryFolder(t)]
  const command = [path.join(PROJECT, 'src', 'cli', 'main.ts'), 'backup', file]
  await promisify(execFile)(process.execPath, command, { env: { ...process.env, NANOCLAW_HOME: folder, HOME: home } })
  await world.stop()
  rmSync(path.join(folder, 'store'), { recursive: true })
  const config = loadConfig({ NANOCLAW_HOME: folder }, home)
  const { leftOut } = await restore({
    config,
    backup: { file, passphrase: async () => '' },
    say: () => {},
    now: new Date(),
  })
  assert.deepEqual(leftOut, [])
  assert.equal(statSync(path.join(folder, 'store', 'auth', 'whatsapp.db')).mode & 0o777, 0o600)
  await world.restart()
  await world.online()
  await server.write(alice, olga, 'after')
  await world.heard('after')
  assert.equal(server.linked(olga), 1)
})

/** Of simulated time. FLAP_HOURS=24 takes half a minute. */
const HOURS = Number(process.env.FLAP_HOURS ?? 3)

test('hours of connections that come and go leave memory, timers and listeners as they were', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock, random: () => 1 })
  const flap = async () => {
    world.server.dropAll()
    await until(() => world.channel.state.state === 'retrying', 'it waits')
    const { state } = world.channel
    clock.advance(state.state === 'retrying' ? state.at - clock.now() : 0)
    await world.online()
  }
  await world.restart()
  await world.online()
  // Until the longest delay between attempts, and until all code has run.
  for (let n = 0; n < 15; n++) await flap()
  const early = footprint(world, clock)
  const end = clock.now() + HOURS * 3_600_000
  let flaps = 0
  for (; clock.now() < end; flaps++) await flap()
  await world.server.write(world.alice, world.olga, 'still here?')
  await world.heard('still here?')
  const late = footprint(world, clock)
  t.diagnostic(`${flaps} connections lost; ${JSON.stringify(early)} became ${JSON.stringify(late)}`)
  assert.ok(flaps >= HOURS * 11, `${flaps} connections were lost`)
  assert.deepEqual(late.listeners, early.listeners)
  assert.ok(late.timers <= early.timers + 5, `${early.timers} timers became ${late.timers}`)
  assert.ok(late.heapMB < early.heapMB + 15, `${early.heapMB} MB became ${late.heapMB}`)
})

/** What WhatsApp hears at the moment when the host dies, and whether somebody's message leads to it. */
const MOMENTS: Record<string, { byMessage: boolean; isNow(stanza: BinaryNode): boolean }> = {
  'it confirms its pairing': { byMessage: false, isNow: ({ tag, attrs }) => tag === 'iq' && attrs.id?.startsWith('ps') === true },
  'it updates its keys': { byMessage: false, isNow: ({ attrs }) => attrs.xmlns === 'encrypt' && attrs.type === 'set' },
  'it confirms a message': { byMessage: true, isNow: ({ tag, attrs }) => tag === 'receipt' && attrs.type === 'inactive' },
  'it sends a message': { byMessage: true, isNow: ({ tag }) => tag === 'message' },
}

for (const [moment, { byMessage, isNow }] of Object.entries(MOMENTS))
  test(`a host that is killed when ${moment} goes on as if nothing had been`, async (t) => {
    const victim = await Victim.create(t)
    const { server, alice, olga } = victim
    const write = (text: string) => server.write(alice, olga, text)
    if (byMessage) await victim.linked()
    const killed = victim.killedWhen(isNow)
    if (byMessage) await write('before')
    else await victim.start()
    await killed
    await victim.linked()
    await write('after')
    const said = byMessage ? ['before', 'after'] : ['after']
    await until(() => alice.shown.length >= said.length, `it answered: ${victim.output}`)
    assert.deepEqual(
      shownTexts(alice),
      said.map((text) => `echo ${text}`),
    )
    await victim.kill()
    assert.deepEqual([victim.stored(), victim.leaks(), server.linked(olga) > 0], [said, [], true])
  })

test('a host that is killed again and again, while linking and at any later moment, loses and doubles nothing', async (t) => {
  const victim = await Victim.create(t)
  for (const afterMs of [0, 5, 60]) await victim.killedWhileLinking(afterMs)
  await victim.start()
  await victim.online()
  const said: string[] = []
  for (let round = 0; round < 5; round++) {
    const texts = [`${round}a`, `${round}b`, `${round}c`]
    // Before the host is there, while it connects, and while it works.
    for (const [n, text] of texts.entries()) {
      if (n === 1 && !victim.running) await victim.start()
      if (n === 2) await victim.online()
      if (round === 3) victim.server.garbleNext = true
      await victim.server.write(victim.alice, victim.olga, text)
    }
    said.push(...texts)
    await new Promise((resolve) => setTimeout(resolve, round * 40))
    await victim.kill()
  }
  await victim.start()
  const echoes = () => shownTexts(victim.alice).map((text) => String(text))
  await until(() => new Set(echoes()).size === said.length, 'every message is answered', { seen: echoes })
  assert.deepEqual(echoes().sort(), said.map((text) => `echo ${text}`).sort())
  await victim.kill()
  assert.deepEqual(victim.stored().sort(), said.sort())
  assert.deepEqual(victim.leaks(), [])
})

/** Real time, but for delays of seconds, which pass a hundred times as fast. */
function fastClock() {
  return {
    now: systemClock.now,
    wakeAt: (at: number, wake: () => void) => systemClock.wakeAt(Date.now() + (at - Date.now()) / 100, wake),
  }
}

function footprint(world: World, clock: ManualClock) {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const ofProcess = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  const listeners = [clock.waiting, getEventListeners(world.signal, 'abort').length, ofProcess, world.server.open]
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  return { listeners, timers, heapMB: Math.round(process.memoryUsage().heapUsed / 2 ** 20) }
}
