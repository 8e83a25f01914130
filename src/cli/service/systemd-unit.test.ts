import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closedTo, systemdUnit, type UnitParts } from './systemd-unit.ts'

const parts: UnitParts = {
  scope: 'user',
  launcher: '/home/ada/nanoclaw/nanoclaw',
  environment: { PATH: '/opt/node/bin:/usr/bin' },
  writable: ['/home/ada/nanoclaw', '/tmp'],
  hidden: ['/home/ada/.ssh'],
  sandbox: true,
  systemdVersion: 252,
}

test('a unit of a user is watched, restarted, sandboxed, and wanted at boot', () => {
  const lines = systemdUnit(parts).split('\n')
  for (const line of [
    'Type=notify',
    'WatchdogSec=90',
    'Restart=on-failure',
    'StartLimitBurst=30',
    'ExecStart="/home/ada/nanoclaw/nanoclaw" start',
    'WorkingDirectory=/home/ada/nanoclaw',
    'Environment="PATH=/opt/node/bin:/usr/bin"',
    'PrivateUsers=yes',
    'ReadWritePaths="-/home/ada/nanoclaw" "-/tmp"',
    'InaccessiblePaths="-/home/ada/.ssh"',
    'WantedBy=default.target',
  ])
    assert.ok(lines.includes(line), line)
})

test('what breaks Node or is passed over in silence is not in a unit', () => {
  assert.doesNotMatch(systemdUnit(parts), /^(MemoryDenyWriteExecute|SystemCallFilter=@system-service)/m)
})

test('a unit of the machine waits for Docker and needs no user namespace', () => {
  const unit = systemdUnit({ ...parts, scope: 'system' })
  assert.match(unit, /^After=.*docker\.service$/m)
  assert.match(unit, /^WantedBy=multi-user\.target$/m)
  assert.doesNotMatch(unit, /PrivateUsers/)
})

test('pauses between tries grow where systemd can do that', () => {
  assert.match(systemdUnit({ ...parts, systemdVersion: 254 }), /^RestartMaxDelaySec=60$/m)
  assert.doesNotMatch(systemdUnit(parts), /RestartMaxDelaySec/)
})

test('blanks, quotes, percent and dollar signs of paths and values are theirs', () => {
  const unit = systemdUnit({ ...parts, launcher: '/srv/my 100%/$x/nanoclaw', environment: { A: 'say "hi"\\' } })
  assert.match(unit, /^ExecStart="\/srv\/my 100%%\/\$\$x\/nanoclaw" start$/m)
  assert.match(unit, /^WorkingDirectory=\/srv\/my 100%%\/\$x$/m)
  assert.ok(unit.includes('Environment="A=say \\"hi\\"\\\\"'))
})

test('without a sandbox the unit says so', () => {
  const unit = systemdUnit({ ...parts, sandbox: false })
  assert.match(unit, /^# No sandbox/m)
  assert.doesNotMatch(unit, /Protect|PrivateUsers/)
})

test('a unit tells which paths it leaves closed', () => {
  const paths = ['/home/ada/nanoclaw', '/srv/backups']
  assert.deepEqual(closedTo(systemdUnit(parts), paths), ['/srv/backups'])
  assert.deepEqual(closedTo(systemdUnit({ ...parts, sandbox: false }), paths), [])
})
