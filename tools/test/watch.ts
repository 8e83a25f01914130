import { appendFileSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach } from 'node:test'
import { described, waits } from '../../test/fakes/patience.ts'

// Loaded into every process that runs tests. A process that is over its limit tells which tests were running, what they
// waited for and what they saw last, and ends. At its end, each process notes the CPU time that it used.

const running = new Map<string, number>()
beforeEach((t) => void running.set(t.name, performance.now()))
afterEach((t) => void running.delete(t.name))

const limit = Number(process.env.NANOCLAW_TEST_LIMIT_MS)
if (limit > 0) setTimeout(giveUp, limit).unref()

function giveUp(): void {
  const tests = [...running].map(([name, startedAt]) => `  ${name} (for ${Math.round(performance.now() - startedAt)} ms)`)
  const lines = [`${limit} ms are over, and these tests still run:`, ...tests]
  for (const wait of waits) lines.push(`  waiting for: ${described(wait)}`)
  process.stderr.write(`${lines.join('\n')}\n`)
  process.exit(1)
}

const usageFile = process.env.NANOCLAW_TEST_USAGE
if (usageFile) process.on('exit', () => appendFileSync(usageFile, `${cpuSeconds()}\n`))

/** CPU time of this process and of the children that it waited for. Linux counts in hundredths of a second (proc_pid_stat(5)). */
function cpuSeconds(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const times = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15)
      .map(Number)
    return times.reduce((sum, time) => sum + time, 0) / 100
  } catch {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
}
