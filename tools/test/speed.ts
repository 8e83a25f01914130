import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'

/** What `WORK` takes on each core at once, with the start of its process, on a machine where `bench` prints a floor of half a second. */
const REFERENCE_MS = 200
const MOST_PROCESSES = 4
const WORK = 'let x = 1; for (let n = 0; n < 2e7; n++) x = Math.imul(x ^ (x >>> 15), 2246822507) + n'

/**
 * How many times slower than the reference this machine is now, at least 1: the same work in as many processes as it has
 * cores, so that a quota on the CPU and busy neighbours show.
 */
export async function slowness(): Promise<number> {
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), MOST_PROCESSES) }, work))
  return Math.max(1, Math.round((10 * (performance.now() - startedAt)) / REFERENCE_MS) / 10)
}

async function work(): Promise<void> {
  const child = spawn(process.execPath, ['--eval', WORK], { stdio: 'ignore' })
  await once(child, 'close')
}
