import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { HostStatus } from '@nanoclaw/protocol'
import { readExposition } from '../../test/fakes/exposition-reader.ts'
import { promtool } from '../../test/fakes/promtool.ts'
import { storeWith, temporaryFolder } from '../../test/fakes/rooms.ts'
import { metricsApi } from './metrics.ts'
import { serveMetrics } from './metrics-server.ts'

const NOW = Date.parse('2026-05-10T12:00:00Z')
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

const DOCS = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'metrics.md'), 'utf8')
const TOKENS = { input: 1, cacheWrite: 2, cacheWriteHour: 3, cacheRead: 4, output: 5, searches: 0 }
const CALL = { at: NOW, folder: 'main', model: 'm', nanoUsd: 1, ...TOKENS }

function status(overrides: Partial<HostStatus> = {}): HostStatus {
  return {
    ...{ version: '1.2.3', ready: true, pid: 1, root: '/r', web: { url: null }, troubles: [] },
    groups: [{ folder: 'main', name: 'Main', isMain: true, chats: [], state: 'running', sessionId: null }],
    turns: { pending: 1, running: 2, failed: 3 },
    outbox: { pending: 4, failed: 5, uncertain: 6 },
    containers: [{ id: 'a', name: 'a', group: 'main', lane: 'chat', state: 'warm', startedAt: 0 }],
    channels: [
      { name: 'terminal', state: 'online', detail: null, since: 0 },
      { name: 'odd "name"\\\n', state: 'retrying', detail: null, since: 0 },
    ],
    ...overrides,
  }
}

/** The metrics of a host whose store is real. */
function host(t: TestContext, { of = status(), lastBackup }: { of?: HostStatus; lastBackup?: number } = {}) {
  const { store } = storeWith(t, ['main'])
  const clock = { now: NOW }
  const made = () => metricsApi({ store, status: () => of, lastBackup: () => lastBackup, now: () => clock.now })
  const api = made()
  const text = async (from = api) => (await from.request('/metrics')).text()
  const series = async (from = api) => readExposition(await text(from))
  const answer = (seconds: number, jid = 'local:main') => {
    const id = store.turns.add({ folder: 'main', jid, at: NOW })
    store.turns.save({ state: 'done', id, endedAt: NOW + seconds * 1_000 })
    return id
  }
  return { store, clock, api, made, text, series, answer }
}

test('the state of the host is there, each state with its number, also with none', async (t) => {
  const { series } = host(t, { lastBackup: NOW })
  const found = await series()
  const expected = {
    'nanoclaw_info{version="1.2.3"}': 1,
    nanoclaw_ready: 1,
    'nanoclaw_groups{state="running"}': 1,
    'nanoclaw_groups{state="waiting"}': 0,
    'nanoclaw_turns{state="pending"}': 1,
    'nanoclaw_outbox{state="uncertain"}': 6,
    'nanoclaw_containers{state="warm"}': 1,
    'nanoclaw_containers{state="working"}': 0,
    'nanoclaw_channel_online{channel="terminal"}': 1,
    'nanoclaw_channel_online{channel="odd \\"name\\"\\\\\\n"}': 0,
    'nanoclaw_troubles{kind="backup"}': 0,
    nanoclaw_last_backup_timestamp_seconds: NOW / 1_000,
    nanoclaw_outbox_oldest_seconds: 0,
  }
  for (const [key, value] of Object.entries(expected)) assert.equal(found.get(key), value, key)
})

test('a turn is counted once, when it ends, however long after others; those of earlier hosts are not', async (t) => {
  const { store, series, answer, made } = host(t)
  const slow = store.turns.add({ folder: 'main', jid: 'local:main', at: NOW })
  answer(3)
  const bucket = (le: string) => `nanoclaw_turn_seconds_bucket{lane="chat",outcome="done",le="${le}"}`
  assert.equal((await series()).get(bucket('2.5')), 0)
  assert.equal((await series()).get(bucket('5')), 1, 'looked at twice, counted once')
  store.turns.save({ state: 'done', id: slow, endedAt: NOW + 45_000 })
  const found = await series()
  assert.equal(found.get(bucket('30')), 1)
  assert.equal(found.get(bucket('60')), 2)
  assert.equal(found.get('nanoclaw_turn_seconds_sum{lane="chat",outcome="done"}'), 48)
  assert.equal((await series(made())).has(bucket('60')), false)
})

test('what ended before the host started, or was counted already, is not read', async (t) => {
  const { store, answer, series, made } = host(t)
  for (let n = 0; n < 20; n++) answer(1)
  const slow = store.turns.add({ folder: 'main', jid: 'local:main', at: NOW })
  const { turns } = store.figures
  const read: number[] = []
  const readAll = turns.read.bind(turns)
  turns.read = (which) => {
    const timings = readAll(which)
    read.push(timings.length)
    return timings
  }
  const api = made()
  await series(api)
  answer(2)
  store.turns.save({ state: 'done', id: slow, endedAt: NOW + 45_000 })
  const found = await series(api)
  await series(api)
  assert.deepEqual(read, [1, 2, 0])
  assert.equal(found.get('nanoclaw_turn_seconds_sum{lane="chat",outcome="done"}'), 47)
})

test('how long the oldest answer waits grows until it is delivered, and then counts as a delivery', async (t) => {
  const { store, clock, series } = host(t)
  store.outbox.add({ jid: 'local:main', text: 'x', key: 'k', turnId: null, at: NOW })
  clock.now = NOW + MINUTE
  assert.equal((await series()).get('nanoclaw_outbox_oldest_seconds'), 60)
  const [due] = store.outbox.due(clock.now)
  assert.ok(due)
  store.outbox.markSent({ seq: due.seq, platformId: null, at: clock.now })
  const found = await series()
  assert.equal(found.get('nanoclaw_outbox_oldest_seconds'), 0)
  assert.equal(found.get('nanoclaw_delivery_seconds_sum{outcome="sent"}'), 60)
})

test('tokens and dollars only grow, over days and over what was added up before', async (t) => {
  const { store, clock, series } = host(t)
  const call = (at: number) => store.usage.add({ ...CALL, at, nanoUsd: 1_500_000_000 })
  call(NOW - 30 * DAY)
  call(NOW)
  const usd = async () => (await series()).get('nanoclaw_model_usd_total{group="main",model="m"}')
  assert.equal(await usd(), 3)
  for (let day = 1; day <= 4; day++) {
    clock.now = NOW + day * DAY
    call(clock.now)
    assert.equal(await usd(), 3 + day * 1.5)
  }
  const kind = (name: string) => `nanoclaw_model_tokens_total{group="main",model="m",kind="${name}"}`
  assert.equal((await series()).get(kind('cache_write')), 6 * 5)
})

test('usage at the very beginning or end of a day is counted once, before and after it is added up', async (t) => {
  const { store, clock, series } = host(t)
  const midnight = Math.floor(NOW / DAY) * DAY
  for (const at of [midnight - 1, midnight, midnight + 1, midnight + DAY - 1, midnight + DAY]) store.usage.add({ ...CALL, at })
  const calls = async () => (await series()).get('nanoclaw_model_calls_total{group="main",model="m"}')
  for (const days of [1, 1.5, 2, 3, 10]) {
    clock.now = midnight + days * DAY
    assert.equal(await calls(), 5, `${days} days later`)
  }
})

test('every kind of token has its own number, for each group and model', async (t) => {
  const { store, series } = host(t)
  for (const [folder, model] of [
    ['main', 'm'],
    ['main', 'n'],
    ['other', 'm'],
  ] as const)
    store.usage.add({ ...CALL, folder, model, nanoUsd: 250_000_000 })
  const found = await series()
  for (const labels of ['group="main",model="m"', 'group="main",model="n"', 'group="other",model="m"']) {
    const tokens = ['input', 'cache_write', 'cache_read', 'output'].map((kind) =>
      found.get(`nanoclaw_model_tokens_total{${labels},kind="${kind}"}`),
    )
    assert.deepEqual(tokens, [1, 5, 4, 5], labels)
    assert.deepEqual(
      [found.get(`nanoclaw_model_calls_total{${labels}}`), found.get(`nanoclaw_model_usd_total{${labels}}`)],
      [1, 0.25],
    )
  }
})

test('a clock that was set back makes nothing wait or take less than no time', async (t) => {
  const { store, clock, series, answer } = host(t)
  store.outbox.add({ jid: 'local:main', text: 'x', key: 'k', turnId: null, at: NOW })
  clock.now = NOW - MINUTE
  answer(-5)
  const found = await series()
  assert.equal(found.get('nanoclaw_outbox_oldest_seconds'), 0)
  assert.equal(found.get('nanoclaw_turn_seconds_sum{lane="chat",outcome="done"}'), 0)
})

test('times are told in buckets from half a second to half an hour', async (t) => {
  const { series, answer } = host(t)
  for (const seconds of [0.5, 1_800, 1_801]) answer(seconds)
  const found = await series()
  const buckets = [...found].flatMap(([key, value]) => {
    const [, le] = /^nanoclaw_turn_seconds_bucket\{.*le="(.*)"\}$/.exec(key) ?? []
    return le === undefined ? [] : [[le, value]]
  })
  const between = ['0.5', '1', '2.5', '5', '10', '30', '60', '120', '300', '600'].map((le) => [le, 1])
  assert.deepEqual(buckets, [...between, ['1800', 2], ['+Inf', 3]])
})

test('the process tells when it started and what it used', async (t) => {
  const { series } = host(t)
  const [cpuBefore, loopBefore] = [process.cpuUsage(), performance.eventLoopUtilization()]
  const found = await series()
  const [cpuAfter, loopAfter] = [process.cpuUsage(), performance.eventLoopUtilization()]
  const isBetween = (name: string, before: number, after: number) => {
    const value = found.get(name) ?? Number.NaN
    assert.ok(value >= before && value <= after, `${name}: ${value} is not between ${before} and ${after}`)
  }
  isBetween('process_cpu_seconds_total', (cpuBefore.user + cpuBefore.system) / 1e6, (cpuAfter.user + cpuAfter.system) / 1e6)
  isBetween('nanoclaw_loop_busy_seconds_total', loopBefore.active / 1_000, loopAfter.active / 1_000)
  assert.equal(found.get('process_start_time_seconds'), performance.timeOrigin / 1_000)
  assert.ok((found.get('process_resident_memory_bytes') ?? 0) > 2 ** 20)
})

test('a host without a backup, a send or usage tells nothing of them, and 0 of what may be counted', async (t) => {
  const found = await host(t).series()
  assert.ok(!found.has('nanoclaw_last_backup_timestamp_seconds'))
  assert.equal(found.get('nanoclaw_outbox_oldest_seconds'), 0)
  assert.ok(![...found.keys()].some((key) => key.startsWith('nanoclaw_model_') || key.startsWith('nanoclaw_turn_seconds')))
  for (const kind of ['channel', 'turn', 'send', 'task', 'migration', 'backup'])
    assert.equal(found.get(`nanoclaw_troubles{kind="${kind}"}`), 0, kind)
})

test('a host that is not ready says so, and is healthy', async (t) => {
  const { api } = host(t, { of: status({ ready: false }) })
  assert.equal((await api.request('/readyz')).status, 503)
  assert.equal((await api.request('/healthz')).status, 200)
  assert.equal((await host(t).api.request('/readyz')).status, 200)
})

test('a page on the web that makes its name point to this machine reads nothing', async (t) => {
  const { port, close } = await serveMetrics({ api: host(t).api, port: 0 })
  t.after(close)
  const ask = (name: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, path: '/metrics', headers: { host: name } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      request.on('error', reject)
    })
  assert.equal(await ask(`127.0.0.1:${port}`), 200)
  assert.equal(await ask(`localhost:${port}`), 200)
  for (const name of [`evil.example:${port}`, `localhost.evil.example:${port}`, '127.0.0.1.nip.io', '[::1]', '127.0.0.2'])
    assert.equal(await ask(name), 403, name)
  await assert.rejects(serveMetrics({ api: host(t).api, port }), {
    ...{ code: 'config.port', fault: 'user' },
    message: /^METRICS_PORT \d+ cannot be used: .*EADDRINUSE.*\. Nothing was started\.$/,
  })
  close()
  await assert.rejects(ask('localhost'), { code: /ECONNREFUSED|ECONNRESET/ })
})

test('promtool finds nothing wrong with the metrics, nor with the alerts in the docs', async (t) => {
  const tool = promtool(t)
  if (!tool) return t.skip('promtool is not here, and only root on Debian can fetch it')
  const { store, text, answer } = host(t, { lastBackup: NOW })
  store.usage.add(CALL)
  answer(3)
  const metrics = spawnSync(tool, ['check', 'metrics'], { input: await text(), encoding: 'utf8' })
  assert.deepEqual([metrics.status, metrics.stderr, metrics.stdout], [0, '', ''])

  const [, rules = ''] = /## Alerts\s+```yaml\n([\s\S]*?)```/.exec(DOCS) ?? []
  const file = path.join(temporaryFolder(t), 'rules.yml')
  writeFileSync(file, rules)
  const checked = spawnSync(tool, ['check', 'rules', file], { encoding: 'utf8' })
  assert.equal(checked.status, 0, checked.stderr)
  assert.match(checked.stdout, /9 rules found/)
})

test('every metric that the docs name is there once something happened', async (t) => {
  const { text, store } = host(t, { lastBackup: NOW })
  store.usage.add(CALL)
  const said = { jid: 'local:main', id: '1', sender: 's', senderName: 'S', text: 'x', sentAt: NOW - MINUTE, fromMe: false }
  store.messages.add(said)
  const turn = store.turns.add({ folder: 'main', jid: 'local:main', at: NOW })
  store.messages.take(store.messages.latest('local:main', 1), turn)
  store.turns.save({ state: 'done', id: turn, endedAt: NOW + MINUTE })
  store.outbox.add({ jid: 'local:main', text: 'x', key: 'k', turnId: turn, at: NOW })
  store.outbox.markSent({ seq: 1, platformId: null, at: NOW })
  const named = new Set(DOCS.match(/nanoclaw_[a-z_]+/g))
  assert.ok(named.size > 15)
  const there = await text()
  for (const name of named) assert.ok(there.includes(name), name)
  assert.equal(readExposition(there).get('nanoclaw_answer_seconds_sum'), 120)
})
