import assert from 'node:assert/strict'
import http from 'node:http'
import path from 'node:path'
import { test } from 'node:test'
import { readExposition } from '../fakes/exposition-reader.ts'
import { TestHost } from '../fakes/host-process.ts'

function get(
  where: { port: number } | { socketPath: string },
  url: string,
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...where, path: url }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    request.on('error', reject)
  })
}

test('a host at work is measured: its answer, its container, its tokens, on its socket and on the port that was set', async (t) => {
  const host = await TestHost.create(t, { METRICS_PORT: '0' })
  await host.start()
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)\/metrics/.exec(host.file('logs', 'nanoclaw.log'))?.[1])
  assert.equal((await get({ port }, '/readyz')).status, 200)
  await host.say('!echo hello')
  const found = readExposition((await get({ port }, '/metrics')).body)
  const value = (start: string) => [...found].find(([key]) => key.startsWith(start))?.[1]
  assert.equal(value('nanoclaw_turn_seconds_count{lane="chat",outcome="done"}'), 1)
  assert.equal(value('nanoclaw_answer_seconds_count'), 1)
  assert.equal(value('nanoclaw_containers{state="warm"}'), 1)
  assert.equal(value('nanoclaw_channel_online{channel="terminal"}'), 1)
  assert.ok((value('nanoclaw_model_tokens_total{group="main"') ?? 0) > 0)

  const control = { socketPath: path.join(host.root, 'data', 'nanoclaw.sock') }
  assert.deepEqual([...readExposition((await get(control, '/metrics')).body).keys()], [...found.keys()])
  assert.equal((await get(control, '/healthz')).body, 'ok\n')
  assert.equal((await get({ port }, '/api/status')).status, 404, 'the port tells nothing else')
})
