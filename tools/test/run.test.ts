import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { temporaryFolder } from '../../test/fakes/rooms.ts'

// A run of node:test inside a test would not run anything: the environment must not tell that this is one.
const { NODE_TEST_CONTEXT: _, ...env } = process.env
const WATCH = path.join(import.meta.dirname, 'watch.ts')
const PATIENCE = path.join(PROJECT, 'test/fakes/patience.ts')

function testFile(t: TestContext, text: string): string {
  const file = path.join(temporaryFolder(t), 'some.test.ts')
  writeFileSync(file, `import assert from 'node:assert'\nimport { test } from 'node:test'\n${text}`)
  return file
}

const node = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8', env })
const nanoclawTest = (file: string) => node(path.join(PROJECT, 'src/cli/main.ts'), 'test', file)

test('a run prints its tests and their counts, and its code tells whether all passed', (t) => {
  const green = nanoclawTest(testFile(t, "test('it holds', () => {})\n"))
  assert.match(green.stdout, /✔ it holds[\s\S]*tests 1\n[\s\S]*pass 1\n[\s\S]*fail 0\n/)
  assert.equal(green.status, 0, green.stdout)
  const red = nanoclawTest(testFile(t, "test('it holds', () => {})\ntest('it does not', () => assert.fail('because'))\n"))
  assert.match(red.stdout, /pass 1\n[\s\S]*fail 1\n[\s\S]*it does not[\s\S]*because[\s\S]*FAILED: 1 tests did not pass/)
  assert.equal(red.status, 1)
})

test('a file that cannot be loaded fails the run', (t) => {
  const { status, stdout } = nanoclawTest(testFile(t, "import './nowhere.ts'\n"))
  assert.equal(status, 1)
  assert.match(stdout, /nowhere/)
})

test('a process that is over its limit tells what it ran, what it waited for, and what it saw last', (t) => {
  const file = testFile(
    t,
    `import { until } from '${PATIENCE}'
     test('the guest arrives', () => until(() => false, 'somebody at the door', { seen: () => ({ cats: 2 }) }))\n`,
  )
  const limited = { ...env, NANOCLAW_TEST_LIMIT_MS: '500' }
  const { status, stderr } = spawnSync(process.execPath, ['--import', WATCH, file], { encoding: 'utf8', env: limited })
  assert.equal(status, 1)
  assert.match(stderr, /500 ms are over[\s\S]*the guest arrives \(for \d+ ms\)\n.*somebody at the door; seen last: \{"cats":2\}/)
})

test('a wait that comes to its own limit says what it waited for and what it saw last', (t) => {
  const file = testFile(
    t,
    `import { until } from '${PATIENCE}'
     test('the guest arrives', () => until(() => false, 'somebody', { seen: () => 'two cats', limitMs: 50 }))\n`,
  )
  const { status, stdout } = node(file)
  assert.equal(status, 1)
  assert.match(stdout, /after \d+ ms, still waiting for: somebody; seen last: two cats/)
})
