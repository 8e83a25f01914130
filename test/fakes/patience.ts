/**
 * How many times slower this machine is than the one that the limits of the tests were chosen on; at least 1. The test
 * runner measures it when a run starts (`tools/test/speed.ts`).
 */
export const SLOWNESS = Math.max(1, Number(process.env.NANOCLAW_TEST_SLOWNESS) || 1)

/** A limit in milliseconds, as this machine needs it. A limit only ends a test that hangs; it never decides a result. */
export function patience(ms: number): number {
  return Math.ceil(ms * SLOWNESS)
}

export type Wait = {
  /** Words for what is waited for, e.g. "the message is answered". */
  what: string | (() => string)
  /** What there is to see while it is not so, e.g. the end of a log. */
  seen?: (() => unknown) | undefined
  startedAt: number
}

/** What this process waits for right now: `tools/test/watch.ts` tells it when a file has to be ended from outside. */
export const waits = new Set<Wait>()

const LIMIT_MS = 120_000
const LONGEST_PAUSE_MS = 50

export type UntilOptions = { seen?: () => unknown; limitMs?: number }

/**
 * Waits until something is so, looking again and again: at once, then after pauses that grow to 50 ms. Fails after a
 * generous limit with what it waited for and what it saw last.
 */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string | (() => string),
  { seen, limitMs = LIMIT_MS }: UntilOptions = {},
): Promise<void> {
  const wait: Wait = { what, seen, startedAt: performance.now() }
  const limit = patience(limitMs)
  waits.add(wait)
  try {
    for (let pause = 0; !(await isSo()); pause = Math.min(2 * pause + 1, LONGEST_PAUSE_MS)) {
      if (performance.now() - wait.startedAt > limit) throw new Error(`after ${limit} ms, still waiting for: ${described(wait)}`)
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  } finally {
    waits.delete(wait)
  }
}

/** A wait in words: what it is for, and what was seen last. */
export function described({ what, seen }: Wait): string {
  const words = typeof what === 'string' ? what : what()
  if (!seen) return words
  const last = seen()
  return `${words}; seen last: ${typeof last === 'string' ? last : JSON.stringify(last)}`
}
