// The service on a machine of its own: systemd as PID 1, and everything done by an ordinary user.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DUMMY_KEY, until } from '../fakes/host-process.ts'
import { SystemdMachine } from '../fakes/systemd-machine.ts'

const machine = new SystemdMachine()
const image = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'

describe('the service under systemd', () => {
  before(async () => {
    await machine.boot({ env: `ANTHROPIC_API_KEY=${DUMMY_KEY}\nCONTAINER_IMAGE=${image}\n` })
    // Shorter waits than those of the unit; which of them there are is what it says.
    await machine.asUser('mkdir -m 700 ~/.ssh')
    await machine.asRoot(
      `mkdir -p /etc/systemd/user/nanoclaw.service.d && printf '[Service]\\nWatchdogSec=10\\nRestartSec=1\\n' >/etc/systemd/user/nanoclaw.service.d/short.conf`,
    )
  })
  after(() => machine.remove())

  test('an install tells of a docker group that came after the user manager', async () => {
    await machine.joinDockerGroup()
    const { code, stderr } = await service('install')
    assert.equal(code, 1)
    assert.match(stderr, /began before you came into the group docker/)
    await machine.restartUserManager()
  })

  test('an install ends when the host is ready, and it answers', async () => {
    const { code, stderr } = await service('install')
    assert.equal(code, 0, stderr)
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
    assert.equal((await service('status')).code, 0)
  })

  test('stop is graceful, and it stays stopped', async () => {
    assert.equal((await service('stop')).code, 0)
    assert.equal(await property('ActiveState'), 'inactive')
    assert.equal(await property('Result'), 'success')
    assert.match((await machine.asUser('tail -n 1 logs/nanoclaw.log')).stdout, /Stopped$/m)
    assert.equal((await service('status')).code, 3)
  })

  test('settings that cannot be used are told, and not tried again and again', async () => {
    await machine.asUser("cp .env .env.good; echo 'MAX_CONCURRENT_CONTAINERS=none' >>.env")
    const { code, stderr } = await service('start')
    assert.equal(code, 2)
    assert.match(stderr, /MAX_CONCURRENT_CONTAINERS/)
    await machine.asUser('mv .env.good .env')
  })

  test('an uninstall leaves the data', async () => {
    const { code, stderr } = await service('uninstall')
    assert.equal(code, 0, stderr)
    assert.notEqual((await machine.asUser('ls ~/.config/systemd/user/nanoclaw.service')).code, 0)
    assert.equal((await machine.asUser('ls store/messages.db')).code, 0)
  })
})

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
  await machine.asUser(`kill -${signal} ${before}`)
  await until(
    async () => (await property('ActiveState')) === 'active' && (await property('MainPID')) !== before,
    'another host is ready',
  )
}
