import { type TestContext, test } from 'node:test'
import { LONG } from '../fakes/depth.ts'

/** Once in every run of the tests; three times with `--long`. */
export const ROUNDS = LONG ? [1, 2, 3] : [1]

/** A test that is tried in each round: what it looks at depends on who is faster. */
export function chaos(name: string, work: (t: TestContext) => Promise<void>): void {
  for (const round of ROUNDS) test(ROUNDS.length > 1 ? `${name} (round ${round})` : name, work)
}
