import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'
import { covers, readCoverage } from './coverage.ts'
import { smallProject } from './small-project.ts'

const CODE = `function unused(): number {
  return 3
}
type Answer = 'yes' | 'nö'
export function answer(n: number): Answer {
  if (n > 1) return 'yes'
  return 'nö'
}
export const later = unused
`

test('a place counts as run when any process ran it, with types and letters beyond ASCII before it', (t) => {
  const main = (n: number) => `import { answer } from './a.ts'\nanswer(${n})\n`
  const project = smallProject(t, { 'src/a.ts': CODE, 'src/one.ts': main(1), 'src/two.ts': main(2) })
  const folder = path.join(project, 'coverage')
  const run = (file: string) =>
    execFileSync(process.execPath, [path.join(project, file)], { env: { ...process.env, NODE_V8_COVERAGE: folder } })
  const ran = (part: string) => {
    const coverage = readCoverage({ folder, project, files: new Set(['src/a.ts']) })
    assert.deepEqual(Object.keys(coverage), ['src/a.ts'])
    return covers(coverage, { file: 'src/a.ts', start: CODE.indexOf(part) })
  }
  run('src/one.ts')
  assert.deepEqual(['n > 1', "'yes'\n", "'nö'\n}", 'return 3'].map(ran), [true, false, true, false])
  run('src/two.ts')
  assert.deepEqual(['n > 1', "'yes'\n", "'nö'\n}", 'return 3'].map(ran), [true, true, true, false])
  assert.equal(covers({}, { file: 'src/a.ts', start: 0 }), false)
})
