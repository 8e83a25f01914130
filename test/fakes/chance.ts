import { setImmediate as nextRound } from 'node:timers/promises'

const TICKS = 30
const ROUNDS_PER_TICK = 10

/**
 * Lets everything that is ready happen, and what follows from it: promises, timers that are due, reads and writes that are
 * done. Belongs in front of an assertion that something does not happen, which else holds only because nothing had time to.
 * It never decides that something does happen: that is what `until` waits for.
 */
export async function hasTheChance(): Promise<void> {
  for (let tick = 0; tick < TICKS; tick++) {
    await new Promise((resolve) => setTimeout(resolve, 0))
    for (let round = 0; round < ROUNDS_PER_TICK; round++) await nextRound()
  }
}
