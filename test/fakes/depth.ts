export type Depth = 'fast' | 'full' | 'long'

/** How much is tried: little while working, enough before a change lands, or as long as it takes (`./nanoclaw test --long`). */
export const DEPTH: Depth = depthOf(process.env.NANOCLAW_TEST_DEPTH)

/** With `--long`, what other runs try a few times is tried as often as it takes to trust it. */
export const LONG = DEPTH === 'long'

function depthOf(name: string | undefined): Depth {
  return name === 'fast' || name === 'long' ? name : 'full'
}

/**
 * The first seed of what is tried at random: the same in every run, so that two runs of a change agree; a new one with
 * `--long`. A failure always tells the seed that repeats it.
 */
export function firstSeed(): number {
  return LONG ? 1 + Math.floor(Math.random() * 2 ** 30) : 1
}
