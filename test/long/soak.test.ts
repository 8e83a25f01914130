import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderSoak, soak } from '../../src/cli/bench/soak.ts'
import { firstSeed } from '../fakes/depth.ts'

const MINUTES = 30
const seed = firstSeed()

test(`in ${MINUTES} minutes of kills and outages (seed ${seed}) no message is lost or answered twice`, async (t) => {
  // Blows every few seconds use up the tries that a turn has by default.
  const env = { ...process.env, MAX_TURN_RETRIES: '12' }
  const report = await soak({ env, say: (line) => t.diagnostic(line), seed, minutes: MINUTES })
  t.diagnostic(renderSoak(report))
  const repeat = `MAX_TURN_RETRIES=12 ./nanoclaw bench soak --seed ${seed} --minutes ${MINUTES}`
  assert.deepEqual([report.lost, report.doubled, report.kept], [[], [], undefined], repeat)
})
