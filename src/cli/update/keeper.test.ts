import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../../test/fakes/rooms.ts'
import { loadConfig } from '../../config.ts'
import type { Service, ServiceState } from '../service/service.ts'
import { keeperOf } from './keeper.ts'

function machine(t: TestContext, { of, running = true }: { of: string; running?: boolean }) {
  const root = temporaryFolder(t)
  const file = path.join(root, 'nanoclaw.service')
  writeFileSync(file, `ExecStart="${of}/nanoclaw" start\n`)
  const log: string[] = []
  const state: ServiceState = { manager: 'systemd', file, installed: true, running, detail: '', notes: [] }
  const note = (what: string) => async () => void log.push(what)
  const service = { state: async () => state, start: note('start'), stop: note('stop') } as unknown as Service
  const config = loadConfig({ NANOCLAW_HOME: root }, root)
  return { root, log, config, here: { config, env: {}, project: '/home/ada/nanoclaw', services: [service] } }
}

test('a host that a service keeps is stopped and started by it', async (t) => {
  const { here, log } = machine(t, { of: '/home/ada/nanoclaw' })
  const keeper = await keeperOf(here)
  await keeper.stop()
  await keeper.start()
  await keeper.settle()
  assert.deepEqual(log, ['stop', 'start'])
})

test('the service of another clone is left alone, and so is one that does not run', async (t) => {
  for (const other of [{ of: '/home/ada/nanoclaw-2' }, { of: '/home/ada/nanoclaw', running: false }]) {
    const { here, log } = machine(t, other)
    const keeper = await keeperOf(here)
    await keeper.stop()
    assert.deepEqual(log, [])
  }
})

test('a host that runs by hand is not stopped: nobody would start it again', async (t) => {
  const { here, config } = machine(t, { of: '/elsewhere' })
  const status = JSON.stringify({ version: '1.0.0', pid: 7, ready: true })
  const server = createServer((_request, response) => response.end(status))
  mkdirSync(path.dirname(config.paths.controlSocket), { recursive: true })
  await new Promise<void>((resolve) => server.listen(config.paths.controlSocket, resolve))
  t.after(() => server.close())
  await assert.rejects(keeperOf(here), { code: 'input.update', message: /process 7/ })
})
