import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../fakes/rooms.ts'
import { holdsEveryCommit, inodesCalled, recordLife, survives, withoutSyncs } from './store-search.ts'
import { searchImages } from './survival.ts'

test('a power cut at any moment of a life leaves every commit that was told, and the next one whole or not at all', (t) => {
  const recording = recordLife(temporaryFolder(t), { rounds: 30 })
  survives(t, { recording, check: holdsEveryCommit(recording), perMoment: 6 })
})

for (const synchronous of ['OFF', 'NORMAL'])
  test(`the search finds what synchronous=${synchronous} would lose`, (t) => {
    const recording = recordLife(temporaryFolder(t), { rounds: 3, synchronous })
    const { failures } = searchImages({ recording, check: holdsEveryCommit(recording), perMoment: 4 })
    assert.ok(failures.length > 0)
  })

test('the search finds what is lost when the log, or the names in folders, are not synced', (t) => {
  const recording = recordLife(temporaryFolder(t), { rounds: 2 })
  const check = holdsEveryCommit(recording)
  const folders = new Set(recording.operations.flatMap((operation) => ('folder' in operation ? [operation.folder] : [])))
  for (const [what, inodes] of Object.entries({ folders, log: inodesCalled(recording, 'messages.db-wal') })) {
    const { failures } = searchImages({ recording: withoutSyncs(recording, inodes), check, perMoment: 4 })
    assert.ok(failures.length > 0, what)
  }
})
