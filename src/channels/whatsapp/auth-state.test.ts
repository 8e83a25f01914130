import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { initAuthCreds } from 'baileys'
import { temporaryFolder } from '../../../test/fakes/rooms.ts'
import { AuthState } from './auth-state.ts'
import { openDeviceDatabase } from './database.ts'

test('the keys of one device are not known to the next', async (t) => {
  const { db, close } = openDeviceDatabase(path.join(temporaryFolder(t), 'whatsapp.db'))
  t.after(() => close({ keep: true }))
  const auth = new AuthState(db)
  const next = { creds: initAuthCreds(), keys: {} }
  for (const change of [() => auth.reset(), () => auth.adopt(next)]) {
    await auth.keys.set({ session: { '4915.0': Buffer.from('a session') } })
    assert.deepEqual(await auth.keys.get('session', ['4915.0']), { '4915.0': Buffer.from('a session') })
    change()
    assert.deepEqual(await auth.keys.get('session', ['4915.0']), {})
  }
})
