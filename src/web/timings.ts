import type { Figures, Timing, Timings, Which } from '../store/figures.ts'
import { Histogram, type Labels, type Metric } from './exposition.ts'

/** From half a second to half an hour. */
const BOUNDS = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800]

type Observation = { labels: Labels; ms: number }
type Measure = { name: string; help: string; of(timing: Timing & { endedAt: number }): Observation | undefined }

/** Histograms of what ended since this was made. Each thing is looked at until it has ended, and counted once. */
class Ended {
  readonly #timings: Timings
  readonly #measures: readonly Measure[]
  readonly #histograms = new Map<string, { labels: Labels; histogram: Histogram }>()
  #next: Which

  constructor(timings: Timings, measures: readonly Measure[]) {
    this.#timings = timings
    this.#measures = measures
    this.#next = timings.fromNow()
  }

  metrics(): Metric[] {
    this.#take()
    return this.#measures.map(({ name, help }) => {
      const samples = [...this.#histograms].flatMap(([key, sample]) => (key.startsWith(`${name} `) ? [sample] : []))
      return { type: 'histogram', name, help, samples }
    })
  }

  #take(): void {
    let { after } = this.#next
    const also: number[] = []
    for (const timing of this.#timings.read(this.#next)) {
      const { id, endedAt } = timing
      after = Math.max(after, id)
      if (endedAt === null) also.push(id)
      else this.#observe({ ...timing, endedAt })
    }
    this.#next = { after, also }
  }

  #observe(timing: Timing & { endedAt: number }): void {
    for (const { name, of } of this.#measures) {
      const seen = of(timing)
      if (!seen) continue
      const key = `${name} ${JSON.stringify(seen.labels)}`
      const sample = this.#histograms.get(key) ?? { labels: seen.labels, histogram: new Histogram(BOUNDS) }
      this.#histograms.set(key, sample)
      // A clock that was set back makes nothing take less than no time.
      sample.histogram.observe(Math.max(seen.ms, 0) / 1_000)
    }
  }
}

const OF_TURNS: readonly Measure[] = [
  {
    name: 'nanoclaw_turn_seconds',
    help: 'From when a turn was claimed, or its task was due, to its end, with all its tries.',
    of: ({ kind, state, beganAt, endedAt }) => ({ labels: { lane: kind, outcome: state }, ms: endedAt - beganAt }),
  },
  {
    name: 'nanoclaw_answer_seconds',
    help: 'From the oldest message that a turn answers, by the time its platform gave it, to the answer.',
    of: ({ state, askedAt, endedAt }) =>
      state === 'done' && askedAt !== null ? { labels: {}, ms: endedAt - askedAt } : undefined,
  },
]

const OF_SENDS: readonly Measure[] = [
  {
    name: 'nanoclaw_delivery_seconds',
    help: 'From when something was said to when its platform had it, or nobody tried any more.',
    of: ({ state, beganAt, endedAt }) => ({ labels: { outcome: state }, ms: endedAt - beganAt }),
  },
]

/** How long turns and deliveries took since the host started. */
export function timings(figures: Figures): () => Metric[] {
  const all = [new Ended(figures.turns, OF_TURNS), new Ended(figures.sends, OF_SENDS)]
  return () => all.flatMap((ended) => ended.metrics())
}
