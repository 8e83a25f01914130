import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { until } from '../../test/fakes/patience.ts'
import { containerTests } from './containers.ts'
import { isWanted } from './draw.ts'
import { EQUIVALENT } from './equivalent.ts'
import { mutate } from './mutate.ts'
import { projectFiles } from './project-copy.ts'
import { smallProject, writeAll } from './small-project.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')
/** Each line can be broken in one way only. */
const FILES = {
  'protocol/index.ts': 'export const LIMIT = 5\n',
  'src/limit.ts': `import { LIMIT } from '@nanoclaw/protocol'
export const FIRST: 1 = 1
export const UNTESTED = 7
export const PATIENCE = 0
export function isTooMany(n: number): boolean {
  return (
    n > LIMIT
  )
}
export function neverCalled(n: number): number[] {
  return [n]
}
`,
  'src/limit.test.ts': `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTooMany } from './limit.ts'
test('more than five are too many', () => assert.deepEqual([4, 5, 6].map(isTooMany), [false, false, true]))
`,
  'src/watched.ts': 'export const WATCHED = 3\n',
  'src/watched.test.ts': `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WATCHED } from './watched.ts'
test('has no coverage', () => assert.equal(process.env.NODE_V8_COVERAGE, undefined))
test('is three', () => assert.equal(WATCHED, 3))
`,
  'src/broken.test.ts':
    "import './limit.ts'\nimport { test } from 'node:test'\ntest('is red anyway', () => { throw new Error('no') })\n",
}
const ACCEPTED = [
  { file: 'src/limit.ts', line: 'export const PATIENCE = 0', change: '0 -> 1', reason: 'nobody minds' },
  { file: 'src/limit.ts', line: 'n > OTHER_LIMIT', change: '> -> >=', reason: 'of a line that is gone' },
]

function usual(project: string) {
  const cache = path.join(project, 'node_modules/cache')
  return { project, seed: 1, places: [], accepted: ACCEPTED, env: process.env, print: () => {}, say: () => {}, cache }
}

test('what types, tests and nobody see is told apart, in packages of the project too, and the project stays as it is', async (t) => {
  const project = smallProject(t, FILES)
  const lines: string[] = []
  // One worker judges them one after the other in the same copy.
  const result = await mutate({ ...usual(project), count: 100, workers: 1, print: (line) => lines.push(line) })
  assert.deepEqual(result.mutants.map(({ file, line, verdict }) => `${file}:${line} ${verdict.by}`).sort(), [
    'protocol/index.ts:1 test',
    'src/limit.ts:11 nobody',
    'src/limit.ts:2 types',
    'src/limit.ts:3 nobody',
    'src/limit.ts:4 equivalent',
    'src/limit.ts:6 test',
    'src/limit.ts:7 test',
    'src/watched.ts:1 test',
  ])
  const [boundary] = result.mutants.filter(({ line, file }) => file === 'src/limit.ts' && line === 7)
  assert.deepEqual(boundary?.verdict, { by: 'test', file: 'src/limit.test.ts', name: 'more than five are too many' })
  assert.deepEqual([boundary.before, boundary.after], ['    n > LIMIT', '    n >= LIMIT'])
  const [idle] = result.survived.filter(({ line }) => line === 11)
  assert.deepEqual(idle?.verdict, { by: 'nobody', tried: 0, untried: 0 })
  assert.deepEqual([result.seen, result.survived.length, result.leftOut], [5, 2, ['src/broken.test.ts']])
  const report = lines.join('\n')
  assert.match(
    report,
    /^\d+ {2}src\/limit\.ts:7 {2}boundary: > -> >= {2}seen by src\/limit\.test\.ts: more than five are too many$/m,
  )
  assert.match(report, /^src +7 +1 +3 +0 +0 +2 +1$/m)
  assert.match(report, /src\/limit\.ts:11\n {4}- return \[n\]\n {4}\+ return \[\]$/m)
  assert.match(report, /8 mutants, 1 of them accepted as they are; types and tests see 71 % \(5 of 7\)/)
  const status = execFileSync('git', ['status', '--porcelain'], { cwd: project, encoding: 'utf8' })
  assert.equal(status, '?? protocol/index.ts\n?? src/\n')
  for (const [file, text] of Object.entries(FILES)) assert.equal(readFileSync(path.join(project, file), 'utf8'), text)
})

test('a second run takes what is known of the tests, and measures again those that lead to a changed file', async (t) => {
  const { 'src/broken.test.ts': _, ...files } = FILES
  const other = { 'src/other.ts': 'export const OTHER = 3\n', 'src/other.test.ts': "import './other.ts'\n" }
  const project = smallProject(t, { ...files, ...other })
  const measured = async () => {
    const said: string[] = []
    const places = ['src/other.ts', 'protocol'].map((place) => path.join(project, place))
    await mutate({ ...usual(project), places, count: 100, say: (line) => said.push(line) })
    return said.filter((line) => line.startsWith('measured')).map((line) => line.split(' ')[1])
  }
  assert.deepEqual((await measured()).sort(), ['src/limit.test.ts', 'src/other.test.ts'])
  assert.deepEqual(await measured(), [])
  writeAll(project, { 'protocol/index.ts': 'export const LIMIT = 5 // at most\n' })
  assert.deepEqual(await measured(), ['src/limit.test.ts'])
})

test('a run that is stopped ends its processes and has what it knew by then', async (t) => {
  const hanging =
    "import './limit.ts'\nimport fs from 'node:fs'\nfs.writeFileSync(process.env.STARTED, '')\nsetInterval(() => {}, 1000)\n"
  const project = smallProject(t, { ...FILES, 'src/limit.test.ts': hanging })
  const started = path.join(project, 'node_modules/started')
  const stop = new AbortController()
  const lines: string[] = []
  const print = (line: string) => lines.push(line)
  const env = { ...process.env, STARTED: started }
  const running = mutate({ ...usual(project), count: 100, env, print, signal: stop.signal })
  await until(() => existsSync(started), 'a test is running')
  stop.abort(new Error('enough'))
  const { mutants } = await running
  assert.deepEqual(mutants.map(({ verdict }) => verdict.by).sort(), ['equivalent', 'types'])
  assert.ok(lines.includes('The run was stopped: 6 mutants are not judged.'), lines.join('\n'))
})

test('production code is broken, but neither tests nor tools nor benchmarks, and the demonstration only when it is named', () => {
  const broken = ['src/a.ts', 'src/cli/main.ts', 'protocol/frames.ts', 'container/agent-runner/src/main.ts']
  const whole = ['src/a.test.ts', 'src/types.d.ts', 'src/cli/bench/load.ts', 'tools/a.ts', 'test/fakes/a.ts', 'src/a.sql']
  const demo = 'src/demo/server.ts'
  const named = { places: ['src/demo', 'src/a.ts', 'src/cli/ma'], except: [] }
  const exceptCli = { places: ['src'], except: ['src/cli'] }
  assert.deepEqual(
    broken.filter((file) => isWanted(file, exceptCli)),
    ['src/a.ts'],
  )
  assert.deepEqual(
    [...broken, ...whole, demo].filter((file) => isWanted(file, { places: [], except: [] })),
    broken,
  )
  assert.deepEqual(
    [...broken, ...whole, demo].filter((file) => isWanted(file, named)),
    ['src/a.ts', demo],
  )
})

const CONTAINERS = {
  'src/index.ts': 'export const HOST = 0\n',
  'container/agent-runner/src/main.ts': 'export const RUNNER = 0\n',
  'container/build.sh': '#!/bin/sh\necho "build $CONTAINER_IMAGE" >>"$TRACE"\n',
  'engine.sh': '#!/bin/sh\necho "engine $*" >>"$TRACE"\n',
  'test/e2e/host.test.ts': `import assert from 'node:assert/strict'
import { HOST } from '../../src/index.ts'
assert.equal(HOST, 0)
`,
  'test/e2e/runner.test.ts': `import assert from 'node:assert/strict'
import fs from 'node:fs'
import { RUNNER } from '../../container/agent-runner/src/main.ts'
fs.appendFileSync(process.env.TRACE ?? '', 'test ' + process.env.CONTAINER_IMAGE + ' ' + process.env.DOCKER_HOST + '\\n')
assert.equal(RUNNER, 0)
`,
}

test('with containers, survivors meet the tests that need some; those in the image have one of their own, which goes again', async (t) => {
  const project = smallProject(t, CONTAINERS)
  const trace = path.join(project, 'node_modules/trace')
  const lines: string[] = []
  const own = {
    TRACE: trace,
    CONTAINER_RUNTIME: path.join(project, 'engine.sh'),
    CONTAINER_IMAGE: 'usual',
    DOCKER_HOST: 'unix:///engine',
  }
  const print = (line: string) => lines.push(line)
  const result = await mutate({ ...usual(project), count: 9, containers: true, env: { ...process.env, ...own }, print })
  assert.deepEqual(result.mutants.map(({ file, verdict }) => [file, verdict.by]).sort(), [
    ['container/agent-runner/src/main.ts', 'container'],
    ['src/index.ts', 'container'],
  ])
  assert.match(lines.join('\n'), /^\d+ {2}src\/index\.ts:1 .* seen with containers by test\/e2e\/host\.test\.ts: AssertionError/m)
  const image = `nanoclaw-mutant-${process.pid}:latest`
  const unbroken = 'test usual unix:///engine'
  const broken = [`build ${image}`, unbroken, `test ${image} unix:///engine`, `engine image rm --force ${image}`]
  assert.deepEqual(readFileSync(trace, 'utf8').trim().split('\n'), broken)
})

test('each accepted break has its line, and each part of the project has tests with containers that exist', () => {
  for (const { file, line } of EQUIVALENT) {
    const lines = readFileSync(path.join(PROJECT, file), 'utf8').split('\n')
    assert.ok(
      lines.some((one) => one.trim() === line),
      `${file}: ${line}`,
    )
  }
  for (const part of projectFiles(PROJECT).filter((file) => isWanted(file, { places: [], except: [] }))) {
    const tests = containerTests(part)
    assert.ok(tests.length > 0, part)
    for (const file of tests) assert.ok(existsSync(path.join(PROJECT, file)), file)
  }
})
