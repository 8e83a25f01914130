import { test } from 'node:test'
import { DEPTH, firstSeed } from '../fakes/depth.ts'
import { fuzz, TARGETS } from './targets.ts'

const ROUNDS = { fast: 2_000, full: 10_000, long: 1_000_000 }[DEPTH]
const seed = firstSeed()

for (const target of TARGETS) {
  const rounds = Math.ceil(ROUNDS * target.weight)
  test(`${target.name}: nothing hostile gets through in ${rounds} rounds from seed ${seed} on`, () =>
    fuzz({ target, seed, rounds }))
}
