import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changedLines } from './changed-lines.ts'
import { commit, smallProject, writeAll } from './small-project.ts'

test('lines count as changed that differ from the commit, committed or not, and all lines of a file that git does not know', (t) => {
  const project = smallProject(t, { 'src/a.ts': 'one\ntwo\nthree\nfour\n', 'src/same.ts': 'one\n' })
  commit(project)
  writeAll(project, { 'src/a.ts': 'one\nTWO\nthree\nfour\nfive\nsix\n', 'src/new.ts': 'one\n' })
  const since = (ref: string) => {
    const isChanged = changedLines({ project, ref })
    return [1, 2, 3, 4, 5, 6].filter((line) => isChanged('src/a.ts', line))
  }
  assert.deepEqual(since('HEAD'), [2, 5, 6])
  assert.deepEqual(since('HEAD~1'), [1, 2, 3, 4, 5, 6])
  const isChanged = changedLines({ project, ref: 'HEAD' })
  assert.equal(isChanged('src/new.ts', 1), true)
  assert.equal(isChanged('src/same.ts', 1), false)
  commit(project)
  assert.deepEqual(since('HEAD'), [])
  assert.deepEqual(since('HEAD~1'), [2, 5, 6])
  assert.throws(() => changedLines({ project, ref: 'no-such-commit' }))
})
