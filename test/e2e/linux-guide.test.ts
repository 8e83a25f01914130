// docs/linux.md, command by command and in its order, on a machine with systemd as its init, by an ordinary user.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { judgeFirewall } from '../../src/cli/doctor/firewall.ts'
import { PROJECT } from '../../src/config.ts'
import { DUMMY_KEY } from '../fakes/host-process.ts'
import { SystemdMachine } from '../fakes/systemd-machine.ts'

const GUIDE = readFileSync(path.join(PROJECT, 'docs/linux.md'), 'utf8')
const image = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'

/** What is not run, by its first line, and why. */
const NEVER_RUN = {
  'sudo apt-get update && sudo apt-get install -y git npm': 'the machine has a clone; Node.js is the one of this test',
  'sudo apt-get install -y docker.io': 'the machine uses the Docker out here',
  "echo 'ANTHROPIC_API_KEY=sk-ant-api03-...' >>.env            # pay per use": 'the values are made up',
  '# ufw': 'firewall rules would be those of this machine',
  './nanoclaw update --check': 'test/e2e/update.test.ts does it, with releases to go to',
  './nanoclaw uninstall': 'it asks a person, and would remove the image of all tests',
}

/** The guide "Linux deployment" has these, in this order. */
const GUIDE_HEADINGS = [
  'Prerequisites',
  'Installation',
  'Clone and set up the project',
  'Install and configure Docker',
  'Build the agent container image',
  'Configure authentication',
  'Create systemd user service',
  'Service Management',
  'Check Service Status',
  'Start/Stop/Restart',
  'Service Logs',
  'Debugging',
  'Docker vs Podman',
  'Container Runtime Setup',
  'Volume Mounts',
  'Environment Variables',
  'Startup Sequence',
  'Security',
  'Firewall Configuration',
  'WSL2 Considerations',
  'Troubleshooting',
  'Next Steps',
]

/** What the commands show, by the heading above them. */
const SHOWN: Record<string, RegExp> = {
  'Install and configure Docker': /^Docker \d+\.\d+/m,
  'Configure authentication': /^ANTHROPIC_API_KEY=sk-ant-$/m,
  'Create systemd user service': /^You wrote: What is 2\+2\?$/m,
  'Check Service Status': /nanoclaw: active \(running\)[\s\S]*Active: active \(running\)/,
  'Service Logs': /INFO {2}Ready$[\s\S]*^groups\/main\/logs\/container-\d{8}-\d{6}\.log$/m,
  'Container Runtime Setup': /^node\n\/workspace\/group\n[\s\S]*^nanoclaw-main-\d+$/m,
  'Volume Mounts': /projects\/webapp/,
  'Startup Sequence': / starts on .*\n.* Ready$/m,
  Security: /^NoNewPrivileges=yes$/m,
  Troubleshooting: /^0 broken, /m,
}

type Block = { heading: string; command: string; run: boolean }

describe('a reader of docs/linux.md', () => {
  const machine = new SystemdMachine()
  const shown = new Map<string, string>()
  before(async () => {
    await machine.boot({ env: `ANTHROPIC_API_KEY=${DUMMY_KEY}\nCONTAINER_IMAGE=${image}\n${buildSettings()}` })
    await machine.joinDockerGroup()
    await machine.restartUserManager()
  })
  after(() => machine.remove())

  test('finds every heading of the published guide, in its order', () => {
    const headings = [...GUIDE.matchAll(/^##+ (.*)$/gm)].map((match) => match[1] ?? '')
    assert.deepEqual(
      headings.filter((heading) => GUIDE_HEADINGS.includes(heading)),
      GUIDE_HEADINGS,
    )
  })

  for (const { heading, command } of blocks().filter(({ run }) => run))
    test(`${heading}: ${command.split('\n')[0]}`, async () => {
      const { code, stdout, stderr } = await paste(command)
      assert.equal(code, 0, `${stdout}\n${stderr}`)
      shown.set(heading, (shown.get(heading) ?? '') + stdout)
    })

  for (const [heading, what] of Object.entries(SHOWN))
    test(`sees under "${heading}" what is promised`, () => assert.match(shown.get(heading) ?? '', what))

  test('finds the settings of the service in force: debug lines in the log', async () => {
    assert.match((await machine.asUser('cat logs/nanoclaw.log')).stdout, / DEBUG /)
  })

  test('finds no command that is left out without a reason', () => {
    const left = blocks().filter(({ run }) => !run)
    assert.deepEqual(
      left.map(({ command }) => command.split('\n')[0]),
      Object.keys(NEVER_RUN),
    )
  })

  test('finds the rules for firewalls that doctor names', () => {
    for (const firewall of ['ufw', 'firewalld'] as const) {
      const { fix } = judgeFirewall({ bridged: ['main'], reaches: false, firewall })
      assert.ok(fix && GUIDE.includes(fix), fix)
    }
  })

  /** As that user; what begins with `sudo` is root's, who has no need of it. */
  function paste(command: string) {
    if (!command.startsWith('sudo ')) return machine.asUser(`set -e\nUSER=ada\n${command}`)
    return machine.asRoot(`set -e\nUSER=ada\nsudo() { "$@"; }\n${command}`)
  }
})

/** What the image was built with, so that it is seen to be current. */
function buildSettings(): string {
  return ['BASE_IMAGE', 'EXTRA_CA_FILE'].flatMap((name) => (process.env[name] ? [`${name}=${process.env[name]}\n`] : [])).join('')
}

/** The blocks marked `sh` (to be run) and `sh norun`, each with the heading above it. */
function blocks(): Block[] {
  return GUIDE.split(/^##+ /m).flatMap((section) => {
    const [heading = ''] = section.split('\n')
    const found = [...section.matchAll(/^```sh( norun)?\n([\s\S]*?)\n```$/gm)]
    return found.map(([, norun, command = '']) => ({ heading, command, run: norun === undefined }))
  })
}
