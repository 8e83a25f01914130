import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { installId, preparePrivateFolder, prepareRoot, projectEntries, refuseHalfRestored, restoreMark } from './project.ts'

const owner = { uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 }

/** A project with these files, and what else makes it one. */
function project(t: TestContext, files: readonly string[]) {
  const folder = temporaryFolder(t)
  const at = (...parts: string[]) => path.join(folder, ...parts)
  for (const file of files) {
    mkdirSync(path.dirname(at(file)), { recursive: true })
    writeFileSync(at(file), `the ${file}`)
  }
  return { folder, at }
}

const FILES = ['src/a.ts', 'README.md', '.env', '.github/x', 'groups/main/CLAUDE.md', 'mine/secret']

test('main reads what git tracks, without dotfiles, groups, links and removed files', (t) => {
  const { folder, at } = project(t, [...FILES, 'gone.md'])
  symlinkSync('/etc', at('link'))
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args])
  git('init', '-q')
  git('add', '-f', 'src', 'README.md', '.env', '.github', 'groups', 'link', 'gone.md')
  git('commit', '-qm', 'x')
  execFileSync('rm', [at('gone.md')])
  assert.deepEqual(projectEntries(folder), ['README.md', 'src'])
})

test('without git, main reads the files that package.json lists', (t) => {
  const { folder, at } = project(t, FILES)
  const listing = (files: unknown) => {
    writeFileSync(at('package.json'), JSON.stringify({ files }))
    return projectEntries(folder)
  }
  assert.deepEqual(listing(['src', 'README.md', '.env', 'groups', 'missing']), ['src', 'README.md'])
  for (const none of [undefined, 'src', {}]) assert.deepEqual(listing(none), [])
})

test('the install id is made once, and only its owner can read it', (t) => {
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, 'data'))
  const id = installId(root)
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.equal(installId(root), id)
  assert.equal(statSync(path.join(root, 'data', 'install-id')).mode & 0o777, 0o600)
  writeFileSync(path.join(root, 'data', 'install-id'), 'theirs\n')
  assert.equal(installId(root), 'theirs')
})

test('only its owner can open a socket folder, and a folder open to others is refused', (t) => {
  const folder = path.join(temporaryFolder(t), 'run')
  preparePrivateFolder(folder)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  preparePrivateFolder(folder)
  for (const mode of [0o701, 0o710, 0o770]) {
    chmodSync(folder, mode)
    assert.throws(() => preparePrivateFolder(folder), { code: 'socket.unsafe', fault: 'user' }, mode.toString(8))
  }
})

const skip = process.getuid?.() !== 0 && 'only root can give a folder away'

test('a socket folder that belongs to somebody else is refused', { skip }, (t) => {
  const folder = path.join(temporaryFolder(t), 'run')
  preparePrivateFolder(folder)
  execFileSync('chown', ['1000', folder])
  assert.throws(() => preparePrivateFolder(folder), { code: 'socket.unsafe' })
})

/** A new root, of a project with memory files. */
function rooted(t: TestContext) {
  const { folder } = project(t, ['groups/main/CLAUDE.md', 'groups/global/CLAUDE.md'])
  const root = path.join(temporaryFolder(t), 'root')
  const at = (...parts: string[]) => path.join(root, ...parts)
  return { root, at, prepare: () => prepareRoot({ root, project: folder, owner }) }
}

test('prepareRoot makes the folders and memory files once, and keeps edited memory', (t) => {
  const { at, prepare } = rooted(t)
  prepare()
  for (const name of ['data', 'store', 'logs', 'groups/main', 'groups/global']) assert.ok(statSync(at(name)).isDirectory(), name)
  const memory = (group: string) => readFileSync(at('groups', group, 'CLAUDE.md'), 'utf8')
  assert.deepEqual([memory('main'), memory('global')], ['the groups/main/CLAUDE.md', 'the groups/global/CLAUDE.md'])
  assert.equal(statSync(at('groups', 'main', 'CLAUDE.md')).mode & 0o777, 0o644)
  writeFileSync(at('groups', 'main', 'CLAUDE.md'), 'mine')
  prepare()
  assert.equal(memory('main'), 'mine')
})

test('memory that a crash left unwritten is written, and removed memory stays removed', (t) => {
  const { at, prepare } = rooted(t)
  for (const group of ['main', 'global']) mkdirSync(at('groups', group), { recursive: true })
  writeFileSync(at('groups', 'main', 'CLAUDE.md.tmp-0123'), 'half')
  writeFileSync(at('groups', 'global', 'notes.md'), 'mine')
  prepare()
  assert.ok(existsSync(at('groups', 'main', 'CLAUDE.md')))
  assert.ok(!existsSync(at('groups', 'global', 'CLAUDE.md')))
})

test('a link in the place of a group is left alone, and the other groups are still made', (t) => {
  const { at, prepare } = rooted(t)
  const elsewhere = temporaryFolder(t)
  mkdirSync(at('groups'), { recursive: true })
  symlinkSync(elsewhere, at('groups', 'main'))
  prepare()
  assert.ok(lstatSync(at('groups', 'main')).isSymbolicLink())
  assert.ok(!existsSync(path.join(elsewhere, 'CLAUDE.md')))
  assert.ok(existsSync(at('groups', 'global', 'CLAUDE.md')))
})

test('a root with an unfinished restore is refused, and the error names the former state', (t) => {
  const root = temporaryFolder(t)
  refuseHalfRestored(root)
  mkdirSync(path.join(root, 'data'))
  writeFileSync(restoreMark(root), '/kept/here\n')
  assert.throws(() => refuseHalfRestored(root), { code: 'restore.unfinished', message: /is in \/kept\/here\.$/ })
})
