import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith } from '../../test/fakes/rooms.ts'

const DAY = 86_400_000

test('of the runs of a task those since a moment stay, and the newest, and what still runs', (t) => {
  const { tasks } = storeWith(t, ['main']).store
  const run = (taskId: string, day: number) => tasks.startRun({ taskId, at: day * DAY })
  const runAndEnd = (taskId: string, day: number) =>
    tasks.endRun({ runId: run(taskId, day), at: day * DAY, status: 'success', result: null, error: null })
  const days = (taskId: string) => tasks.history(taskId, 99).map(({ at }) => at / DAY)
  run('often', 1)
  for (const day of [2, 3, 4, 5, 6, 7]) runAndEnd('often', day)
  for (const day of [1, 2]) runAndEnd('seldom', day)
  assert.equal(tasks.pruneRuns({ before: 5 * DAY, newest: 2 }), 3)
  assert.deepEqual(days('often'), [7, 6, 5, 1])
  assert.equal(tasks.pruneRuns({ before: 99 * DAY, newest: 2 }), 1)
  assert.deepEqual(
    [days('often'), days('seldom')],
    [
      [7, 6, 1],
      [2, 1],
    ],
  )
})
