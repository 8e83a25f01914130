import { performance } from 'node:perf_hooks'
import type { HostStatus } from '@nanoclaw/protocol'
import { Hono } from 'hono'
import { NANO_USD } from '../domain/model-price.ts'
import type { Store } from '../store/store.ts'
import type { UsageSum } from '../store/usage.ts'
import { EXPOSITION_TYPE, exposition, type Labels, type Metric, type Sample } from './exposition.ts'
import { timings } from './timings.ts'

export type MetricsPorts = {
  store: Pick<Store, 'figures' | 'usage'>
  status(): HostStatus
  /** When the last daily backup was made, ms since the epoch. */
  lastBackup(): number | undefined
  now(): number
}

/** What a monitor asks: `/metrics` for Prometheus, `/healthz` whether the host answers at all, `/readyz` whether it works. */
export function metricsApi(ports: MetricsPorts): Hono {
  const { store, status } = ports
  const took = timings(store.figures)
  return new Hono()
    .get('/healthz', (c) => c.text('ok\n'))
    .get('/readyz', (c) => (status().ready ? c.text('ready\n') : c.text('not ready\n', 503)))
    .get('/metrics', (c) => {
      const metrics = [
        ...hostMetrics(ports, status()),
        ...took(),
        ...usageMetrics(store.usage.between(SINCE_EVER)),
        ...processMetrics(),
      ]
      return c.text(exposition(metrics), 200, { 'content-type': EXPOSITION_TYPE })
    })
}

function hostMetrics({ store, lastBackup, now }: MetricsPorts, status: HostStatus): Metric[] {
  const { version, ready, groups, turns, outbox, containers, channels, troubles } = status
  const oldest = store.figures.oldestSend()
  const saved = lastBackup()
  return [
    gauge('nanoclaw_info', 'The version that runs.', [{ labels: { version }, value: 1 }]),
    gauge('nanoclaw_ready', 'Whether the host works.', [{ value: Number(ready) }]),
    gauge('nanoclaw_groups', 'Groups by what they do.', counted(groups, ['idle', 'waiting', 'running'], 'state')),
    gauge('nanoclaw_turns', 'Turns that are not over.', byLabel('state', { pending: turns.pending, running: turns.running })),
    gauge('nanoclaw_turns_failed_recently', 'Turns that failed in the last 7 days.', [{ value: turns.failed }]),
    gauge(
      'nanoclaw_outbox',
      'Answers that are not delivered; failed and uncertain ones of the last 7 days.',
      byLabel('state', outbox),
    ),
    gauge('nanoclaw_outbox_oldest_seconds', 'How long the oldest answer waits that is to be delivered.', [
      { value: oldest === undefined ? 0 : Math.max(now() - oldest, 0) / 1_000 },
    ]),
    gauge('nanoclaw_containers', 'Containers by what they do.', counted(containers, ['working', 'warm'], 'state')),
    gauge(
      'nanoclaw_channel_online',
      'Whether a channel is connected.',
      channels.map(({ name, state }) => ({ labels: { channel: name }, value: Number(state === 'online') })),
    ),
    gauge(
      'nanoclaw_troubles',
      'What needs somebody, as `status` lists it.',
      counted(
        troubles.map(({ kind }) => ({ state: kind })),
        TROUBLES,
        'kind',
      ),
    ),
    gauge(
      'nanoclaw_last_backup_timestamp_seconds',
      'When the last daily backup was made.',
      saved === undefined ? [] : [{ value: saved / 1_000 }],
    ),
  ]
}

const TROUBLES = ['channel', 'turn', 'send', 'task', 'migration', 'backup'] as const

const SINCE_EVER = { from: 0, to: Number.MAX_SAFE_INTEGER }

/** Tokens and dollars since ever. */
function usageMetrics(sums: readonly UsageSum[]): Metric[] {
  const of = ({ folder, model }: UsageSum): Labels => ({ group: folder, model })
  const tokens = sums.flatMap((sum) =>
    Object.entries({
      input: sum.input,
      cache_write: sum.cacheWrite + sum.cacheWriteHour,
      cache_read: sum.cacheRead,
      output: sum.output,
    }).map(([kind, value]) => ({ labels: { ...of(sum), kind }, value })),
  )
  return [
    counter(
      'nanoclaw_model_calls_total',
      'Calls of the model.',
      sums.map((sum) => ({ labels: of(sum), value: sum.calls })),
    ),
    counter('nanoclaw_model_tokens_total', 'Tokens that the model counted.', tokens),
    counter(
      'nanoclaw_model_usd_total',
      'What that costs at list prices.',
      sums.map((sum) => ({ labels: of(sum), value: sum.nanoUsd / NANO_USD })),
    ),
  ]
}

function processMetrics(): Metric[] {
  const { user, system } = process.cpuUsage()
  return [
    gauge('process_start_time_seconds', 'When the host started.', [{ value: performance.timeOrigin / 1_000 }]),
    gauge('process_resident_memory_bytes', 'Memory of the host.', [{ value: process.memoryUsage.rss() }]),
    counter('process_cpu_seconds_total', 'What the host used of processors.', [{ value: (user + system) / 1e6 }]),
    counter('nanoclaw_loop_busy_seconds_total', 'How long the one thread of the host was busy.', [
      { value: performance.eventLoopUtilization().active / 1_000 },
    ]),
  ]
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { type: 'gauge', name, help, samples }
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { type: 'counter', name, help, samples }
}

function byLabel(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

/** Each state is there, also when nothing is in it: an alert on what is missing would never fire. */
function counted(things: readonly { state: string }[], states: readonly string[], label: string): Sample[] {
  return byLabel(label, Object.fromEntries(states.map((state) => [state, things.filter((one) => one.state === state).length])))
}
