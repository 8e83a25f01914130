import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImportGraph } from './import-graph.ts'

test('a file leads to what it imports and to programs that it names from its folder or the project, through others too', () => {
  const graph = new ImportGraph([
    { file: 'src/a.test.ts', text: "import { a } from './a.ts'\nimport { test } from 'node:test'\n" },
    {
      file: 'src/a.ts',
      text: "import type { Frame } from '@nanoclaw/protocol'\nconst worker = new URL('./work/er.ts', import.meta.url)\n",
    },
    { file: 'src/work/er.ts', text: "import '../a.ts'\nimport './missing.ts'\n" },
    { file: 'protocol/index.ts', text: "export * from './frames.ts'\n" },
    { file: 'protocol/frames.ts', text: '' },
    { file: 'test/host.test.ts', text: "spawn(path.join(PROJECT, 'src/a.ts'))\n" },
  ])
  const everything = ['protocol/frames.ts', 'protocol/index.ts', 'src/a.ts', 'src/work/er.ts']
  assert.deepEqual([...graph.reachedFrom('src/a.test.ts')].sort(), [...everything, 'src/a.test.ts'].sort())
  assert.deepEqual([...graph.reachedFrom('test/host.test.ts')].sort(), [...everything, 'test/host.test.ts'].sort())
  assert.deepEqual([...graph.reachedFrom('protocol/index.ts')], ['protocol/index.ts', 'protocol/frames.ts'])
  assert.deepEqual(graph.importersOf('src/a.ts'), ['src/a.test.ts', 'src/work/er.ts', 'test/host.test.ts'])
  assert.equal(graph.names('src/a.test.ts', 'protocol/index.ts'), false)
})
