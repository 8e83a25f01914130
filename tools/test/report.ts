import path from 'node:path'
import type { Timing } from './run.ts'

const SLOWEST = 10
const seconds = (value: number | undefined) => (value === undefined ? '?' : value.toFixed(1)).padStart(7)

/** Where the time of a run went: the slowest files, and each kind's sums, in seconds. */
export function timingLines({
  timings,
  project,
  slowness,
}: {
  timings: readonly Timing[]
  project: string
  slowness: number
}): string[] {
  const files = timings.flatMap(({ perFile }) => [...perFile]).sort(([, a], [, b]) => b - a)
  return [
    '',
    `slowest files, in seconds (this machine counted as ${slowness} times slower than the reference when the run started)`,
    ...files.slice(0, SLOWEST).map(([file, wall]) => `${seconds(wall)}  ${path.relative(project, file)}`),
    '',
    'kind          files   clock     CPU   (seconds, summed over what ran side by side; without what containers used)',
    ...kindLines(timings),
    '',
  ]
}

function kindLines(timings: readonly Timing[]): string[] {
  const kinds = Map.groupBy(timings, ({ process }) => process.kind)
  return [...kinds].map(([kind, of]) => {
    const files = of.reduce((sum, { process }) => sum + process.files.length, 0)
    const wall = of.reduce((sum, one) => sum + one.wall, 0)
    const cpu = of.reduce((sum, one) => sum + (one.cpu ?? 0), 0)
    return `${kind.padEnd(12)} ${String(files).padStart(6)} ${seconds(wall)} ${seconds(cpu)}`
  })
}
