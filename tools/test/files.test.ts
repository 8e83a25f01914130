import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { allTestFiles, planned, type TestFile, testsOf } from './files.ts'
import { processesFor } from './processes.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const named = (tests: readonly TestFile[]) => tests.map(({ file }) => path.relative(PROJECT, file))

test('every test of this project is found once, and none of a dependency', () => {
  const all = allTestFiles(PROJECT)
  assert.ok(all.includes(import.meta.filename))
  assert.equal(new Set(all).size, all.length)
  assert.ok(all.every((file) => !file.includes('node_modules')))
})

test('a path decides what kind of test it is and how it is run', () => {
  const files = [
    'src/x.test.ts',
    'test/contracts/a.test.ts',
    'test/contracts/runtime.test.ts',
    'test/e2e/z.test.ts',
    'test/sim/s.test.ts',
  ]
  assert.deepEqual(
    planned({ project: PROJECT, files }).map(({ kind, manner }) => [kind, manner]),
    [
      ['unit', 'shared'],
      ['contract', 'own'],
      ['contract', 'container'],
      ['e2e', 'container'],
      ['simulation', 'background'],
    ],
  )
})

test('a fast run leaves out what needs containers or breaks the code, a full one only what takes hours', () => {
  const [fast, full, long] = (['fast', 'full', 'long'] as const).map((depth) => testsOf({ project: PROJECT, depth }))
  assert.ok(fast && full && long)
  const left = named(full).filter((file) => !named(fast).includes(file))
  assert.ok(left.includes('test/e2e/host.test.ts') && left.includes('test/attacks/mutation.test.ts'))
  assert.ok(!left.includes('test/sim/sim.test.ts') && !left.includes('tools/test/files.test.ts'))
  assert.deepEqual(
    named(long).filter((file) => !named(full).includes(file)),
    ['test/long/soak.test.ts'],
  )
  assert.equal(full.length + 1, allTestFiles(PROJECT).length)
})

test('units share a few processes, which get every file once; everything else has one for itself', () => {
  const tests = testsOf({ project: PROJECT, depth: 'full' })
  const processes = processesFor(tests)
  assert.deepEqual(named(processes.flatMap(({ files }) => files)).sort(), named(tests).sort())
  const shared = processes.filter(({ manner }) => manner === 'shared')
  assert.ok(shared.length > 1 && shared.length <= 10)
  assert.ok(processes.every(({ manner, files }) => manner === 'shared' || files.length === 1))
})
