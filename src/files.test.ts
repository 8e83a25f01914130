import assert from 'node:assert/strict'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../test/fakes/rooms.ts'
import { writeFileAtomically } from './files.ts'

// What survives a crash and a power cut is proven in test/power.

test('an atomic write replaces the file or link, sets the mode and leaves no draft', (t) => {
  const folder = temporaryFolder(t)
  const [file, victim] = [path.join(folder, 'a'), path.join(folder, 'victim')]
  writeFileSync(victim, 'untouched')
  symlinkSync(victim, file)
  writeFileAtomically(file, { text: 'one', mode: 0o600 })
  assert.ok(lstatSync(file).isFile())
  writeFileAtomically(file, { text: 'two', mode: 0o640 })
  assert.deepEqual([readFileSync(file, 'utf8'), statSync(file).mode & 0o777], ['two', 0o640])
  assert.deepEqual([readFileSync(victim, 'utf8'), readdirSync(folder).sort()], ['untouched', ['a', 'victim']])
})

test('a failed write leaves the file as it was, and no draft', (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(path.join(folder, 'a'))
  assert.throws(() => writeFileAtomically(path.join(folder, 'a'), { text: 'x', mode: 0o600 }), { code: 'EISDIR' })
  assert.deepEqual(readdirSync(folder), ['a'])
  assert.ok(!existsSync(path.join(folder, 'b')))
})

const skip = process.getuid?.() !== 0 && 'only root gives files away'

test('a file gets the named owner, or stays with the process that wrote it', { skip }, (t) => {
  const folder = temporaryFolder(t)
  const ownerOf = (name: string) => [statSync(path.join(folder, name)).uid, statSync(path.join(folder, name)).gid]
  writeFileAtomically(path.join(folder, 'a'), { text: '', mode: 0o600, owner: { uid: 1000, gid: 7 } })
  writeFileAtomically(path.join(folder, 'b'), { text: '', mode: 0o600 })
  assert.deepEqual(
    [ownerOf('a'), ownerOf('b')],
    [
      [1000, 7],
      [0, statSync(folder).gid],
    ],
  )
})
