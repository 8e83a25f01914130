import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Depth } from '../../test/fakes/depth.ts'

/** What a test file is about; the end of a run tells the time that each kind took. */
export type Kind = 'unit' | 'contract' | 'fuzz' | 'simulation' | 'mutation' | 'e2e' | 'chaos' | 'attack' | 'long'

/**
 * How a file is run. `shared`: in one process with others. `own`: in a process of its own, side by side with others.
 * `container`: the same, once engine and image are there. `background`: at low priority, on what the others leave of the
 * machine, because it only computes, and for minutes.
 */
export type Manner = 'shared' | 'own' | 'container' | 'background'

/** One file of tests; `file` is an absolute path. */
export type TestFile = { file: string; kind: Kind; manner: Manner }

type Rule = { start: string; kind: Kind; manner: Manner; depths?: readonly Depth[] }

/** The first rule whose start fits a path decides; depths that are not named are all. */
const RULES: readonly Rule[] = [
  // It proves what its process prints, so nobody else may have changed that.
  { start: 'src/channels/whatsapp/quiet-library', kind: 'unit', manner: 'own' },
  { start: 'test/contracts/engine-runtime', kind: 'contract', manner: 'container' },
  { start: 'test/contracts/runtime', kind: 'contract', manner: 'container' },
  { start: 'test/contracts/', kind: 'contract', manner: 'own' },
  { start: 'test/fuzz/', kind: 'fuzz', manner: 'own' },
  { start: 'test/attacks/mutation', kind: 'mutation', manner: 'background', depths: ['full', 'long'] },
  { start: 'test/sim/mutants', kind: 'mutation', manner: 'background', depths: ['full', 'long'] },
  { start: 'test/sim/', kind: 'simulation', manner: 'background' },
  { start: 'test/power/', kind: 'simulation', manner: 'background', depths: ['full', 'long'] },
  { start: 'test/attacks/', kind: 'attack', manner: 'container' },
  { start: 'test/chaos/', kind: 'chaos', manner: 'container' },
  { start: 'test/long/', kind: 'long', manner: 'container', depths: ['long'] },
  { start: 'test/e2e/image-inputs', kind: 'e2e', manner: 'own' },
  { start: 'test/e2e/terminal', kind: 'e2e', manner: 'own' },
  { start: 'test/e2e/', kind: 'e2e', manner: 'container' },
  { start: '', kind: 'unit', manner: 'shared' },
]

/** What `--long` is for: the kinds that find more the longer they run. */
const LONG_KINDS: readonly Kind[] = ['fuzz', 'simulation', 'chaos', 'long']
const PLACES = ['protocol', 'src', 'container', 'tools', 'test']

/** Every test file of the project, as absolute paths in a fixed order. */
export function allTestFiles(project: string): string[] {
  return PLACES.flatMap((place) => testsIn(path.join(project, place))).sort()
}

function testsIn(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.split(path.sep).includes('node_modules'))
    .map((name) => path.join(folder, name))
}

/** How each of these files is run. */
export function planned({ project, files }: { project: string; files: readonly string[] }): TestFile[] {
  return files.map((name) => {
    const file = path.resolve(project, name)
    const { kind, manner } = ruleOf(project, file)
    return { file, kind, manner }
  })
}

/** The tests of a whole run of this depth. */
export function testsOf({ project, depth }: { project: string; depth: Depth }): TestFile[] {
  const files = allTestFiles(project).filter((file) => (ruleOf(project, file).depths ?? [depth]).includes(depth))
  const tests = planned({ project, files })
  if (depth === 'fast') return tests.filter(({ manner }) => manner !== 'container')
  return depth === 'long' ? tests.filter(({ kind }) => LONG_KINDS.includes(kind)) : tests
}

function ruleOf(project: string, file: string): Rule {
  const name = path.relative(project, file).split(path.sep).join('/')
  const rule = RULES.find(({ start }) => name.startsWith(start))
  if (!rule) throw new Error(`no rule says how ${name} is run`)
  return rule
}
