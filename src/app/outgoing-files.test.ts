import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { OutgoingFiles } from './outgoing-files.ts'

const LARGEST = 50 * 1024 * 1024

function outgoing(t: TestContext) {
  const root = temporaryFolder(t)
  const group = path.join(root, 'groups', 'family')
  mkdirSync(group, { recursive: true })
  const files = new OutgoingFiles(root)
  const write = (name: string, text = name) => writeFileSync(path.join(group, name), text)
  const taken = async (name: string) => {
    const found = await files.take({ folder: 'family', path: name })
    return found.type === 'taken' ? found : assert.fail(found.why)
  }
  const copies = () => readdirSync(path.join(root, 'data', 'outgoing'))
  return { root, group, files, write, taken, copies }
}

test('a file is copied into a folder of its own that only the host can read, with its size', async (t) => {
  const { root, write, taken, copies } = outgoing(t)
  write('a.txt', 'four')
  const [first, second] = [await taken('a.txt'), await taken('/workspace/group/a.txt')]
  assert.deepEqual([first.bytes, first.file.name, readFileSync(first.file.path, 'utf8')], [4, 'a.txt', 'four'])
  assert.notEqual(first.file.path, second.file.path)
  assert.equal(copies().length, 2)
  assert.equal(statSync(path.join(root, 'data', 'outgoing')).mode & 0o777, 0o700)
})

test('a file has the type of its ending, in any case', async (t) => {
  const { write, taken } = outgoing(t)
  const types: [name: string, type: string][] = [
    ['a.JPG', 'image/jpeg'],
    ['a.jpeg', 'image/jpeg'],
    ['a.tar.zip', 'application/zip'],
    ['a.md', 'text/markdown'],
    ['zip', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ]
  for (const [name, type] of types) {
    write(name)
    assert.equal((await taken(name)).file.mimeType, type)
  }
})

test('a file of 50 MiB is sent, and a larger one leaves no copy', async (t) => {
  const { group, files, write, taken, copies } = outgoing(t)
  write('film')
  truncateSync(path.join(group, 'film'), LARGEST + 1)
  assert.equal((await files.take({ folder: 'family', path: 'film' })).type, 'refused')
  assert.deepEqual(copies(), [])
  truncateSync(path.join(group, 'film'), LARGEST)
  assert.equal((await taken('film')).bytes, LARGEST)
})

test('what lies in no folder of the agent is refused with where it can be', async (t) => {
  const { files } = outgoing(t)
  for (const name of ['/etc/passwd', '/workspace/group', '/workspace/groups/x', '/workspace/ipc/tasks/x', '../x']) {
    const found = await files.take({ folder: 'family', path: name })
    assert.match(found.type === 'refused' ? found.why : '', /only files in \/workspace\/group and \/workspace\/ipc\/files/, name)
  }
})

test('at the start the copies go that no delivery names, and a copy goes when it was sent', async (t) => {
  const { files, write, taken, copies } = outgoing(t)
  files.keepOnly([])
  write('a')
  const [kept, lost] = [await taken('a'), await taken('a')]
  files.keepOnly([kept.file.path])
  assert.deepEqual([existsSync(kept.file.path), existsSync(lost.file.path), copies().length], [true, false, 1])
  files.remove(kept.file)
  assert.deepEqual(copies(), [])
  files.remove(kept.file)
})
