// Bundles the agent-runner at image build: `node build.mjs OUT` writes OUT/dist (what runs) and OUT/node_modules (name,
// version and licence of every package inside the bundle, which is also what `ls /app/node_modules` should show).
import { copyFileSync, globSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { build } from 'esbuild'

const out = path.resolve(process.argv[2] ?? 'out')
const project = path.resolve(import.meta.dirname, '../..')

const { metafile } = await build({
  absWorkingDir: project,
  entryPoints: ['container/agent-runner/src/main.ts'],
  outdir: path.join(out, 'dist'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  // The SDK is a chunk of its own, loaded while `claude` already starts.
  splitting: true,
  chunkNames: '[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Some dependencies are CommonJS and ask for Node's own modules with `require`.
  banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)` },
  metafile: true,
  logLevel: 'info',
})

const bundled = new Set(Object.keys(metafile.inputs).map(packageFolder).filter(Boolean))
for (const folder of bundled) {
  const kept = globSync(['package.json', '{LICENSE,LICENCE,NOTICE,license}*'], { cwd: path.join(project, folder) })
  const target = path.join(out, folder)
  mkdirSync(target, { recursive: true })
  for (const file of kept) copyFileSync(path.join(project, folder, file), path.join(target, file))
}

/** The package that a bundled file is of: everything up to the name behind its last `node_modules`. */
function packageFolder(file) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]
}
