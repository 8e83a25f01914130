import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import { changedSince, testsOfChange } from './changed.ts'

/** A project in git in which one test reaches `deep.ts` over two imports, and one reads a document. */
function project(t: TestContext) {
  const folder = temporaryFolder(t)
  const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: folder })
  const write = (file: string, text: string) => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    writeFileSync(path.join(folder, file), text)
  }
  write('src/deep.ts', 'export const deep = 1\n')
  write('src/middle.ts', "export { deep } from './deep.ts'\n")
  write('src/middle.test.ts', "import { deep } from './middle.ts'\n")
  write('src/other.test.ts', "import assert from 'node:assert'\n")
  write('test/docs.test.ts', "readFileSync('docs/guide.md')\n")
  write('docs/guide.md', '# Guide\n')
  git('init', '--quiet')
  git('add', '.')
  git('commit', '--quiet', '--message', 'first')
  return { folder, git, write }
}

const testsSince = (folder: string, ref: string) =>
  testsOfChange({ project: folder, changed: changedSince({ project: folder, ref }) })

test('a change leads to the tests that import it over other modules, and to no others', (t) => {
  const { folder, write } = project(t)
  assert.deepEqual(testsSince(folder, 'HEAD'), [])
  write('src/deep.ts', 'export const deep = 2\n')
  assert.deepEqual(testsSince(folder, 'HEAD'), ['src/middle.test.ts'])
})

test('a changed test leads to itself, also when git does not know it yet', (t) => {
  const { folder, write } = project(t)
  write('src/new.test.ts', '')
  assert.deepEqual(testsSince(folder, 'HEAD'), ['src/new.test.ts'])
})

test('what is no module leads to the tests that name it', (t) => {
  const { folder, write } = project(t)
  write('docs/guide.md', '# A better guide\n')
  assert.deepEqual(testsSince(folder, 'HEAD'), ['test/docs.test.ts'])
})

test('a commit that is named is what the change is measured from, and one that is not there is an error', (t) => {
  const { folder, write, git } = project(t)
  write('src/middle.ts', "export { deep } from './deep.ts' // again\n")
  git('commit', '--quiet', '--all', '--message', 'second')
  assert.deepEqual(testsSince(folder, 'HEAD'), [])
  assert.deepEqual(testsSince(folder, 'HEAD~1'), ['src/middle.test.ts'])
  assert.throws(() => changedSince({ project: folder, ref: 'nowhere' }))
})
