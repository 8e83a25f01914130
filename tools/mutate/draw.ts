import type { ChangedLines } from './changed-lines.ts'
import { EQUIVALENT, type Equivalent } from './equivalent.ts'
import type { ImportGraph } from './import-graph.ts'
import type { Judged } from './judge.ts'
import { broken, changeOf, lineOf, type Mutant } from './mutant.ts'
import { sitesOf } from './operators.ts'
import { type Breakable, sample } from './sample.ts'
import { Sources } from './sources.ts'

const PRODUCTION = /^(?:src|protocol|container\/agent-runner\/src)\/.*\.ts$/
const NO_PRODUCTION = /(?:\.test|\.d)\.ts$|^src\/cli\/bench\//
const ONLY_WHEN_NAMED = /^src\/demo\//

export type Unjudged = Omit<Judged, 'verdict'>

/** Files and folders from the project's folder on; no places stand for all production code. */
type Wanted = { places: readonly string[]; except: readonly string[] }

type Drawing = Wanted & {
  /** An unbroken copy of the project. */
  whole: string
  files: readonly string[]
  graph: ImportGraph
  isChanged: ChangedLines
  count: number
  seed: number
  accepted?: readonly Equivalent[] | undefined
}

/** Draws the sample. Those mutants are done with that are accepted or have a type error. */
export function draw({ whole, files, graph, places, except, isChanged, count, seed, accepted = EQUIVALENT }: Drawing): {
  done: Judged[]
  left: Unjudged[]
} {
  const sources = new Sources(whole)
  const done: Judged[] = []
  const left: Unjudged[] = []
  try {
    const breakable = files
      .filter((file) => isWanted(file, { places, except }))
      .flatMap((file) => breakableFile(file, { sources, isChanged }))
    for (const mutant of sample({ files: breakable, count, seed })) {
      const text = sources.get(mutant.file)?.text ?? ''
      const importers = graph.importersOf(mutant.file)
      const { errors, leftovers } = sources.typeErrors({ file: mutant.file, text: broken(text, mutant), importers })
      const shown = { ...mutant, ...linesAround(text, mutant), leftovers }
      const reason = accepted.find((one) => fits(shown, one))?.reason
      if (reason !== undefined) done.push({ ...shown, verdict: { by: 'equivalent', reason } })
      else if (errors[0] !== undefined) done.push({ ...shown, verdict: { by: 'types', error: errors[0] } })
      else left.push(shown)
    }
  } finally {
    sources.close()
  }
  return { done, left }
}

export function isWanted(file: string, { places, except }: Wanted): boolean {
  const isIn = (place: string) => place === '' || file === place || file.startsWith(`${place}/`)
  if (!PRODUCTION.test(file) || NO_PRODUCTION.test(file) || except.some(isIn)) return false
  return places.length === 0 ? !ONLY_WHEN_NAMED.test(file) : places.some(isIn)
}

function breakableFile(file: string, { sources, isChanged }: { sources: Sources; isChanged: ChangedLines }): Breakable[] {
  const source = sources.get(file)
  if (!source) return []
  const sites = sitesOf(source, sources.returnType).filter(({ start }) => isChanged(file, lineOf(source.text, start)))
  return [{ file, text: source.text, sites }]
}

function fits(mutant: Unjudged, { file, line, change }: Equivalent): boolean {
  return mutant.file === file && mutant.before.trim() === line && changeOf(mutant) === change
}

/** The line of the break, before and after. */
function linesAround(text: string, mutant: Mutant): { before: string; after: string } {
  const lineAt = (whole: string) => whole.split('\n')[mutant.line - 1] ?? ''
  return { before: lineAt(text), after: lineAt(broken(text, mutant)) }
}
