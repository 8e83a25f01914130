import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextRound } from 'node:timers/promises'
import { ManualClock } from '../../../test/fakes/clock.ts'
import { until } from '../../../test/fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { FakeWhatsApp } from '../../../test/fakes/whatsapp/server.ts'
import { AuthState } from './auth-state.ts'
import { connect } from './connect.ts'
import { openDeviceDatabase } from './database.ts'
import { Groups } from './groups.ts'
import { Journal, RetryCounts, SentMessages } from './traffic.ts'

/** A connection of a device that is not linked, and how it ended, once it has. */
async function connection(t: TestContext) {
  const { url } = await FakeWhatsApp.start(t)
  const folder = temporaryFolder(t)
  const { db, close } = openDeviceDatabase(path.join(folder, 'whatsapp.db'))
  t.after(() => close({ keep: false }))
  const clock = new ManualClock()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const socket = connect({
    auth: new AuthState(db),
    journal: new Journal(db),
    sent: new SentMessages(db),
    retries: new RetryCounts(db, clock.now),
    groups: new Groups({ chat: async () => {} }),
    take: async () => {},
    ports: { clock, random: () => 0, log, registration: () => undefined, refuseFile: () => undefined },
    settings: { authFolder: folder, attachmentsFolder: folder, assistantName: 'Andy', hasOwnNumber: true, socketUrl: url },
  })
  t.after(() => socket.end(undefined))
  const endings: unknown[] = []
  let isReady = false
  socket.ev.on('connection.update', ({ qr, connection, lastDisconnect }) => {
    isReady ||= qr !== undefined
    if (connection === 'close') endings.push(lastDisconnect?.error?.message)
  })
  await until(() => isReady, 'it is connected')
  return { socket, endings }
}

test('a library listener that fails ends the connection with its error', async (t) => {
  const { socket, endings } = await connection(t)
  socket.ev.on('presence.update', async () => {
    throw new Error('it failed')
  })
  socket.ev.emit('presence.update', { id: 'x', presences: {} })
  await until(() => endings.length > 0, 'it is over')
  assert.deepEqual(endings, ['it failed'])
})

for (const moment of ['at the moment when the connection ends', 'after the connection ended'])
  test(`a library listener that fails ${moment} harms nobody`, async (t) => {
    const { socket, endings } = await connection(t)
    const later = Promise.withResolvers<void>()
    socket.ev.on('connection.update', async ({ connection }) => {
      if (connection !== 'close') return
      if (moment === 'after the connection ended') await later.promise
      throw new Error('too late')
    })
    await socket.end(undefined)
    await nextRound()
    later.resolve()
    for (let round = 0; round < 10; round++) await nextRound()
    assert.deepEqual(endings, [undefined])
  })
