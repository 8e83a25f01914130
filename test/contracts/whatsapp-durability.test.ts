import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { suite, test } from 'node:test'
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
  const faults: string[] = []
  for (const code of ['401', '403', '404', '463', '500']) faults.push(await faultOf(code))
  assert.deepEqual(faults, ['user', 'user', 'user', 'user', 'platform'])
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
  clock.advance(29_999)
  await world.server.writeToGroup(world.bob, FAMILY, 'elsewhere')
  await world.heard('elsewhere')
  assert.deepEqual(world.notebook.texts, ['elsewhere'])
  clock.advance(1)
  await world.heard('what came later')
  assert.deepEqual(world.notebook.texts, ['elsewhere', 'kept', 'what came later'])
})

test('a message that cannot be written to the journal is not confirmed, and WhatsApp sends it again', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  const { server, alice, olga } = world
  const db = new SQLite(databaseOf(world))
  t.after(() => db.close())
  db.exec("CREATE TRIGGER broken BEFORE INSERT ON received BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END")
  const id = await server.write(alice, olga, 'kept by WhatsApp')
  await until(() => world.channel.state.state === 'retrying', 'the connection is given up')
  assert.match(JSON.stringify(world.channel.state), /the disk is broken/)
  assert.deepEqual([server.unconfirmed(olga), world.notebook.texts], [[id], []])
  db.exec('DROP TRIGGER broken')
  clock.advance(3_000)
  await world.heard('kept by WhatsApp')
  await until(() => server.unconfirmed(olga).length === 0, 'it is confirmed')
  assert.equal(world.notebook.told, 1)
})

test('a message that is being stored when the connection is lost is told once, and confirmed by the next connection', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  const { server, alice, olga, notebook } = world
  const stored = Promise.withResolvers<void>()
  notebook.held = stored.promise
  await server.write(alice, olga, 'slow')
  await until(() => notebook.told === 1, 'it is being stored')
  server.endAll(503)
  await until(() => world.channel.state.state === 'retrying', 'the connection is lost')
  clock.advance(3_000)
  await until(() => server.unconfirmed(olga).length === 0, 'it is confirmed')
  stored.resolve()
  await server.write(alice, olga, 'after that')
  await world.heard('after that')
  assert.deepEqual([notebook.texts, notebook.told, journalled(world)], [['slow', 'after that'], 2, 0])
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
  await failWith(Object.assign(new Error('a row that is refused'), { code: 'SQLITE_CONSTRAINT_CHECK' }), 10)
  await failWith(new AppError({ code: 'message.refused', fault: 'user', message: 'refused' }), 1)
  await failWith(Object.assign(new Error('in the words of the system'), { code: 'ENOSPC' }), 11)
  clock.advance(30_000)
  await world.heard('in the words of the system')
  const stored = ['later', 'in the words of the store', 'in the words of the system']
  assert.deepEqual([notebook.texts, journalled(world)], [stored, 0])
})

function databaseOf({ folder }: World): string {
  return path.join(folder, 'store', 'auth', 'whatsapp.db')
}

function journalled(world: World): unknown {
  const db = new SQLite(databaseOf(world), { readonly: true })
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
  for (let n = 0; n < 10; n++) await flap()
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

/** What WhatsApp hears at the moment when a host dies. */
const confirmsPairing: Moment = ({ tag, attrs }) => tag === 'iq' && attrs.id?.startsWith('ps') === true
const connectsAnew: Moment = ({ attrs }) => attrs.xmlns === 'encrypt' && attrs.type === 'get'
const updatesKeys: Moment = ({ attrs }) => attrs.xmlns === 'encrypt' && attrs.type === 'set'
const confirms: Moment = ({ tag, attrs }) => tag === 'receipt' && attrs.type === 'inactive'
const sends: Moment = ({ tag }) => tag === 'message'
/** It could not read a message and has asked for another copy, which may be on its way already. */
const gaveUpOnCopy: Moment = ({ tag, attrs }) => tag === 'ack' && attrs.class === 'message' && attrs.error !== undefined
const hearsOfDelivery: Moment = ({ tag, attrs }) => tag === 'ack' && attrs.class === 'receipt'

type Moment = (stanza: BinaryNode) => boolean

/** Everything that was said is stored and answered, once and in its order. */
async function isAsIfNothingHadBeen(victim: Victim, said: string[]): Promise<void> {
  const { alice, olga, server } = victim
  await until(() => alice.shown.length >= said.length, 'it answered', { seen: () => victim.output })
  assert.deepEqual(
    shownTexts(alice),
    said.map((text) => `echo ${text}`),
  )
  assert.deepEqual([victim.stored(), server.linked(olga) > 0], [said, true])
}

async function hasPrintedNoKey(victim: Victim): Promise<void> {
  await victim.kill()
  assert.deepEqual(victim.leaks(), [])
}

/** They wait for processes to start, mostly. */
suite('a host in a process of its own', { concurrency: 2 }, () => {
  test('a host that is killed at every step of being linked goes on as if nothing had been', async (t) => {
    const victim = await Victim.create(t)
    const scanned = victim.killedWhenScanned()
    await victim.start()
    await scanned
    for (const isNow of [confirmsPairing, connectsAnew, updatesKeys]) {
      const killed = victim.killedWhen(isNow)
      await victim.start()
      await killed
    }
    await victim.startOnline()
    await victim.server.write(victim.alice, victim.olga, 'after')
    await isAsIfNothingHadBeen(victim, ['after'])
    await hasPrintedNoKey(victim)
  })

  test('a host that is killed when it confirms or answers a message goes on as if nothing had been', async (t) => {
    const victim = await Victim.linked(t)
    const { server, alice, olga } = victim
    const said: string[] = []
    const write = async (text: string) => {
      said.push(text)
      await server.write(alice, olga, text)
    }
    await victim.startOnline()
    for (const [n, isNow] of [confirms, sends].entries()) {
      const killed = victim.killedWhen(isNow)
      await write(`before ${n}`)
      await killed
      await victim.startOnline()
      await write(`after ${n}`)
      await isAsIfNothingHadBeen(victim, said)
    }
    await hasPrintedNoKey(victim)
  })

  test('a host whose Signal library closes a session prints none of its keys', async (t) => {
    const victim = await Victim.linked(t)
    const { server, alice, olga } = victim
    await victim.startOnline()
    await server.write(alice, olga, 'in the first session')
    await until(() => alice.shown.length === 1, 'it answered', { seen: () => victim.output })
    server.garbleNext = true
    await server.write(alice, olga, 'in the second session')
    await isAsIfNothingHadBeen(victim, ['in the first session', 'in the second session'])
    await hasPrintedNoKey(victim)
    assert.ok(victim.closedSessions() > 0, 'libsignal had something to print')
  })

  test('a host that is killed again and again, with more and more to do, loses and doubles nothing', async (t) => {
    const victim = await Victim.linked(t)
    const { server, alice, olga } = victim
    const said: string[] = []
    for (const [round, isNow] of [undefined, gaveUpOnCopy, hearsOfDelivery].entries()) {
      const write = async (text: string) => {
        server.garbleNext = isNow === gaveUpOnCopy
        said.push(text)
        await server.write(alice, olga, text)
      }
      // Before the host is there, while it connects, and while it works.
      await write(`${round}a`)
      await victim.start()
      await write(`${round}b`)
      await victim.online()
      const killed = isNow && victim.killedWhen(isNow)
      await write(`${round}c`)
      await (killed ?? victim.kill())
    }
    await victim.start()
    const echoes = () => shownTexts(alice).map((text) => String(text))
    await until(() => new Set(echoes()).size === said.length, 'every message is answered', { seen: echoes })
    assert.deepEqual(echoes().sort(), said.map((text) => `echo ${text}`).sort())
    await hasPrintedNoKey(victim)
    assert.deepEqual(victim.stored().sort(), said.sort())
  })
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
