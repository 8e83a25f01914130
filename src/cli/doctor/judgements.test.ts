import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeBackups } from './backups.ts'
import { judgeClock, judgeZone } from './clock.ts'
import { judgeContinuity } from './continuity.ts'
import { judgeDatabase } from './database.ts'
import { isBefore, judgeEngine, judgeIsolation, judgeRunc } from './engine.ts'
import { judgeEnvFile, judgeSecrets, judgeUser } from './files.ts'
import type { Finding, Status } from './finding.ts'
import { judgeFirewall } from './firewall.ts'
import { judgeGroups, judgeRunLogs, judgeSessionMount, judgeSessions } from './groups.ts'
import { judgeChannels, judgeHost, judgeTroubles } from './host.ts'
import { judgeImage } from './image.ts'
import { judgeInside } from './inside.ts'
import { judgeLogin, type ModelAnswer } from './login.ts'
import { judgeDisk, judgeInodes, judgeMemory, judgeNode } from './machine.ts'
import { EVERYBODY_IS_HEARD, judgePolicy } from './policies.ts'
import { judgePorts } from './ports.ts'
import { judgeLinger, judgeService, judgeWsl } from './service.ts'

const GB = 1e9
const DAY = 86_400_000
const key = { kind: 'api-key' as const, value: 'sk-ant-api03-x', source: 'ANTHROPIC_API_KEY' }
const login = (answer: ModelAnswer) => judgeLogin({ credential: key, answer, api: 'api.anthropic.com' })
const answered = (status: number) => login({ type: 'answered', status, date: undefined })
const image = { name: 'agent', made: 0, inputs: 'abc', current: 'abc', now: DAY }
const inside = { uid: '1000', owners: 'node', claude: '2.1.329 (Claude Code)', gateway: 'reached', bypassed: false }
const policy = { file: '/p', state: 'read' as const, why: '', mode: 0o600, without: 'nothing' }
const service = {
  manager: 'systemd' as const,
  file: '/u',
  installed: true,
  running: true,
  detail: 'active',
  notes: [],
  closed: [] as string[],
}
const linger = { name: 'ada', uid: 1000, lingers: true, stale: false }
const channel = (state: string) => judgeChannels([{ name: 'whatsapp', state, detail: null, since: 0 }])
const sessionLines = (...ids: string[]) => ids.map((id) => `INFO  Group main: Session initialized: ${id}\n`).join('')
const log = (name: string, changedAt: bigint, allocated = 4096) => ({ name, changedAt, allocated })

const table: [what: string, finding: Finding, status: Status, says?: RegExp][] = [
  ['a Node that runs TypeScript', judgeNode('22.18.0'), 'ok'],
  ['a Node of the guides', judgeNode('20.19.0'), 'fail', /22\.18/],
  ['room on the disk', judgeDisk({ freeBytes: 50 * GB, totalBytes: 100 * GB }), 'ok'],
  ['little room', judgeDisk({ freeBytes: 2 * GB, totalBytes: 100 * GB }), 'warn', /prune/],
  ['no room', judgeDisk({ freeBytes: 0.1 * GB, totalBytes: 100 * GB }), 'fail'],
  ['a file system without inodes', judgeInodes({ free: 0, total: 0 }), 'skip'],
  ['no inodes left', judgeInodes({ free: 3, total: 1000 }), 'fail', /du --inodes/],
  ['memory for all agents', judgeMemory({ totalBytes: 16 * GB, availableBytes: 8 * GB, containers: 5 }), 'ok'],
  ['memory for some', judgeMemory({ totalBytes: 2 * GB, availableBytes: 1 * GB, containers: 5 }), 'warn', /CONTAINERS=2 /],
  ['memory for none', judgeMemory({ totalBytes: 2 * GB, availableBytes: 0.2 * GB, containers: 5 }), 'fail'],
  ['a clock a minute off', judgeClock({ ours: 60_000, theirs: 0 }), 'ok'],
  ['a clock an hour slow', judgeClock({ ours: 0, theirs: 3_600_000 }), 'fail', /3600 s slow/],
  ['a zone of people', judgeZone({ timeZone: 'Europe/Berlin', chosen: false }), 'ok'],
  ['UTC by default', judgeZone({ timeZone: 'UTC', chosen: false }), 'warn', /TZ=/],
  ['UTC by choice', judgeZone({ timeZone: 'UTC', chosen: true }), 'ok'],
  ['an accepted login', answered(200), 'ok'],
  ['a login that was read, and the question refused', answered(404), 'ok'],
  ['a refused login', answered(401), 'fail', /ANTHROPIC_API_KEY/],
  ['a model in trouble', answered(529), 'warn'],
  ['a model out of reach', login({ type: 'unreachable', why: 'ENOTFOUND' }), 'fail', /ENOTFOUND/],
  [
    'no login',
    judgeLogin({ credential: { kind: 'none', why: 'Put a key' }, answer: { type: 'no-login', why: 'Put a key' }, api: 'a' }),
    'fail',
    /Put a key/,
  ],
  ['an ordinary user', judgeUser({ uid: 1000 }), 'ok'],
  ['root', judgeUser({ uid: 0 }), 'warn'],
  ['secrets of one', judgeSecrets([{ file: '/.env', mode: 0o600 }]), 'ok'],
  ['secrets for all', judgeSecrets([{ file: '/.env', mode: 0o644 }]), 'warn', /chmod 600 \/\.env/],
  ['an env file', judgeEnvFile({ there: true, credentials: 'mount' }), 'ok'],
  ['no env file, and nobody needs it', judgeEnvFile({ there: false, credentials: 'gateway' }), 'skip'],
  ['no env file yet', judgeEnvFile({ there: false, credentials: 'mount' }), 'warn'],
  ['no policy', judgePolicy({ ...policy, state: 'missing' }), 'ok', /nothing/],
  [
    'no policy for senders',
    judgePolicy({ ...policy, state: 'missing', without: EVERYBODY_IS_HEARD }),
    'ok',
    /^There is no .*, so everybody .* is heard\. Anyone .* can make the assistant act/,
  ],
  ['a broken policy', judgePolicy({ ...policy, state: 'broken', why: 'not JSON' }), 'fail', /not JSON/],
  ['a policy that others may write', judgePolicy({ ...policy, mode: 0o666 }), 'warn', /chmod/],
  ['Docker of Debian 12', judgeEngine({ name: 'docker', version: '20.10.24+dfsg1', enforcesLimits: true }), 'ok'],
  ['an old Docker', judgeEngine({ name: 'docker', version: '19.03.1', enforcesLimits: true }), 'warn'],
  ['an old Podman', judgeEngine({ name: 'podman', version: '3.4.4', enforcesLimits: true }), 'warn'],
  ['a Podman that limits nobody', judgeEngine({ name: 'podman', version: '5.4.0', enforcesLimits: false }), 'fail', /cgroups v2/],
  ['a good runc', judgeRunc('1.2.8'), 'ok'],
  ['a bad runc', judgeRunc('1.3.2'), 'fail', /1\.3\.3/],
  ['a bad candidate', judgeRunc('1.4.0-rc.2'), 'fail', /1\.4\.0-rc\.3/],
  ['a runc that a distribution patches', judgeRunc('1.1.5+ds1-1+deb12u1'), 'warn', /distribution/],
  ['gVisor', judgeIsolation(['runc', 'runsc']), 'ok', /is there/],
  ['no gVisor', judgeIsolation(['runc']), 'ok', /gvisor\.dev/],
  ['no open port', judgePorts([]), 'ok'],
  ['an engine for everybody', judgePorts([2375]), 'fail', /root/],
  ['a fresh image', judgeImage(image), 'ok'],
  ['an image of other sources', judgeImage({ ...image, current: 'def' }), 'warn', /build\.sh/],
  ['an old image', judgeImage({ ...image, now: 90 * DAY }), 'warn', /--no-cache/],
  ['an image of somebody', judgeImage({ ...image, inputs: undefined, now: 90 * DAY }), 'ok', /own making/],
  ['a good container', judgeInside(inside), 'ok'],
  ['a container of root', judgeInside({ ...inside, uid: '0' }), 'fail'],
  ['an image of root', judgeInside({ ...inside, owners: 'node root' }), 'fail', /node root/],
  ['an image without Claude', judgeInside({ ...inside, claude: '' }), 'fail'],
  ['a container that reaches nobody', judgeInside({ ...inside, gateway: 'EACCES' }), 'fail', /EACCES/],
  ['a container that needs no gateway', judgeInside({ ...inside, gateway: 'EACCES', bypassed: true }), 'ok', /by itself/],
  ['a bridge to the world', judgeFirewall({ bridged: ['a'], reaches: true, firewall: 'ufw' }), 'ok'],
  ['a bridge that ends at ufw', judgeFirewall({ bridged: ['a'], reaches: false, firewall: 'ufw' }), 'warn', /ufw route allow/],
  ['a bridge that ends somewhere', judgeFirewall({ bridged: ['a'], reaches: false, firewall: undefined }), 'warn', /DOCKER-USER/],
  ['no database', judgeDatabase({ file: 'db', damage: undefined }), 'ok'],
  ['a sound database', judgeDatabase({ file: 'db', damage: null }), 'ok'],
  ['a damaged database', judgeDatabase({ file: 'db', damage: { why: 'malformed', onlyTextIndex: false } }), 'fail', /restore/],
  ['a damaged text index', judgeDatabase({ file: 'db', damage: { why: 'malformed', onlyTextIndex: true } }), 'warn', /anew/],
  [
    'folders',
    judgeGroups([
      { folder: 'main', kind: 'folder' },
      { folder: 'global', kind: 'folder' },
    ]),
    'ok',
  ],
  ['a link in place of a folder', judgeGroups([{ folder: 'main', kind: 'other' }]), 'fail', /groups\/main/],
  ['a missing folder', judgeGroups([{ folder: 'main', kind: 'missing' }]), 'warn', /backup/],
  ['sessions at home', judgeSessionMount("'/home/node/.claude'"), 'ok'],
  ['sessions of root', judgeSessionMount("'/root/.claude'"), 'fail'],
  ['a session that can go on', judgeSessions([{ folder: 'a', sessionId: 's', kept: true }]), 'ok'],
  ['a session without a transcript', judgeSessions([{ folder: 'a', sessionId: 's', kept: false }]), 'warn', /sessions clear a/],
  ['one session', judgeContinuity(sessionLines('a', 'a', 'a')), 'ok'],
  ['two sessions, one begun by a person', judgeContinuity(sessionLines('a', 'a', 'b')), 'ok'],
  ['a session each time', judgeContinuity(sessionLines('a', 'b', 'c')), 'warn', /main/],
  ['old restlessness', judgeContinuity(sessionLines('a', 'b', 'c', 'd', 'd', 'd', 'd', 'd')), 'ok'],
  ['no run', judgeRunLogs([]), 'ok'],
  ['some runs', judgeRunLogs([log('old', 1n), log('new', 2n)]), 'ok', /newest is new/],
  ['too many runs', judgeRunLogs([log('big', 1n, 3 * GB)]), 'warn'],
  ['no host', judgeHost(undefined, '1'), 'warn', /service start/],
  ['an older host', judgeHost({ version: '1', pid: 1, ready: true }, '2'), 'warn', /restart/],
  ['this host', judgeHost({ version: '2', pid: 1, ready: true }, '2'), 'ok'],
  ['a channel that is online', channel('online'), 'ok'],
  ['a channel that tries again', channel('retrying'), 'warn'],
  ['a channel that waits for a person', channel('logged-out'), 'fail', /channels login whatsapp/],
  ['no trouble', judgeTroubles([]), 'ok'],
  [
    'a trouble',
    judgeTroubles([{ kind: 'turn', where: 'local:main', folder: 'main', since: 0, why: 'no login' }]),
    'warn',
    /no login/,
  ],
  ['a service', judgeService(service), 'ok'],
  ['no service', judgeService({ ...service, installed: false }), 'warn', /service install/],
  ['a service that does not run', judgeService({ ...service, running: false }), 'warn', /service start/],
  ['a service that is kept from its backups', judgeService({ ...service, closed: ['/srv'] }), 'fail', /\/srv/],
  ['no backups', judgeBackups({ folder: undefined, newest: undefined, now: 0 }), 'warn', /BACKUP_FOLDER/],
  ['an empty folder for backups', judgeBackups({ folder: '/b', newest: undefined, now: 0 }), 'warn', /no backup in/],
  ['a backup of yesterday', judgeBackups({ folder: '/b', newest: 0, now: 1.5 * DAY }), 'ok'],
  ['an old backup', judgeBackups({ folder: '/b', newest: 0, now: 5 * DAY }), 'warn', /5 days/],
  ['a user who lingers', judgeLinger(linger), 'ok'],
  ['a user who does not', judgeLinger({ ...linger, lingers: false }), 'warn', /enable-linger ada/],
  ['a stale group', judgeLinger({ ...linger, stale: true }), 'fail', /user@1000/],
  ['no WSL', judgeWsl({ wsl: false, systemd: false, boot: '' }), 'skip'],
  ['WSL without systemd', judgeWsl({ wsl: true, systemd: false, boot: '' }), 'warn', /wsl\.conf/],
  [
    'WSL that was not restarted',
    judgeWsl({ wsl: true, systemd: false, boot: '[boot]\nsystemd=true\n' }),
    'warn',
    /wsl --shutdown/,
  ],
  ['WSL with systemd', judgeWsl({ wsl: true, systemd: true, boot: '' }), 'ok'],
]

for (const [what, finding, status, says = /./] of table)
  test(`${what}: ${status}`, () => {
    assert.equal(finding.status, status)
    assert.match(`${finding.what}\n${finding.why}\n${finding.fix}`, says)
    const advised = finding.why !== '' && finding.fix !== ''
    assert.ok(advised || status === 'ok' || status === 'skip', 'what is wrong says why, and what to do')
  })

const free = (freeBytes: number) => judgeDisk({ freeBytes, totalBytes: 100 * GB })
const ram = (totalBytes: number, availableBytes = GB) => judgeMemory({ totalBytes, availableBytes, containers: 4 })
const docker = (version: string) => judgeEngine({ name: 'docker', version, enforcesLimits: true })
const podman = (version: string) => judgeEngine({ name: 'podman', version, enforcesLimits: true })
const aged = (days: number) => judgeImage({ ...image, now: days * DAY })
const backup = (days: number) => judgeBackups({ folder: '/b', newest: 0, now: days * DAY })
const mode = (bits: number) => judgeSecrets([{ file: '/.env', mode: bits }])

/** Of two that are next to each other, how each is judged. */
const borders: [what: string, one: Finding, status: Status, next: Finding, otherwise: Status][] = [
  ['Node', judgeNode('22.18.0'), 'ok', judgeNode('22.17.9'), 'fail'],
  ['a later Node', judgeNode('23.0.0'), 'ok', judgeNode('21.99.0'), 'fail'],
  ['room on the disk', free(3 * GB), 'ok', free(3 * GB - 1), 'warn'],
  ['little room', free(0.5 * GB), 'warn', free(0.5 * GB - 1), 'fail'],
  ['inodes', judgeInodes({ free: 20_001, total: 9e9 }), 'ok', judgeInodes({ free: 20_000, total: 9e9 }), 'fail'],
  ['memory for all agents', ram(3 * GB + 1), 'ok', ram(3 * GB), 'warn'],
  ['memory for one', ram(9 * GB, 0.6 * GB), 'ok', ram(9 * GB, 0.6 * GB - 1), 'fail'],
  ['the clock', judgeClock({ ours: 120_499, theirs: 0 }), 'ok', judgeClock({ ours: 120_500, theirs: 0 }), 'fail'],
  ['the clock, slow', judgeClock({ ours: 0, theirs: 120_499 }), 'ok', judgeClock({ ours: 0, theirs: 120_500 }), 'fail'],
  ['answers of the model', answered(499), 'ok', answered(500), 'warn'],
  ['refused logins', answered(402), 'ok', answered(403), 'fail'],
  ['Docker', docker('20.10.0'), 'ok', docker('20.9.9'), 'warn'],
  ['Podman', podman('4.3.0'), 'ok', podman('4.2.9'), 'warn'],
  ['runc 1.2', judgeRunc('1.2.8'), 'ok', judgeRunc('1.2.7'), 'fail'],
  ['runc 1.3', judgeRunc('1.3.3'), 'ok', judgeRunc('1.3.2'), 'fail'],
  ['runc 1.4', judgeRunc('1.4.0-rc.3'), 'ok', judgeRunc('1.4.0-rc.2'), 'fail'],
  ['the age of the image', aged(60.9), 'ok', aged(61), 'warn'],
  ['the age of the newest backup', backup(1.9), 'ok', backup(2), 'warn'],
  ['logs of runs', judgeRunLogs([log('a', 1n, 2 * GB)]), 'ok', judgeRunLogs([log('a', 1n, 2 * GB + 1)]), 'warn'],
  ['secrets of a group', mode(0o700), 'ok', mode(0o610), 'warn'],
  ['secrets of all', mode(0o600), 'ok', mode(0o601), 'warn'],
  ['a policy', judgePolicy({ ...policy, mode: 0o755 }), 'ok', judgePolicy({ ...policy, mode: 0o620 }), 'warn'],
  [
    'new sessions',
    judgeContinuity(sessionLines('a', 'b', 'c', 'd', 'd', 'd', 'd')),
    'ok',
    judgeContinuity(sessionLines('a', 'b', 'c', 'd', 'd', 'd')),
    'warn',
  ],
]

for (const [what, one, status, next, otherwise] of borders)
  test(`${what}: from ${status} to ${otherwise} in one step`, () => {
    assert.deepEqual([one.status, next.status], [status, otherwise])
  })

test('the age of a newest backup of today or yesterday is said in words', () => {
  assert.match(JSON.stringify(backup(0.9)), /is of today/)
  assert.match(JSON.stringify(backup(1)), /is a day old/)
})

test('versions are compared by their numbers, and a candidate comes before its release', () => {
  const ordered = ['1.1.12', '1.2.8', '1.2.10', '1.3.0-rc.1', '1.3.0', '1.4.0-rc.2', '1.4.0-rc.10', '1.4.0']
  for (const [at, version] of ordered.entries())
    for (const [other, than] of ordered.entries()) assert.equal(isBefore(version, than), at < other, `${version} before ${than}`)
})
