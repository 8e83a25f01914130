import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { hasTheChance } from '../test/fakes/chance.ts'
import { until } from '../test/fakes/patience.ts'
import { temporaryFolder } from '../test/fakes/rooms.ts'
import { pollFolder } from './folder-watch.ts'

test('a name that comes into a folder is noticed, without any event of the system, until the poll is ended', async (t) => {
  const root = temporaryFolder(t)
  const folder = path.join(root, 'watched')
  mkdirSync(folder)
  let changes = 0
  const end = pollFolder(folder, () => changes++)
  let n = 0
  const add = () => {
    writeFileSync(path.join(root, 'draft'), '')
    renameSync(path.join(root, 'draft'), path.join(folder, String(n++)))
  }
  // The first look of the poll may come after the first names.
  await until(() => {
    add()
    return changes > 0
  }, 'a name is noticed')
  end()
  const seen = changes
  let noticed = false
  t.after(pollFolder(folder, () => (noticed = true)))
  await until(() => {
    add()
    return noticed
  }, 'another poll notices the next name')
  await hasTheChance()
  assert.equal(changes, seen)
})
