import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { installId, prepareRoot } from '../../src/project.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import type { Recording } from './operations.ts'
import { record } from './record.ts'
import { type Search, searchImages } from './survival.ts'

const PROGRAM = path.join(import.meta.dirname, 'files-program.ts')
const OWNER = { uid: 1000, gid: 1000 }

type Word = { promise: 'durable' | 'whole'; name: string; digest: string }

function recordWriters(t: TestContext, how = 'carefully'): Recording {
  const root = temporaryFolder(t)
  return record({ root, program: PROGRAM, args: [path.join(root, 'home'), how] })
}

/** Each file is one that was written, whole. A durable one is the last that was told, or the next. */
function holdsEveryFile({ operations }: Recording): Search['check'] {
  const words: Word[] = operations.flatMap((operation) => (operation.type === 'told' ? [JSON.parse(operation.text)] : []))
  return ({ root, told }) => {
    for (const name of new Set(words.map((word) => word.name))) {
      const history = words.filter((word) => word.name === name)
      const known = told.filter((text) => JSON.parse(text).name === name).length
      const oldest = history[0]?.promise === 'durable' ? known : 0
      const possible = [undefined, ...history.map(({ digest }) => digest)].slice(oldest, known + 2)
      assert.ok(possible.includes(digestIn(path.join(root, 'home', name))), `${name} is torn or lost`)
    }
  }
}

function digestIn(file: string): string | undefined {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : undefined
}

test('a power cut leaves every file that is replaced old or new, and what cannot be made again as it was told', (t) => {
  const recording = recordWriters(t)
  const { failures, images, moments } = searchImages({ recording, check: holdsEveryFile(recording), perMoment: 40 })
  t.diagnostic(`${images} images at ${moments} moments`)
  assert.deepEqual(failures, [])
})

test('the next start after a power cut completes a root: its identity, and the memory of main and global', (t) => {
  const recording = recordWriters(t)
  const check: Search['check'] = ({ root, told }) => {
    const home = path.join(root, 'home')
    prepareRoot({ root: home, project: PROJECT, owner: OWNER })
    for (const file of ['groups/main/CLAUDE.md', 'groups/global/CLAUDE.md'])
      assert.deepEqual(readFileSync(path.join(home, file)), readFileSync(path.join(PROJECT, file)))
    const id = installId(home)
    assert.match(id, /^[0-9a-f-]{36}$/)
    const known: Word | undefined = told.map((text) => JSON.parse(text)).find(({ name }) => name === 'data/install-id')
    if (known) assert.equal(digestIn(path.join(home, 'data/install-id')), known.digest)
  }
  assert.deepEqual(searchImages({ recording, check, perMoment: 10 }).failures, [])
})

test('the search finds a file that is written in place, and a name that was not synced', (t) => {
  const careless = recordWriters(t, 'carelessly')
  assert.match(
    searchImages({ recording: careless, check: holdsEveryFile(careless), perMoment: 10 }).failures.join(),
    /current_tasks.json is torn/,
  )
  const recording = recordWriters(t)
  const isFolder = (inode: number) =>
    recording.operations.some((operation) => 'folder' in operation && operation.folder === inode)
  const operations = recording.operations.filter((operation) => operation.type !== 'sync' || !isFolder(operation.inode))
  const { failures } = searchImages({ recording: { ...recording, operations }, check: holdsEveryFile(recording), perMoment: 10 })
  assert.match(failures.join(), /is torn or lost/)
})
