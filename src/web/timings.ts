import type { Figures, Timing, Which } from '../store/figures.ts'
import { Histogram, type Labels, type Metric } from './exposition.ts'

/** From half a second to half an hour. */
const BOUNDS = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800]

type Observation = { labels: Labels; ms: number }
type Measure = { name: string; help: string; of(timing: Timing & { endedAt: number }): Observation | undefined }

/** Histograms of what ended since this was made. Each thing is looked at until it has ended, and counted once. */
class Ended {
  readonly #read: (which: Which) => Timing[]
  readonly #measures: readonly Measure[]
  readonly #histograms = new Map<string, { labels: Labels; histogram: Histogram }>()
  #newest = 0
  #open: number[] = []

  constructor(read: (which: Which) => Timing[], measures: readonly Measure[]) {
    this.#read = read
    this.#measures = measures
    this.#take(() => {})
  }

  metrics(): Metric[] {
    this.#take((timing) => this.#observe(timing))
    return this.#measures.map(({ name, help }) => {
      const samples = [...this.#histograms].flatMap(([key, sample]) => (key.startsWith(`${name} `) ? [sample] : []))
      return { type: 'histogram', name, help, samples }
    })
  }

  #take(count: (ended: Timing & { endedAt: number }) => void): void {
    const timings = this.#read({ after: this.#newest, also: this.#open })
    this.#open = []
    for (const timing of timings) {
      const { id, endedAt } = timing
      this.#newest = Math.max(this.#newest, id)
      if (endedAt === null) this.#open.push(id)
      else count({ ...timing, endedAt })
    }
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
  const all = [new Ended((which) => figures.turns(which), OF_TURNS), new Ended((which) => figures.sends(which), OF_SENDS)]
  return () => all.flatMap((ended) => ended.metrics())
}
