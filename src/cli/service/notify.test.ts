import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { until } from '../../../test/fakes/patience.ts'
import { beatMs, Supervisor } from './notify.ts'

test('systemd hears of ready, of a beat as often as it asks for, and of the end with the time it takes', async (t) => {
  const { env, heard } = systemd(t)
  const failed: string[] = []
  const supervisor = new Supervisor({ env: { ...env, WATCHDOG_USEC: '60000' }, say: (line) => failed.push(line) })
  supervisor.ready()
  await until(() => heard().filter((line) => line === 'WATCHDOG=1').length >= 2, 'it beats')
  supervisor.stopping(20_000)
  await until(() => heard().some((line) => line.startsWith('STOPPING=1')), 'it stops')
  supervisor.close()
  assert.equal(heard()[0], '--ready --status=Ready')
  assert.ok(heard().includes('STOPPING=1 EXTEND_TIMEOUT_USEC=50000000 --status=Stopping'))
  // A beat may be on its way still when the folder goes; what matters came through.
  assert.deepEqual(failed, [])
})

test('who is no service tells nobody anything', async (t) => {
  const { env, heard } = systemd(t)
  const supervisor = new Supervisor({ env: { ...env, WATCHDOG_USEC: '60000', NOTIFY_SOCKET: undefined }, say: assert.fail })
  supervisor.ready()
  supervisor.stopping(20_000)
  // One that is a service, and begins later, is heard by and by.
  const service = new Supervisor({ env: { ...env, WATCHDOG_USEC: '60000' }, say: () => {} })
  service.ready()
  await until(() => heard().filter((line) => line === 'WATCHDOG=1').length >= 2, 'the other one beats')
  supervisor.close()
  service.close()
  assert.equal(
    heard()
      .filter((line) => line !== 'WATCHDOG=1')
      .join(),
    '--ready --status=Ready',
  )
})

test('words that cannot be carried are told on stderr', async () => {
  const said: string[] = []
  new Supervisor({ env: { NOTIFY_SOCKET: '/nowhere', PATH: '/nowhere' }, say: (line) => said.push(line) }).ready()
  await until(() => said.length > 0, 'it is said')
  assert.match(said[0] ?? '', /systemd cannot be told/)
})

test('without a watchdog nothing beats', () => {
  assert.equal(beatMs({}), undefined)
  assert.equal(beatMs({ WATCHDOG_USEC: '90000000' }), 30_000)
  assert.deepEqual([beatMs({ WATCHDOG_USEC: '0' }), beatMs({ WATCHDOG_USEC: 'no' })], [undefined, undefined])
})

/** A systemd-notify that writes down what it is to say. */
function systemd(t: { after(fn: () => void): void }) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-notify-'))
  t.after(() => rmSync(folder, { recursive: true, maxRetries: 10 })) // a beat may still be on its way
  const log = path.join(folder, 'heard')
  writeFileSync(log, '')
  const program = path.join(folder, 'systemd-notify')
  writeFileSync(program, `#!/bin/sh\necho "$@" >>${log}\n`)
  chmodSync(program, 0o755)
  const heard = () => readFileSync(log, 'utf8').split('\n').filter(Boolean)
  return { env: { NOTIFY_SOCKET: '/run/notify', PATH: `${folder}:/usr/bin:/bin` }, heard }
}
