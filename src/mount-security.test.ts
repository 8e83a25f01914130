import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import type { ExtraMount } from './domain/group.ts'
import { ALWAYS_BLOCKED, type AllowedMount, judgeMounts, type MountRules } from './mount-security.ts'

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
  const judge = (wish: ExtraMount, who = { isMain: true }) => judgeAll([wish], who)[0] ?? assert.fail()
  const why = (hostPath: string, wish: Partial<ExtraMount> = {}) => {
    const verdict = judge({ hostPath, ...wish })
    return verdict.type === 'refused' ? verdict.why : `allowed as ${verdict.target}`
  }
  const allowed = (wish: ExtraMount, who = { isMain: true }): AllowedMount => {
    const verdict = judge(wish, who)
    return verdict.type === 'allowed' ? verdict : assert.fail(verdict.why)
  }
  return { userHome, make, rules, judgeAll, allowed, why }
}

test('a folder below an allowed root is mounted read-only under its own name', (t) => {
  const { allowed, userHome } = home(t)
  const app = path.join(userHome, 'projects', 'app')
  const { ino, dev } = statSync(app, { bigint: true })
  assert.deepEqual(allowed({ hostPath: '~/projects/app' }), {
    type: 'allowed',
    source: app,
    target: '/workspace/extra/app',
    readonly: true,
    identity: { dev: String(dev), ino: String(ino) },
  })
})

test('writing takes the wish, the root, and main where the list says so', (t) => {
  const list = (extra: object) => ({ allowedRoots: [{ path: '~/projects', allowReadWrite: true }], ...extra })
  const wish = { hostPath: '~/projects/app', readonly: false }
  const plain = home(t, list({}))
  assert.equal(plain.allowed(wish).readonly, false)
  assert.deepEqual(
    [plain.allowed(wish, { isMain: false }).readonly, plain.allowed(wish, { isMain: false }).note],
    [true, 'groups other than main read only'],
  )
  const open = home(t, list({ nonMainReadOnly: false }))
  assert.equal(open.allowed(wish, { isMain: false }).readonly, false)
  const closed = home(t, { allowedRoots: [{ path: '~/projects' }] })
  assert.equal(closed.allowed(wish).note, 'writing is not allowed below ~/projects')
})

test('without an allowlist, or with a broken one, nothing is mounted and it is said why', (t) => {
  const none = home(t)
  assert.match(
    judgeMounts([{ hostPath: '~/projects/app' }], { isMain: true }, { ...none.rules, allowlistFile: '/none' })
      .map((verdict) => (verdict.type === 'refused' ? verdict.why : ''))
      .join(),
    /no allowlist/,
  )
  assert.match(home(t, '{"allowedRoots": [').why('~/projects/app'), /cannot be used/)
  assert.match(home(t, { allowedRoots: 'all' }).why('~/projects/app'), /allowedRoots/)
})

test('an edit of the allowlist takes effect at once', (t) => {
  const { why, rules } = home(t)
  assert.match(why('~/projects/app'), /^allowed/)
  writeFileSync(rules.allowlistFile, JSON.stringify({ allowedRoots: [] }))
  assert.match(why('~/projects/app'), /no allowed root/)
})

test('every blocked name is refused anywhere in the path, in any case and with any suffix', (t) => {
  const { make, why } = home(t)
  for (const name of ALWAYS_BLOCKED) {
    for (const written of [name, name.toUpperCase(), `${name}.old`]) {
      make('projects', 'p', written, 'deep')
      assert.match(why(`~/projects/p/${written}/deep`), /is never mounted/, written)
    }
  }
})

test('a name that only looks like a blocked one is not', (t) => {
  const { make, why } = home(t)
  make('projects', 'credentials-app')
  assert.match(why('~/projects/credentials-app'), /^allowed/)
})

test('a folder with something blocked near its top is refused, and what it is is named', (t) => {
  const { make, why, userHome } = home(t)
  make('projects', 'secretive', 'a', 'b')
  assert.match(why('~/projects/secretive'), /^allowed/)
  writeFileSync(path.join(userHome, 'projects', 'secretive', 'a', '.env.local'), '')
  assert.match(why('~/projects/secretive'), /\.env\.local is never mounted/)
})

test('patterns of the list block as well', (t) => {
  const { make, why } = home(t, { allowedRoots: [{ path: '~/projects' }], blockedPatterns: ['Taxes'] })
  make('projects', 'taxes', '2026')
  assert.match(why('~/projects/taxes/2026'), /never mounted/)
})

test('a link counts as what it leads to', (t) => {
  const { make, why, userHome } = home(t)
  const outside = make('private')
  symlinkSync(outside, path.join(userHome, 'projects', 'inside'))
  assert.match(why('~/projects/inside'), /no allowed root/)
  make('.ssh')
  symlinkSync(path.join(userHome, '.ssh'), path.join(userHome, 'projects', 'keys'))
  assert.match(why('~/projects/keys'), /"\.ssh" is never mounted/)
})

test('roots are compared part by part, and paths without their dots', (t) => {
  const { make, why } = home(t)
  make('projects-of-others')
  assert.match(why('~/projects-of-others'), /no allowed root/)
  assert.match(why('~/projects/../projects-of-others'), /no allowed root/)
  assert.match(why('projects/app'), /absolute/)
  assert.match(why('~/projects/none'), /no such folder/)
  assert.match(why('~/projects/app\n'), /absolute|no name/)
})

test('what the system or NanoClaw itself needs is never mounted, nor what lies above it', (t) => {
  const { why, make, userHome } = home(t, { allowedRoots: [{ path: '/' }] })
  for (const place of ['/', '/etc', '/proc/1', '/var/lib', '/run'])
    assert.match(why(place, { containerPath: 'x' }), /system/, place)
  make('nanoclaw', 'groups', 'main')
  assert.match(why('~/nanoclaw/groups/main'), /NanoClaw itself/)
  assert.match(why('~', { containerPath: 'home' }), /NanoClaw itself/)
  assert.match(why(path.dirname(userHome), { containerPath: 'x' }), /NanoClaw itself/)
  assert.match(why('~/.config', { containerPath: 'x' }), /NanoClaw itself/)
})

test('a folder that somebody else could exchange is refused', (t) => {
  const { make, why } = home(t)
  const shared = make('projects', 'shared')
  make('projects', 'shared', 'app')
  chmodSync(shared, 0o777)
  assert.match(why('~/projects/shared/app'), /others can write/)
  chmodSync(shared, 0o1777)
  assert.match(why('~/projects/shared/app'), /^allowed/, 'as in /tmp, nobody can touch what is ours')
})

const onlyRoot = { skip: process.getuid?.() === 0 ? false : 'only root can give a folder to somebody else' }

test('a folder below one of somebody else, or of a group of others, is refused', onlyRoot, (t) => {
  const { make, why, userHome } = home(t)
  const shared = make('projects', 'shared')
  make('projects', 'shared', 'app')
  chownSync(shared, 4711, 4711)
  assert.match(why('~/projects/shared/app'), /belongs to somebody else/)
  chownSync(shared, statSync(userHome).uid, 4711)
  chmodSync(shared, 0o775)
  assert.match(why('~/projects/shared/app'), /others can write/)
})

test('a name in the container is one plain part, and each only once', (t) => {
  const { why, make, judgeAll } = home(t)
  for (const containerPath of ['../group', '/etc', 'a/b', '.', '..', '', '.claude', 'a\0', 'ä'])
    assert.match(why('~/projects/app', { containerPath }), /is no name/, containerPath)
  make('projects', 'other')
  const two = judgeAll([
    { hostPath: '~/projects/app', containerPath: 'Same' },
    { hostPath: '~/projects/other', containerPath: 'same' },
  ])
  assert.deepEqual(
    two.map(({ type }) => type),
    ['allowed', 'refused'],
  )
})
