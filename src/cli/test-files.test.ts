import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { allTests, planTests } from './test-files.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const relative = (files: string[]) => files.map((file) => path.relative('/project', file))

test('units and layers come first, then contracts; what needs containers runs one by one, e2e first, and what only computes beside it', () => {
  const files = [
    'test/attacks/a.test.ts',
    'test/sim/s.test.ts',
    'test/attacks/mutation.test.ts',
    'test/e2e/z.test.ts',
    'test/layers.test.ts',
    'test/contracts/c.test.ts',
    'src/x.test.ts',
  ]
  const plan = planTests({ project: '/project', files })
  assert.deepEqual(relative(plan.sideBySide), ['src/x.test.ts', 'test/layers.test.ts', 'test/contracts/c.test.ts'])
  assert.deepEqual(relative(plan.oneByOne), ['test/e2e/z.test.ts', 'test/attacks/a.test.ts'])
  assert.deepEqual(relative(plan.inBackground), ['test/attacks/mutation.test.ts', 'test/sim/s.test.ts'])
})

test('every test of this project is found once, and none of a dependency', () => {
  const all = Object.values(allTests(PROJECT)).flat()
  assert.ok(all.includes(import.meta.filename))
  assert.equal(new Set(all).size, all.length)
  assert.deepEqual(
    all.filter((file) => file.includes('node_modules')),
    [],
  )
})
