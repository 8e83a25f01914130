import { parseArgs } from 'node:util'
import { fuzz, TARGETS } from './targets.ts'

// The long run: node test/fuzz/run.ts [--target NAME] [--seed N] [--rounds N]
const { values } = parseArgs({ options: { target: { type: 'string' }, seed: { type: 'string' }, rounds: { type: 'string' } } })
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(values.rounds ?? 1_000_000)

for (const target of TARGETS.filter(({ name }) => values.target === undefined || values.target === name)) {
  const most = Math.max(Math.ceil(rounds * target.weight), 1)
  const startedAt = performance.now()
  await fuzz({ target, seed, rounds: most })
  const seconds = (performance.now() - startedAt) / 1_000
  process.stdout.write(`${target.name}: ${most} rounds from seed ${seed} in ${seconds.toFixed(1)} s, nothing got through\n`)
}
