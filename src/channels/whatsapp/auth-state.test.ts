import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Curve, initAuthCreds, proto } from 'baileys'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { AuthState } from './auth-state.ts'
import { openDeviceDatabase } from './database.ts'

/** The state of a device in a database of its own, and the ids that stand there, by type. */
function stateFor(t: TestContext) {
  const { db, close } = openDeviceDatabase(path.join(temporaryFolder(t), 'whatsapp.db'))
  t.after(() => close({ keep: true }))
  const ids = db.prepare('SELECT id FROM auth WHERE type = ? ORDER BY id').pluck()
  return { auth: new AuthState(db), db, stored: (type: string) => ids.all(type) }
}

test('a key that was used up leaves no row behind, and other keys stay', async (t) => {
  const { auth, db, stored } = stateFor(t)
  const pair = Curve.generateKeyPair()
  await auth.keys.set({ 'pre-key': { 1: pair, 2: pair }, session: { '4915.0': Buffer.from('a session') } })
  await auth.keys.set({ 'pre-key': { 1: null }, session: { '4915.0': null } })
  assert.deepEqual([stored('pre-key'), stored('session')], [['2'], []])
  const later = new AuthState(db)
  assert.deepEqual(await later.keys.get('pre-key', ['1', '2']), { 2: pair })
  assert.deepEqual(await later.keys.get('session', ['4915.0']), {})
})

test("the keys of the app's state come back as Baileys wants them", async (t) => {
  const { auth, db } = stateFor(t)
  const { AppStateSyncKeyData } = proto.Message
  const key = AppStateSyncKeyData.fromObject({ keyData: Buffer.from('secret') })
  await auth.keys.set({ 'app-state-sync-key': { k: key } })
  const { k } = await new AuthState(db).keys.get('app-state-sync-key', ['k'])
  assert.ok(k instanceof AppStateSyncKeyData)
  assert.deepEqual(Buffer.from(k.keyData ?? []), Buffer.from('secret'))
})

test('the keys of one device are not known to the next', async (t) => {
  const { auth } = stateFor(t)
  const next = { creds: initAuthCreds(), keys: {} }
  for (const change of [() => auth.reset(), () => auth.adopt(next)]) {
    await auth.keys.set({ session: { '4915.0': Buffer.from('a session') } })
    assert.deepEqual(await auth.keys.get('session', ['4915.0']), { '4915.0': Buffer.from('a session') })
    change()
    assert.deepEqual(await auth.keys.get('session', ['4915.0']), {})
  }
})

test('the saved state of a device is there after a restart: its account, and why its link ended', (t) => {
  const { auth, db } = stateFor(t)
  assert.deepEqual([auth.linked, auth.account, auth.ended], [false, undefined, undefined])
  Object.assign(auth.creds, { me: { id: '4915:7@s.whatsapp.net', name: 'Olga' } })
  assert.equal(auth.account, undefined, 'a number that was only asked about is no account')
  Object.assign(auth.creds, { account: {}, me: { id: '4915:7@s.whatsapp.net', lid: '99:7@lid', name: 'Olga' } })
  auth.saveCreds()
  const later = new AuthState(db)
  assert.deepEqual([later.linked, later.account], [true, { phone: '4915@s.whatsapp.net', lid: '99@lid', name: 'Olga' }])
  later.reset('the phone removed it')
  const last = new AuthState(db)
  assert.deepEqual([last.linked, last.account, last.ended], [false, undefined, 'the phone removed it'])
  last.reset()
  assert.equal(new AuthState(db).ended, undefined)
})

test('a phone number and its LID are found by each other, once WhatsApp has told them', async (t) => {
  const { auth } = stateFor(t)
  await auth.keys.set({ 'lid-mapping': { '4915': '99', '99_reverse': '4915' } })
  assert.deepEqual(
    [auth.lidOf('4915'), auth.phoneOf('99'), auth.lidOf('99'), auth.phoneOf('4915')],
    ['99', '4915', undefined, undefined],
  )
})

test('keys, and another device, that could not be stored are not used either', async (t) => {
  const { auth, db } = stateFor(t)
  await auth.keys.set({ session: { '4915.0': Buffer.from('before') } })
  const { creds } = auth
  db.exec(`CREATE TRIGGER full BEFORE INSERT ON auth WHEN NEW.id = 'next'
    BEGIN SELECT raise(FAIL, 'the disk is full'); END`)
  await assert.rejects(async () => auth.keys.set({ session: { '4915.0': Buffer.from('x'), next: Buffer.from('x') } }), /full/)
  assert.deepEqual(await auth.keys.get('session', ['4915.0', 'next']), { '4915.0': Buffer.from('before') })
  const device = { creds: initAuthCreds(), keys: { session: { next: Buffer.from('x') } } }
  assert.throws(() => auth.adopt(device), /full/)
  assert.equal(auth.creds, creds)
})
