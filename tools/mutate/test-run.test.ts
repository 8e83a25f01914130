import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { until } from '../../test/fakes/patience.ts'
import { smallProject } from './small-project.ts'
import { runTestFile } from './test-run.ts'

const LONG_MS = 600_000
const { NODE_TEST_CONTEXT: _, ...ENV } = process.env
const NEVER = new AbortController().signal
const TESTS = {
  'green.test.ts':
    "import { test } from 'node:test'\ntest('fine', () => {})\ntest('later', { todo: true }, () => { throw new Error('no') })\n",
  'red.test.ts': `import { suite, test } from 'node:test'
suite('outer', () => {
  test('fine', () => {})
  test('is wrong', () => { throw new Error('no') })
})
test('never ends', () => new Promise((resolve) => setTimeout(resolve, ${LONG_MS})))
`,
  'two.test.ts': `import fs from 'node:fs'
import { test } from 'node:test'
const name = process.env.NAME
test('red', () => { throw new Error('no') })
test('later', async () => {
  fs.writeFileSync(name + '-red', '')
  while (!fs.existsSync(name + '-go')) await new Promise((resolve) => setTimeout(resolve, 20))
  fs.writeFileSync(name + '-done', '')
})
`,
  'crash.test.ts': "throw new RangeError('not even loaded')\n",
  'hang.test.ts': `import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
const child = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
writeFileSync('child', String(child.pid))
setInterval(() => {}, 1000)
`,
}

test('a test file is green, red by its first failure at once, or red by what stops it from loading', async (t) => {
  const project = smallProject(t, TESTS)
  const run = (file: string) => runTestFile({ file, project, env: ENV, limitMs: LONG_MS, signal: NEVER })
  assert.deepEqual(await run('green.test.ts'), { end: 'green' })
  assert.deepEqual(await run('red.test.ts'), { end: 'red', name: 'is wrong' })
  assert.deepEqual(await run('crash.test.ts'), { end: 'red', name: 'RangeError: not even loaded' })
})

test('a red test file ends soon, unless it is to go on', async (t) => {
  const project = smallProject(t, TESTS)
  const run = { file: 'two.test.ts', project, limitMs: LONG_MS, signal: NEVER }
  const inProject = (name: string) => path.join(project, name)
  const going = runTestFile({ ...run, env: { ...ENV, NAME: 'going' }, goesOn: true })
  await until(() => existsSync(inProject('going-red')), 'one file is red')
  assert.deepEqual(await runTestFile({ ...run, env: { ...ENV, NAME: 'ending' } }), { end: 'red', name: 'red' })
  for (const name of ['going', 'ending']) writeFileSync(inProject(`${name}-go`), '')
  assert.deepEqual(await going, { end: 'red', name: 'red' })
  assert.deepEqual([existsSync(inProject('going-done')), existsSync(inProject('ending-done'))], [true, false])
})

test('a test file that goes on for too long is ended with what it started, and so is one that nobody waits for any more', async (t) => {
  for (const isStopped of [false, true]) {
    const project = smallProject(t, TESTS)
    const pidFile = path.join(project, 'child')
    const stop = new AbortController()
    const limitMs = isStopped ? LONG_MS : 3_000
    const running = runTestFile({ file: 'hang.test.ts', project, env: ENV, limitMs, signal: stop.signal }).catch((error) => error)
    const started = () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== ''
    await until(started, 'the test file starts its program')
    const pid = Number(readFileSync(pidFile, 'utf8'))
    if (isStopped) stop.abort(new Error('enough'))
    assert.deepEqual(await running, isStopped ? new Error('enough') : { end: 'hang' })
    await until(() => !isAlive(pid), 'the program that it started is gone')
  }
})

/** A zombie, which nobody has reaped yet, is dead. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
