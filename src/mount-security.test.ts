import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { noOpenFiles, openFilesIn } from '../test/fakes/open-files.ts'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import type { ExtraMount } from './domain/group.ts'
import {
  ALWAYS_BLOCKED,
  type AllowedMount,
  allowlistStamp,
  expanded,
  findBlocked,
  judgeMounts,
  type MountRules,
  mountsText,
  readAllowlist,
} from './mount-security.ts'

/** A home with an allowlist, a folder `projects` to be mounted, and an installation. */
function home(t: TestContext, list: object | string = { allowedRoots: [{ path: '~/projects', allowReadWrite: true }] }) {
  const userHome = path.join(temporaryFolder(t), 'ann')
  const make = (...parts: string[]) => {
    mkdirSync(path.join(userHome, ...parts), { recursive: true })
    return path.join(userHome, ...parts)
  }
  make('projects', 'app')
  make('nanoclaw', 'data')
  const allowlistFile = path.join(make('.config', 'nanoclaw'), 'mount-allowlist.json')
  writeFileSync(allowlistFile, typeof list === 'string' ? list : JSON.stringify(list))
  const { uid, gid } = statSync(userHome)
  const rules: MountRules = { allowlistFile, userHome, own: [path.join(userHome, 'nanoclaw')], uid, gid }
  const judgeAll = (wishes: ExtraMount[], who = { isMain: true }) => judgeMounts(wishes, who, rules)
  const judge = async (wish: ExtraMount, who = { isMain: true }) => (await judgeAll([wish], who))[0] ?? assert.fail()
  const why = async (hostPath: string, wish: Partial<ExtraMount> = {}) => {
    const verdict = await judge({ hostPath, ...wish })
    return verdict.type === 'refused' ? verdict.why : `allowed as ${verdict.target}`
  }
  const allowed = async (wish: ExtraMount, who = { isMain: true }): Promise<AllowedMount> => {
    const verdict = await judge(wish, who)
    return verdict.type === 'allowed' ? verdict : assert.fail(verdict.why)
  }
  return { userHome, make, rules, judgeAll, allowed, why }
}

test('a folder below an allowed root is mounted read-only under its own name', async (t) => {
  const { allowed, userHome } = home(t)
  const app = path.join(userHome, 'projects', 'app')
  const { ino, dev } = statSync(app, { bigint: true })
  assert.deepEqual(await allowed({ hostPath: '~/projects/app' }), {
    type: 'allowed',
    source: app,
    target: '/workspace/extra/app',
    readonly: true,
    identity: { dev: String(dev), ino: String(ino) },
  })
})

test('writing takes the wish, the root, and main where the list says so', async (t) => {
  const list = (extra: object) => ({ allowedRoots: [{ path: '~/projects', allowReadWrite: true }], ...extra })
  const wish = { hostPath: '~/projects/app', readonly: false }
  const plain = home(t, list({}))
  assert.equal((await plain.allowed(wish)).readonly, false)
  assert.deepEqual(
    [(await plain.allowed(wish, { isMain: false })).readonly, (await plain.allowed(wish, { isMain: false })).note],
    [true, 'groups other than main read only'],
  )
  const open = home(t, list({ nonMainReadOnly: false }))
  assert.equal((await open.allowed(wish, { isMain: false })).readonly, false)
  const closed = home(t, { allowedRoots: [{ path: '~/projects' }] })
  assert.equal((await closed.allowed(wish)).note, 'writing is not allowed below ~/projects')
})

test('without an allowlist, or with a broken one, nothing is mounted and it is said why', async (t) => {
  const none = home(t)
  assert.match(
    (await judgeMounts([{ hostPath: '~/projects/app' }], { isMain: true }, { ...none.rules, allowlistFile: '/none' }))
      .map((verdict) => (verdict.type === 'refused' ? verdict.why : ''))
      .join(),
    /no allowlist/,
  )
  assert.match(await home(t, '{"allowedRoots": [').why('~/projects/app'), /cannot be used/)
  assert.match(await home(t, { allowedRoots: 'all' }).why('~/projects/app'), /allowedRoots/)
  assert.match(await home(t, { allowedRoots: [{ path: '' }] }).why('~/projects/app'), /cannot be used.*allowedRoots\.0\.path/)
  assert.match(
    await home(t, { allowedRoots: [], blockedPatterns: [''] }).why('~/projects/app'),
    /cannot be used.*blockedPatterns\.0/,
  )
})

test('an allowlist that is missing is told from one that cannot be read', (t) => {
  const { rules } = home(t)
  const missing = readAllowlist('/none')
  assert.ok(missing.type === 'unusable' && missing.missing)
  writeFileSync(rules.allowlistFile, '{')
  const broken = readAllowlist(rules.allowlistFile)
  assert.ok(broken.type === 'unusable' && !broken.missing)
  writeFileSync(rules.allowlistFile, '{"allowedRoots":[{"path":"/a"}]}')
  const list = { allowedRoots: [{ path: '/a', allowReadWrite: false }], blockedPatterns: [], nonMainReadOnly: true }
  assert.deepEqual(readAllowlist(rules.allowlistFile), { type: 'read', list })
})

test('an edit of the allowlist takes effect at once', async (t) => {
  const { why, rules } = home(t)
  assert.match(await why('~/projects/app'), /^allowed/)
  writeFileSync(rules.allowlistFile, JSON.stringify({ allowedRoots: [] }))
  assert.match(await why('~/projects/app'), /no allowed root/)
})

test('the names that are promised to be blocked are', () => {
  const promised =
    '.ssh .gnupg .gpg .aws .azure .gcloud .kube .docker credentials .env .netrc .npmrc .pypirc id_rsa id_ed25519 private_key .secret'
  assert.deepEqual([...ALWAYS_BLOCKED].sort(), promised.split(' ').sort())
})

test('every blocked name is refused anywhere in the path, in any case and with any suffix', async (t) => {
  const { make, why } = home(t)
  for (const name of ALWAYS_BLOCKED) {
    for (const written of [name, name.toUpperCase(), `${name}.old`]) {
      make('projects', 'p', written, 'deep')
      assert.match(await why(`~/projects/p/${written}/deep`), /is never mounted/, written)
    }
  }
})

test('a name that only looks like a blocked one is not', async (t) => {
  const { make, why } = home(t)
  for (const name of ['credentials-app', 'id_rsa2', 'ssh', 'my.ssh']) {
    make('projects', name)
    assert.match(await why(`~/projects/${name}`), /^allowed/, name)
  }
})

test('a blocked name in other characters that mean the same is refused', async (t) => {
  const { make, why } = home(t)
  make('projects', 'ｉｄ＿ｒｓａ')
  assert.match(await why('~/projects/ｉｄ＿ｒｓａ', { containerPath: 'x' }), /is never mounted/)
})

test('a link with a blocked name is refused, whatever it leads to', async (t) => {
  const { why, userHome } = home(t)
  symlinkSync(path.join(userHome, 'projects', 'app'), path.join(userHome, 'projects', '.ssh'))
  assert.match(await why('~/projects/.ssh', { containerPath: 'x' }), /^"\.ssh" is never mounted$/)
})

test('a folder with something blocked near its top is refused, and what it is is named', async (t) => {
  const { make, why, userHome } = home(t)
  make('projects', 'secretive', 'a', 'b')
  assert.match(await why('~/projects/secretive'), /^allowed/)
  writeFileSync(path.join(userHome, 'projects', 'secretive', 'a', '.env.local'), '')
  assert.match(await why('~/projects/secretive'), /\.env\.local is never mounted/)
})

test('a folder is searched to its third level, for files and for folders', async (t) => {
  const { make, why, userHome } = home(t)
  const levels = ['one', 'two', 'three', 'four']
  make('projects', 'deep', ...levels)
  for (const [at, kind] of levels.flatMap((_, n) => [[n, 'file'] as const, [n, 'folder'] as const])) {
    const found = path.join(userHome, 'projects', 'deep', ...levels.slice(0, at), '.ssh')
    if (kind === 'file') writeFileSync(found, '')
    else mkdirSync(found)
    const refused = `${found} is never mounted; mount a folder that has none of it in it, or move it away`
    assert.equal(await why('~/projects/deep'), at < 3 ? refused : 'allowed as /workspace/extra/deep')
    rmSync(found, { recursive: true })
  }
})

test('a folder with more entries than are searched is refused', async (t) => {
  const { make, userHome } = home(t)
  const source = path.join(userHome, 'projects', 'app')
  make('projects', 'app', 'below')
  for (const name of ['a', 'b']) writeFileSync(path.join(source, 'below', name), '')
  const find = (maxEntries: number) => findBlocked({ source, blocked: ['.ssh'], maxEntries })
  assert.equal(await find(3), undefined)
  assert.equal(await find(2), 'there is too much in it to look for what must not be mounted')
  assert.equal(await find(0), 'there is too much in it to look for what must not be mounted')
})

test('patterns of the list block as well', async (t) => {
  const { make, why } = home(t, { allowedRoots: [{ path: '~/projects' }], blockedPatterns: ['Taxes'] })
  make('projects', 'taxes', '2026')
  assert.match(await why('~/projects/taxes/2026'), /never mounted/)
})

test('a link counts as what it leads to', async (t) => {
  const { make, why, userHome } = home(t)
  const outside = make('private')
  symlinkSync(outside, path.join(userHome, 'projects', 'inside'))
  assert.match(await why('~/projects/inside'), /no allowed root/)
  make('.ssh')
  symlinkSync(path.join(userHome, '.ssh'), path.join(userHome, 'projects', 'keys'))
  assert.match(await why('~/projects/keys'), /"\.ssh" is never mounted/)
})

test('roots are compared part by part, and paths without their dots', async (t) => {
  const { make, why } = home(t)
  make('projects-of-others')
  assert.match(await why('~/projects-of-others'), /no allowed root/)
  assert.match(await why('~/projects/../projects-of-others'), /no allowed root/)
  assert.match(await why('projects/app'), /absolute/)
  assert.match(await why('~/projects/none'), /no such folder/)
  assert.match(await why('~/projects/app\n'), /absolute|no name/)
})

test('what the system or NanoClaw itself needs is never mounted, nor what lies above it', async (t) => {
  const { why, make, userHome } = home(t, { allowedRoots: [{ path: '/' }] })
  for (const place of ['/', '/etc', '/etc/hosts', '/dev', '/proc', '/proc/1', '/var/lib', '/run', '/sys'])
    assert.match(await why(place, { containerPath: 'x' }), /system/, place)
  make('nanoclaw', 'groups', 'main')
  assert.match(await why('~/nanoclaw/groups/main'), /NanoClaw itself/)
  assert.match(await why('~', { containerPath: 'home' }), /NanoClaw itself/)
  assert.match(await why(path.dirname(userHome), { containerPath: 'x' }), /NanoClaw itself/)
  assert.match(await why('~/.config', { containerPath: 'x' }), /NanoClaw itself/)
})

test('a folder of the system that the home lies in is not closed for that alone', async (t) => {
  const { rules } = home(t, { allowedRoots: [{ path: '/etc' }] })
  const judge = async (userHome: string) => {
    const [verdict] = await judgeMounts([{ hostPath: '/etc/hosts' }], { isMain: true }, { ...rules, userHome })
    return verdict?.type === 'refused' ? verdict.why : verdict?.type
  }
  assert.equal(await judge('/etc'), 'allowed')
  assert.equal(await judge(rules.userHome), '/etc belongs to the system')
})

test('a folder that holds the home is refused, wherever the allowlist and the installation are', async (t) => {
  const { rules } = home(t)
  const allowlistFile = path.join(temporaryFolder(t), 'allowlist.json')
  writeFileSync(allowlistFile, JSON.stringify({ allowedRoots: [{ path: '/' }] }))
  const why = async (hostPath: string) => {
    const wish = { hostPath, containerPath: 'x' }
    const [verdict] = await judgeMounts([wish], { isMain: true }, { ...rules, allowlistFile, own: [] })
    return verdict?.type === 'refused' ? verdict.why : verdict?.type
  }
  const real = realpathSync(rules.userHome)
  assert.equal(await why('~'), `it holds the home folder ${real}`)
  assert.equal(await why(path.dirname(rules.userHome)), `it holds the home folder ${real}`)
  assert.equal(await why('~/projects'), 'allowed')
})

test('a single file is mounted, and a pipe is not', async (t) => {
  const { why, userHome } = home(t)
  writeFileSync(path.join(userHome, 'projects', 'notes.md'), '')
  assert.match(await why('~/projects/notes.md'), /^allowed as \/workspace\/extra\/notes\.md$/)
  execFileSync('mkfifo', [path.join(userHome, 'projects', 'pipe')])
  assert.match(await why('~/projects/pipe'), /no such folder/)
})

test('a path with ~ begins at the home, and one with the name of another user does not', () => {
  assert.equal(expanded('~', '/home/ann'), '/home/ann')
  assert.equal(expanded('~/a/../b', '/home/ann'), '/home/ann/b')
  assert.equal(expanded('~bob/a', '/home/ann'), '~bob/a')
  assert.equal(expanded('/x/./y', '/home/ann'), '/x/y')
})

test('a folder that somebody else could exchange is refused', async (t) => {
  const { make, why } = home(t)
  const shared = make('projects', 'shared')
  make('projects', 'shared', 'app')
  chmodSync(shared, 0o777)
  assert.match(await why('~/projects/shared/app'), /others can write/)
  chmodSync(shared, 0o1777)
  assert.match(await why('~/projects/shared/app'), /^allowed/, 'as in /tmp, nobody can touch what is ours')
  chmodSync(shared, 0o775)
  assert.match(await why('~/projects/shared/app'), /^allowed/, 'our own group is not somebody else')
})

const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can give a folder to somebody else' }

test('a folder below one of somebody else, or of a group of others, is refused', onlyRoot, async (t) => {
  const { make, why, userHome } = home(t)
  const shared = make('projects', 'shared')
  make('projects', 'shared', 'app')
  chownSync(shared, 4711, 4711)
  assert.match(await why('~/projects/shared/app'), /belongs to somebody else/)
  chownSync(shared, statSync(userHome).uid, 4711)
  chmodSync(shared, 0o775)
  assert.match(await why('~/projects/shared/app'), /others can write/)
  chmodSync(shared, 0o755)
  assert.match(await why('~/projects/shared/app'), /^allowed/, 'the group of others may only look')
})

test('a folder of somebody else is refused although the folder above it is sticky', onlyRoot, async (t) => {
  const { make, why } = home(t)
  chmodSync(make('projects', 'shared'), 0o1777)
  chownSync(make('projects', 'shared', 'app'), 4711, 4711)
  assert.match(await why('~/projects/shared/app'), /others can write/)
})

test('a name in the container is one plain part, and each only once', async (t) => {
  const { why, make, judgeAll } = home(t)
  for (const containerPath of ['../group', '/etc', 'a/b', '.', '..', '', '.claude', 'a\0', 'ä'])
    assert.match(await why('~/projects/app', { containerPath }), /is no name/, containerPath)
  for (const containerPath of ['a', '_', '9', 'A.b-c_d', 'a'.repeat(64)])
    assert.equal(await why('~/projects/app', { containerPath }), `allowed as /workspace/extra/${containerPath}`)
  for (const containerPath of ['a'.repeat(65), '-a', 'a b'])
    assert.match(await why('~/projects/app', { containerPath }), /is no name/)
  const again = await judgeAll([
    { hostPath: '~/projects/none', containerPath: 'same' },
    { hostPath: '~/projects/app', containerPath: 'same' },
  ])
  assert.deepEqual(
    again.map(({ type }) => type),
    ['refused', 'allowed'],
    'what is refused takes no name',
  )
  make('projects', 'other')
  const two = await judgeAll([
    { hostPath: '~/projects/app', containerPath: 'Same' },
    { hostPath: '~/projects/other', containerPath: 'same' },
  ])
  assert.deepEqual(
    two.map(({ type }) => type),
    ['allowed', 'refused'],
  )
})

test('whatever a folder is exchanged for while it is judged, the identity is of a folder that may be mounted', async (t) => {
  const { make, judgeAll, userHome } = home(t)
  const [app, secret, link] = [make('projects', 'swapped'), make('.ssh'), path.join(userHome, 'projects', 'link')]
  symlinkSync(secret, link)
  const { ino } = statSync(app)
  const seen = new Set<string | undefined>()
  for (let n = 0; n < 100; n++) {
    const judged = judgeAll([{ hostPath: '~/projects/swapped' }])
    // At another moment each time; in some rounds only when all was judged.
    for (let round = n % 8; round > 0; round--) await new Promise((resolve) => setImmediate(resolve))
    if (n % 8 === 7) await judged
    renameSync(app, `${app}-away`)
    renameSync(link, app)
    const [verdict] = await judged
    seen.add(verdict?.type)
    if (verdict?.type === 'allowed') assert.equal(verdict.identity.ino, String(ino))
    renameSync(app, link)
    renameSync(`${app}-away`, app)
  }
  assert.ok(seen.has('allowed'))
})

test('an agent is told what it has, what it does not have, and why', async (t) => {
  const { judgeAll } = home(t)
  const wishes = [{ hostPath: '~/projects/app', readonly: false }, { hostPath: '~/projects/none' }]
  assert.deepEqual(
    mountsText(await judgeAll(wishes, { isMain: false }))
      ?.split('\n')
      .slice(1, -1),
    [
      '- /workspace/extra/app (read-only: groups other than main read only)',
      '- ~/projects/none is not mounted: there is no such folder.',
    ],
  )
  assert.equal(mountsText([]), undefined)
  assert.equal(
    mountsText(await judgeAll([{ hostPath: '~/projects/app', readonly: false }])),
    '<mounts>\n- /workspace/extra/app (read-write)\n</mounts>',
  )
  assert.match(mountsText(await judgeAll([{ hostPath: '~/projects/app' }])) ?? '', /^- \/workspace\/extra\/app \(read-only\)$/m)
})

test('a stamp of the allowlist changes with it', (t) => {
  const { rules } = home(t)
  const before = allowlistStamp(rules.allowlistFile)
  assert.equal(allowlistStamp(rules.allowlistFile), before)
  writeFileSync(rules.allowlistFile, '{}')
  assert.notEqual(allowlistStamp(rules.allowlistFile), before)
  assert.equal(allowlistStamp('/none'), 'none')
})

test('no folder stays open after it was judged', { skip: noOpenFiles }, async (t) => {
  const { judgeAll, userHome } = home(t)
  writeFileSync(path.join(userHome, 'projects', 'app', '.env'), '')
  await judgeAll([
    { hostPath: '~/projects' },
    { hostPath: '~/projects/app' },
    { hostPath: '~/nanoclaw' },
    { hostPath: '~/projects/none' },
  ])
  assert.deepEqual(openFilesIn(realpathSync(userHome)), [])
})

/** Judges a folder with a key in it, with so many descriptors left. */
const STARVED = `
  import { closeSync, openSync } from 'node:fs'
  import { judgeMounts } from ${JSON.stringify(path.join(import.meta.dirname, 'mount-security.ts'))}
  const [rules, hostPath, most] = JSON.parse(process.argv[1])
  const said = []
  for (let free = 0; free <= most; free++) {
    const held = []
    try {
      for (;;) held.push(openSync('/dev/null', 'r'))
    } catch {}
    for (const one of held.splice(0, free)) closeSync(one)
    said.push(await judgeMounts([{ hostPath }], { isMain: true }, rules).then(([{ type, why }]) => type + ': ' + why, ({ code }) => code))
    for (const one of held) closeSync(one)
  }
  console.log(JSON.stringify(said))
`

test('a folder that could not be looked through for want of descriptors is neither allowed nor refused', (t) => {
  const { userHome, rules, make } = home(t)
  writeFileSync(path.join(make('projects', 'app', 'below'), 'id_rsa'), 'a key')
  const hostPath = path.join(userHome, 'projects', 'app')
  const args = ['--input-type=module', '-e', STARVED, JSON.stringify([rules, hostPath, 5])]
  const command = ['-c', 'ulimit -n 60 && exec "$0" "$@"', process.execPath, ...args]
  const { stdout, stderr } = spawnSync('sh', command, { encoding: 'utf8' })
  const said: string[] = JSON.parse(stdout || assert.fail(stderr))
  t.diagnostic(stdout)
  assert.ok(said.includes('host.failed'))
  const others = said.filter((one) => one !== 'host.failed')
  assert.ok(others.length > 0 && others.every((one) => one.includes('id_rsa is never mounted')), stdout)
})
