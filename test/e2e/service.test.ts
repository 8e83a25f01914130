// The service on a machine of its own: systemd as PID 1, and everything done by an ordinary user.
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Report } from '../../src/cli/doctor/doctor.ts'
import { DUMMY_KEY } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { NODE, SystemdMachine } from '../fakes/systemd-machine.ts'

const machine = new SystemdMachine()
const image = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'

describe('the service under systemd', () => {
  before(async () => {
    await machine.boot({ env: `ANTHROPIC_API_KEY=${DUMMY_KEY}\nCONTAINER_IMAGE=${image}\n` })
    await machine.asRoot('install -d -o ada /srv/backups')
    await machine.asUser('mkdir -m 700 ~/.ssh')
  })
  after(() => machine.remove())

  test('an install tells of a docker group that came after the user manager', async () => {
    await machine.joinDockerGroup()
    const { code, stderr } = await service('install')
    assert.equal(code, 1)
    assert.match(stderr, /began before you came into the group docker/)
    assert.equal((await service('uninstall')).code, 0)
    await machine.restartUserManager()
  })

  test('a unit of the guides, which appends our output to the log, runs on, and has each line once', async () => {
    await machine.asUser(`./nanoclaw build && mkdir -p ~/.config/systemd/user logs && cat >~/.config/systemd/user/nanoclaw.service <<'UNIT'
${unitOfTheGuides(machine.project)}UNIT
systemctl --user daemon-reload && systemctl --user start nanoclaw`)
    const ready = async () => (await machine.asUser('grep -c " Ready$" logs/nanoclaw.log')).stdout.trim()
    await until(async () => (await ready()) !== '0', 'the host is ready')
    assert.equal(await ready(), '1')
  })

  test('an install ends when the host is ready, and it answers; the former unit is kept aside', async () => {
    // Shorter waits than the unit's own; that there are such waits is still its own word.
    const shorter = '[Service]\\nWatchdogSec=10\\nRestartSec=1\\n'
    await machine.asUser(
      `mkdir ~/.config/systemd/user/nanoclaw.service.d && printf '${shorter}' >~/.config/systemd/user/nanoclaw.service.d/test.conf`,
    )
    await machine.asUser('echo BACKUP_FOLDER=/srv/backups >>.env')
    const { code, stderr } = await service('install')
    assert.equal(code, 0, stderr)
    assert.match(stderr, /is kept as .*nanoclaw\.service\.before/)
    assert.equal(await property('ActiveState'), 'active')
    assert.equal(await property('StatusText'), 'Ready')
    const said = await machine.asUser("./nanoclaw chat --once 'run: echo from a container'")
    assert.match(said.stdout, /from a container/, said.stderr)
  })

  test('the journal and the log file have its lines', async () => {
    const { stdout } = await machine.asUser('journalctl --user --unit nanoclaw --output cat --no-pager')
    assert.match(stdout, /INFO {2}Ready$/m)
    assert.match((await machine.asUser('cat logs/nanoclaw.log')).stdout, /INFO {2}Ready$/m)
  })

  test('the sandbox is in force, with Docker still within reach', async () => {
    const unit = (await machine.asUser('cat ~/.config/systemd/user/nanoclaw.service')).stdout
    assert.match(unit, /^PrivateUsers=yes$/m)
    const status = (await machine.asRoot(`cat /proc/${await property('MainPID')}/status`)).stdout
    assert.match(status, /^NoNewPrivs:\t1$/m)
    assert.match(status, /^Seccomp:\t2$/m)
    assert.equal((await asHost(`touch ${machine.project}/data/probe`)).code, 0)
    assert.match((await asHost('touch /home/ada/probe')).stderr, /Read-only file system/)
    assert.match((await asHost('ls /home/ada/.ssh')).stderr, /Permission denied/)
    assert.match((await machine.asUser('./nanoclaw chat --once "run: echo still here"')).stdout, /still here/)
  })

  test('the daily backup gets out of the sandbox', async () => {
    await until(async () => (await machine.asUser('ls /srv/backups')).stdout.includes('.tar.gz'), 'there is a backup')
  })

  test('a host that is killed is started again', async () => {
    await restartedAfter('KILL')
  })

  test('a host whose loop stands still is killed and started again', async () => {
    await restartedAfter('STOP')
    assert.match((await machine.asUser('journalctl --user --unit nanoclaw --no-pager')).stdout, /Watchdog timeout/)
  })

  test('it starts with the machine, without anybody logging in', async () => {
    await machine.reboot()
    await until(async () => (await property('ActiveState')) === 'active', 'the service runs after a reboot')
    const report: Report = JSON.parse((await machine.asUser('./nanoclaw doctor --json')).stdout)
    const statusOf = (id: string) => report.checks.find((check) => check.id === id)?.status
    assert.deepEqual(['service', 'linger', 'engine', 'gateway'].map(statusOf), ['ok', 'ok', 'ok', 'ok'])
  })

  test('stop is graceful, and it stays stopped', async () => {
    assert.equal((await service('stop')).code, 0)
    assert.equal(await property('ActiveState'), 'inactive')
    assert.equal(await property('Result'), 'success')
    assert.match((await machine.asUser('tail -n 1 logs/nanoclaw.log')).stdout, /Stopped$/m)
    assert.equal((await service('status')).code, 3)
  })

  test('a host that cannot use its settings is not tried again and again', async () => {
    await machine.asUser("cp .env .env.good; echo 'MAX_CONCURRENT_CONTAINERS=none' >>.env; systemctl --user start nanoclaw")
    assert.equal(await property('ActiveState'), 'failed')
    assert.equal(await property('NRestarts'), '0')
    await machine.asUser('mv .env.good .env')
  })

  test('an uninstall leaves the data', async () => {
    const { code, stderr } = await service('uninstall')
    assert.equal(code, 0, stderr)
    assert.notEqual((await machine.asUser('ls ~/.config/systemd/user/nanoclaw.service')).code, 0)
    assert.equal((await machine.asUser('ls store/messages.db')).code, 0)
  })

  test('root gets a service only when asking for one of the machine', async () => {
    const asRoot = (options: string) =>
      machine.asRoot(
        `cd ${machine.project} && PATH=$PATH:${path.dirname(NODE)} NANOCLAW_HOME=/root/own ./nanoclaw service ${options}`,
      )
    const refused = await asRoot('install')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /ordinary user/)
    const { code, stderr } = await asRoot('install --system')
    assert.equal(code, 0, stderr)
    assert.equal((await machine.asRoot('systemctl is-active nanoclaw')).stdout.trim(), 'active')
    assert.equal((await asRoot('uninstall --system')).code, 0)
    assert.equal((await machine.asRoot('systemctl is-active nanoclaw')).stdout.trim(), 'inactive')
  })
})

function unitOfTheGuides(project: string): string {
  return `[Unit]
Description=NanoClaw
[Service]
Type=simple
ExecStart=${NODE} ${project}/dist/index.js
WorkingDirectory=${project}
Restart=always
Environment=PATH=${path.dirname(NODE)}:/usr/bin:/bin
StandardOutput=append:${project}/logs/nanoclaw.log
StandardError=append:${project}/logs/nanoclaw.error.log
[Install]
WantedBy=default.target
`
}

const service = (what: string) => machine.asUser(`./nanoclaw service ${what}`)

async function property(name: string): Promise<string> {
  return (await machine.asUser(`systemctl --user show nanoclaw --property=${name} --value`)).stdout.trim()
}

/** In the host's own view of this machine. */
async function asHost(command: string) {
  return machine.asUser(`nsenter --target ${await property('MainPID')} --user --mount --preserve-credentials -- ${command}`)
}

async function restartedAfter(signal: 'KILL' | 'STOP'): Promise<void> {
  const before = await property('MainPID')
  assert.match(before, /^[1-9]/)
  await machine.asUser(`kill -${signal} ${before}`)
  const another = async () => {
    // In one look: between two, the state may be of the old host and the process already gone.
    const shown = await machine.asUser('systemctl --user show nanoclaw --property=ActiveState --property=MainPID')
    return /^ActiveState=active$/m.test(shown.stdout) && !new RegExp(`^MainPID=(0|${before})$`, 'm').test(shown.stdout)
  }
  await until(another, 'another host is ready')
}
