import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { DEPTH, firstSeed } from '../fakes/depth.ts'
import { runSchedules } from './runs.ts'

const SCHEDULES = { fast: 300, full: 20_000, long: 100_000 }[DEPTH]
const seed = firstSeed()

test(`in ${SCHEDULES} schedules from seed ${seed} on, with crashes at any write, nothing is lost, said twice or left without a next step`, async (t) => {
  const workers = availableParallelism()
  const share = Math.ceil(SCHEDULES / workers)
  const runs = await Promise.all(
    Array.from({ length: workers }, (_, n) => runSchedules({ from: seed + n * share, schedules: share, signal: t.signal })),
  )
  for (const { code, output } of runs) assert.equal(code, 0, output)
  for (const { output } of runs) {
    t.diagnostic(output.trim())
    const { answers, messages } = JSON.parse(output)
    assert.ok(answers > messages / 2, 'the schedules are of agents that answer')
  }
})
