import os from 'node:os'

/** One figure: what was measured beside the floor it cannot beat by much, both in the same run. */
export type Row = { id: string; n: number; median: number; p95: number; unit: 'ms'; floor: number; ratio: number }
export type Report = { machine: string; rows: Row[] }

/** Runs `work` `n` times, one after another, and gives each duration in ms. */
export async function timings(n: number, work: () => Promise<unknown>): Promise<number[]> {
  const durations: number[] = []
  for (let run = 0; run < n; run++) {
    const start = performance.now()
    await work()
    durations.push(performance.now() - start)
  }
  return durations
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export function row({ id, durations, floor }: { id: string; durations: readonly number[]; floor: number }): Row {
  const median = quantile(durations, 0.5)
  return { id, n: durations.length, median, p95: quantile(durations, 0.95), unit: 'ms', floor, ratio: median / floor }
}

export function machine(): string {
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor'
  return `${os.availableParallelism()} x ${cpu}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}, Node ${process.version}`
}

/** The report as a table, for people and for the README. */
export function renderReport({ machine, rows }: Report): string {
  const head = ['', 'n', 'median ms', 'p95 ms', 'floor ms', 'ratio']
  const body = rows.map(({ id, n, median, p95, floor, ratio }) =>
    [id, n, ...[median, p95, floor].map(Math.round), ratio.toFixed(2)].map(String),
  )
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [machine, '', line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')
}
