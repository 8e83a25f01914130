import assert from 'node:assert/strict'
import { test } from 'node:test'
import { smallProject } from './small-project.ts'
import { Sources } from './sources.ts'

test('a change has the type errors that it makes, in files that import it too, and afterwards it is as if it never was', (t) => {
  const a = "import { b } from './b.ts'\nexport const a: number = b()\nexport const broken: string = 1\n"
  const b = 'export function b() {\n  return 1\n}\n'
  const sources = new Sources(smallProject(t, { 'src/a.ts': a, 'src/b.ts': b }))
  t.after(() => sources.close())
  const after = (text: string) => sources.typeErrors({ file: 'src/b.ts', text, importers: ['src/a.ts'] })
  assert.deepEqual(after(b.replace('1', "'x'")).errors, ["TS2322 Type 'string' is not assignable to type 'number'. (src/a.ts)"])
  assert.deepEqual(after(b.replace('1', '2')), { errors: [], leftovers: [] })
  assert.match(after(b.replace('1', '(')).errors[0] ?? '', /^TS1109 /)
  const unused = after(`import { a } from './a.ts'\n${b}`)
  assert.deepEqual(unused.errors, [])
  assert.match(unused.leftovers[0] ?? '', /^TS6133 /)
  assert.equal(sources.get('src/b.ts')?.text, b)
})
