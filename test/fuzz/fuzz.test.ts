import { test } from 'node:test'
import { fuzz, TARGETS } from './targets.ts'

/** The same rounds each time; a long run with others: node test/fuzz/run.ts. */
const ROUNDS = 10_000

for (const target of TARGETS) {
  const rounds = Math.ceil(ROUNDS * target.weight)
  test(`${target.name}: nothing hostile gets through in ${rounds} rounds`, () => fuzz({ target, seed: 1, rounds }))
}
