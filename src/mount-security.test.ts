import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import type { ExtraMount } from './domain/group.ts'
import { ALWAYS_BLOCKED, type AllowedMount, allowlistStamp, judgeMounts, type MountRules, mountsText } from './mount-security.ts'

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
  make('projects', 'credentials-app')
  assert.match(await why('~/projects/credentials-app'), /^allowed/)
})

test('a folder with something blocked near its top is refused, and what it is is named', async (t) => {
  const { make, why, userHome } = home(t)
  make('projects', 'secretive', 'a', 'b')
  assert.match(await why('~/projects/secretive'), /^allowed/)
  writeFileSync(path.join(userHome, 'projects', 'secretive', 'a', '.env.local'), '')
  assert.match(await why('~/projects/secretive'), /\.env\.local is never mounted/)
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
  for (const place of ['/', '/etc', '/proc/1', '/var/lib', '/run'])
    assert.match(await why(place, { containerPath: 'x' }), /system/, place)
  make('nanoclaw', 'groups', 'main')
  assert.match(await why('~/nanoclaw/groups/main'), /NanoClaw itself/)
  assert.match(await why('~', { containerPath: 'home' }), /NanoClaw itself/)
  assert.match(await why(path.dirname(userHome), { containerPath: 'x' }), /NanoClaw itself/)
  assert.match(await why('~/.config', { containerPath: 'x' }), /NanoClaw itself/)
})

test('a folder that somebody else could exchange is refused', async (t) => {
  const { make, why } = home(t)
  const shared = make('projects', 'shared')
  make('projects', 'shared', 'app')
  chmodSync(shared, 0o777)
  assert.match(await why('~/projects/shared/app'), /others can write/)
  chmodSync(shared, 0o1777)
  assert.match(await why('~/projects/shared/app'), /^allowed/, 'as in /tmp, nobody can touch what is ours')
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
})

test('a name in the container is one plain part, and each only once', async (t) => {
  const { why, make, judgeAll } = home(t)
  for (const containerPath of ['../group', '/etc', 'a/b', '.', '..', '', '.claude', 'a\0', 'ä'])
    assert.match(await why('~/projects/app', { containerPath }), /is no name/, containerPath)
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
  for (let n = 0; n < 100; n++) {
    const judged = judgeAll([{ hostPath: '~/projects/swapped' }])
    await new Promise((resolve) => setImmediate(resolve))
    renameSync(app, `${app}-away`)
    renameSync(link, app)
    const [verdict] = await judged
    if (verdict?.type === 'allowed') assert.equal(verdict.identity.ino, String(ino))
    renameSync(app, link)
    renameSync(`${app}-away`, app)
  }
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
})

test('a stamp of the allowlist changes with it', (t) => {
  const { rules } = home(t)
  const before = allowlistStamp(rules.allowlistFile)
  assert.equal(allowlistStamp(rules.allowlistFile), before)
  writeFileSync(rules.allowlistFile, '{}')
  assert.notEqual(allowlistStamp(rules.allowlistFile), before)
  assert.equal(allowlistStamp('/none'), 'none')
})
