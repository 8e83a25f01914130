import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { allTests, planTests } from './test-files.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const relative = (files: string[]) => files.map((file) => path.relative('/project', file))

test('units and layers come first, then contracts; what needs containers or the whole machine runs one by one, e2e first', () => {
  const files = [
    'test/attacks/a.test.ts',
    'test/sim/s.test.ts',
    'test/e2e/z.test.ts',
    'test/layers.test.ts',
    'test/contracts/c.test.ts',
    'src/x.test.ts',
  ]
  const plan = planTests({ project: '/project', files })
  assert.deepEqual(relative(plan.sideBySide), ['src/x.test.ts', 'test/layers.test.ts', 'test/contracts/c.test.ts'])
  assert.deepEqual(relative(plan.oneByOne), ['test/e2e/z.test.ts', 'test/attacks/a.test.ts', 'test/sim/s.test.ts'])
})

test('every test of this project is found once, and none of a dependency', () => {
  const { sideBySide, oneByOne } = allTests(PROJECT)
  const all = [...sideBySide, ...oneByOne]
  assert.ok(all.includes(import.meta.filename))
  assert.equal(new Set(all).size, all.length)
  assert.deepEqual(
    all.filter((file) => file.includes('node_modules')),
    [],
  )
})
