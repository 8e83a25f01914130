/** Prometheus' text format, version 0.0.4. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Readonly<Record<string, string>>
export type Sample = { labels?: Labels; value: number }
export type Metric = { name: string; help: string } & (
  | { type: 'gauge' | 'counter'; samples: readonly Sample[] }
  | { type: 'histogram'; samples: readonly { labels?: Labels; histogram: Histogram }[] }
)

/** Counts of what took at most so many seconds. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.#sum += value
    this.#count++
    for (const [at, bound] of this.#bounds.entries()) if (value <= bound) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  lines(name: string, labels: Labels): string[] {
    const bucket = (le: string, count: number) => line(`${name}_bucket`, { ...labels, le }, count)
    return [
      ...this.#bounds.map((bound, at) => bucket(String(bound), this.#counts[at] ?? 0)),
      bucket('+Inf', this.#count),
      line(`${name}_sum`, labels, this.#sum),
      line(`${name}_count`, labels, this.#count),
    ]
  }
}

/** Metrics without a sample are left out. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .flatMap((metric) => [
      `# HELP ${metric.name} ${metric.help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
      `# TYPE ${metric.name} ${metric.type}`,
      ...linesOf(metric),
    ])
    .map((text) => `${text}\n`)
    .join('')
}

function linesOf(metric: Metric): string[] {
  const { name } = metric
  if (metric.type === 'histogram') return metric.samples.flatMap(({ labels, histogram }) => histogram.lines(name, labels ?? {}))
  return metric.samples.map(({ labels, value }) => line(name, labels ?? {}, value))
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"')
}
