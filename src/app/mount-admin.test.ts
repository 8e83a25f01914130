import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import type { Group } from '../domain/group.ts'
import { MountAdmin, mountList } from './mount-admin.ts'

/** A home of a person without an allowlist, or with this one. */
function home(t: TestContext, list?: string) {
  const userHome = path.join(temporaryFolder(t), 'ann')
  mkdirSync(path.join(userHome, 'projects', 'app'), { recursive: true })
  const allowlistFile = path.join(userHome, '.config', 'nanoclaw', 'mount-allowlist.json')
  if (list !== undefined) {
    mkdirSync(path.dirname(allowlistFile), { recursive: true })
    writeFileSync(allowlistFile, list)
  }
  const { uid, gid } = statSync(userHome)
  const rules = { allowlistFile, userHome, own: [], uid, gid }
  const read = () => JSON.parse(readFileSync(allowlistFile, 'utf8'))
  return { userHome, allowlistFile, rules, read, admin: new MountAdmin(rules) }
}

const root = (at: string, allowReadWrite = false) => ({ path: at, allowReadWrite })
const group = (folder: string, hostPaths: string[]): Group => ({
  ...{ folder, name: folder, isMain: false },
  config: hostPaths.length > 0 ? { additionalMounts: hostPaths.map((hostPath) => ({ hostPath })) } : {},
})

test('the first root makes an allowlist that nobody else can read, and the next one is added', (t) => {
  const { admin, read, allowlistFile } = home(t)
  const made = admin.allow({ path: '~/projects', readWrite: false })
  assert.deepEqual([made.type, made.type === 'done' && made.notes.length], ['done', 1])
  assert.match(made.type === 'done' ? made.text : made.why, /^Folders below ~\/projects may be mounted, to be read\.$/)
  assert.equal(statSync(allowlistFile).mode & 0o777, 0o600)
  assert.equal(statSync(path.dirname(allowlistFile)).mode & 0o777, 0o700)
  admin.allow({ path: '/srv/music', readWrite: false, description: 'songs' })
  const roots = [root('~/projects'), { ...root('/srv/music'), description: 'songs' }]
  assert.deepEqual(read(), { allowedRoots: roots, blockedPatterns: [], nonMainReadOnly: true })
})

test('a root that is allowed again is allowed in the new way, however it is written', (t) => {
  const { admin, read, userHome } = home(t, JSON.stringify({ allowedRoots: [root('~/projects'), root('/srv')] }))
  const changed = admin.allow({ path: path.join(userHome, 'projects'), readWrite: true })
  assert.match(changed.type === 'done' ? changed.text : changed.why, /for writing too/)
  assert.deepEqual(read().allowedRoots, [root('/srv'), root(path.join(userHome, 'projects'), true)])
})

test('who allows writing is told where groups other than main may only read', (t) => {
  const notes = (nonMainReadOnly: boolean, readWrite: boolean) => {
    const { admin } = home(t, JSON.stringify({ allowedRoots: [], nonMainReadOnly }))
    const made = admin.allow({ path: '/srv', readWrite })
    return made.type === 'done' ? made.notes.filter((note) => note.includes('read only')).length : assert.fail(made.why)
  }
  assert.deepEqual([notes(true, true), notes(true, false), notes(false, true), notes(false, false)], [1, 0, 0, 0])
})

test('a root that is no absolute path is refused, and so is every change of a list that cannot be read', (t) => {
  const { admin, read } = home(t, JSON.stringify({ allowedRoots: [] }))
  const refused = admin.allow({ path: 'projects', readWrite: false })
  assert.match(refused.type === 'refused' ? refused.why : '', /must be an absolute path, or start with ~\//)
  assert.deepEqual(read().allowedRoots, [])
  const torn = home(t, '{"allowedRoots":')
  for (const change of [torn.admin.allow({ path: '/srv', readWrite: false }), torn.admin.remove('/srv')])
    assert.match(change.type === 'refused' ? change.why : '', /^Nothing was changed: /)
  assert.equal(readFileSync(torn.allowlistFile, 'utf8'), '{"allowedRoots":')
})

test('a root is taken away however it is written, and one that is not there cannot be', (t) => {
  const { admin, read, userHome } = home(t, JSON.stringify({ allowedRoots: [root('~/projects'), root('/srv')] }))
  const removed = admin.remove(path.join(userHome, 'projects'))
  assert.match(removed.type === 'done' ? removed.text : removed.why, /^Nothing below .* is mounted any more/)
  assert.deepEqual(read().allowedRoots, [root('/srv')])
  const again = admin.remove('~/projects')
  assert.equal(again.type === 'refused' && again.why, '~/projects is not one of the allowed roots.')
})

test('the list shows the roots, and each group that wants something with what it gets', async (t) => {
  const { rules, userHome, allowlistFile } = home(t, JSON.stringify({ allowedRoots: [root('~/projects')] }))
  const list = await mountList([group('plain', []), group('app', ['~/projects/app', '/etc'])], rules)
  assert.deepEqual([list.allowlist, list.problem, list.roots], [allowlistFile, null, [root('~/projects')]])
  assert.deepEqual(
    list.groups.map(({ folder, mounts }) => [folder, mounts.map(({ type }) => type)]),
    [['app', ['allowed', 'refused']]],
  )
  const [allowed] = list.groups[0]?.mounts ?? []
  assert.equal(allowed?.type === 'allowed' && allowed.source, path.join(userHome, 'projects', 'app'))
})

test('a list that is missing or torn says so, and allows nothing', async (t) => {
  for (const text of [undefined, '{"allowedRoots":']) {
    const { rules } = home(t, text)
    const list = await mountList([group('app', ['~/projects/app'])], rules)
    assert.deepEqual([typeof list.problem, list.roots], ['string', []])
    assert.deepEqual(
      list.groups.flatMap(({ mounts }) => mounts.map(({ type }) => type)),
      ['refused'],
    )
  }
})
