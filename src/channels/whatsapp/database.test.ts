import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { AppError } from '../../domain/errors.ts'
import { AuthState } from './auth-state.ts'
import { databaseFile, linkOnDisk, openDeviceDatabase } from './database.ts'

function authFolder(t: TestContext): string {
  return path.join(temporaryFolder(t), 'store', 'auth')
}

test('the database is for one process at a time, and for its user alone', (t) => {
  const folder = authFolder(t)
  const file = databaseFile(folder)
  const first = openDeviceDatabase(file)
  assert.throws(
    () => openDeviceDatabase(file),
    (error) => error instanceof AppError && error.code === 'whatsapp.in-use',
  )
  assert.deepEqual([statSync(folder).mode & 0o777, statSync(file).mode & 0o777], [0o700, 0o600])
  first.close({ keep: true })
  assert.ok(existsSync(file))
  openDeviceDatabase(file).close({ keep: false })
  assert.deepEqual(readdirSync(folder), ['whatsapp.db.lock'])
})

test('a database that cannot be opened holds no lock: it can be opened as soon as it is mended', (t) => {
  const folder = authFolder(t)
  const file = databaseFile(folder)
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, 'not a database, '.repeat(100))
  for (let times = 0; times < 2; times++) assert.throws(() => openDeviceDatabase(file), /not a database/)
  rmSync(file)
  openDeviceDatabase(file).close({ keep: true })
})

test('a look at the disk tells of a link, of its end, of a state of v1, and of a file that cannot be read', (t) => {
  const folder = authFolder(t)
  const file = databaseFile(folder)
  assert.deepEqual(linkOnDisk(folder), { linked: false })
  const { db, close } = openDeviceDatabase(file)
  const auth = new AuthState(db)
  auth.saveCreds()
  assert.deepEqual(linkOnDisk(folder), { linked: false })
  Object.assign(auth.creds, { account: {} })
  auth.saveCreds()
  assert.deepEqual(linkOnDisk(folder), { linked: true, why: undefined })
  auth.reset('the phone removed it')
  assert.deepEqual(linkOnDisk(folder), { linked: false, why: 'the phone removed it' })
  auth.reset()
  writeFileSync(path.join(folder, 'creds.json'), '{}')
  assert.deepEqual(linkOnDisk(folder), { linked: true })
  close({ keep: false })
  writeFileSync(file, 'not a database, '.repeat(100))
  const { linked, why } = linkOnDisk(folder)
  assert.deepEqual([linked, why?.startsWith(`${file} cannot be read: `)], [false, true])
})
