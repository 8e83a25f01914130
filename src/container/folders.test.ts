import assert from 'node:assert/strict'
import { linkSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { containerUser, ensureFolder, handOver } from './folders.ts'

const owner = { uid: 1000, gid: 1000 }
const skip = process.getuid?.() !== 0 && 'only root gives files away'

test('containers of root run as the user of the image, those of everybody else as themselves', () => {
  assert.deepEqual(containerUser({ uid: 0, gid: 0 }), { uid: 1000, gid: 1000 })
  assert.deepEqual(containerUser({ uid: 1000, gid: 100 }), { uid: 1000, gid: 1000 })
  assert.deepEqual(containerUser({ uid: 1001, gid: 100 }), { uid: 1001, gid: 100 })
  assert.deepEqual(containerUser({ uid: 999, gid: 0 }), { uid: 999, gid: 0 })
})

test('a folder is made once, with its mode whatever the umask is, and a missing one above it is told', (t) => {
  const before = process.umask(0o077)
  t.after(() => process.umask(before))
  const folder = path.join(temporaryFolder(t), 'a')
  assert.equal(ensureFolder(folder, { mode: 0o711 }), true)
  assert.equal(statSync(folder).mode & 0o777, 0o711)
  assert.equal(ensureFolder(folder, { mode: 0o700 }), false)
  assert.equal(statSync(folder).mode & 0o777, 0o711, 'one that is there keeps its own')
  assert.throws(() => ensureFolder(path.join(folder, 'b', 'c')), { code: 'mount.missing-parent', fault: 'user' })
})

test('a link or a file in the place of a folder is refused', (t) => {
  const at = (...names: string[]) => path.join(folder, ...names)
  const folder = temporaryFolder(t)
  mkdirSync(at('real'))
  symlinkSync(at('real'), at('link'))
  writeFileSync(at('file'), '')
  for (const name of ['link', 'file']) assert.throws(() => ensureFolder(at(name)), { code: 'mount.unsafe', fault: 'agent' }, name)
  assert.throws(() => ensureFolder(at('file', 'below')), { code: 'mount.unwritable', fault: 'user', message: /ENOTDIR/ })
})

test('a folder or file is given to the user of the container, and nothing that has another name elsewhere', { skip }, (t) => {
  const folder = temporaryFolder(t)
  const at = (name: string) => path.join(folder, name)
  const ownerOf = (name: string) => [lstatSync(at(name)).uid, lstatSync(at(name)).gid]
  ensureFolder(at('new'), { owner })
  mkdirSync(at('old'))
  ensureFolder(at('old'), { owner })
  writeFileSync(at('file'), '')
  handOver(at('file'), { owner })
  for (const name of ['new', 'old', 'file']) assert.deepEqual(ownerOf(name), [1000, 1000], name)
  handOver(at('file'), { owner: { uid: 1000, gid: 7 } })
  assert.deepEqual(ownerOf('file'), [1000, 1000], 'who has it keeps it')

  writeFileSync(at('twice'), '')
  linkSync(at('twice'), at('again'))
  handOver(at('twice'), { owner })
  assert.deepEqual(ownerOf('twice'), [0, 0])
  symlinkSync(at('twice'), at('link'))
  assert.throws(() => handOver(at('link'), { owner }), { code: 'ELOOP' })
})
