import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { covers } from './coverage.ts'
import { broken, type Mutant } from './mutant.ts'
import { runTestFile } from './test-run.ts'
import type { TestShelf } from './test-shelf.ts'

export type Verdict =
  | { by: 'types'; error: string }
  | { by: 'test' | 'container'; file: string; name: string }
  | { by: 'hang'; file: string }
  | { by: 'equivalent'; reason: string }
  /** No test saw it; `untried` ones may, but the mutant's time was up. */
  | { by: 'nobody'; tried: number; untried: number }

export type Judged = Mutant & {
  verdict: Verdict
  before: string
  after: string
  /** What the compiler says of names that nobody uses any more. */
  leftovers: string[]
}

const LIMIT_MS = 30_000
const LIMIT_FACTOR = 6

export type Judging = {
  copy: string
  shelf: TestShelf
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  /** How long the tests of one mutant may take together, as measured on unbroken code. */
  budgetMs: number
}

/** Breaks the copy, runs the tests that run the broken place until one is red, and mends the copy. */
export function judge(mutant: Mutant, { copy, shelf, env, signal, budgetMs }: Judging): Promise<Verdict> {
  return whileBroken(mutant, copy, async () => {
    let left = budgetMs
    let tried = 0
    let untried = 0
    for (const file of shelf.leadingTo(mutant.file)) {
      if (left <= 0) {
        untried++
        continue
      }
      const { ms, isGreen, coverage } = await shelf.measured(file)
      if (!isGreen) shelf.leftOut.add(file)
      if (!isGreen || !covers(coverage, mutant)) continue
      left -= ms
      tried++
      const result = await runTestFile({ file, project: copy, env, limitMs: LIMIT_MS + LIMIT_FACTOR * ms, signal })
      if (result.end === 'red') return { by: 'test', file, name: result.name }
      if (result.end === 'hang') return { by: 'hang', file }
    }
    return { by: 'nobody', tried, untried }
  })
}

export async function whileBroken<T>(mutant: Mutant, copy: string, task: () => Promise<T>): Promise<T> {
  const place = path.join(copy, mutant.file)
  const whole = readFileSync(place, 'utf8')
  writeFileSync(place, broken(whole, mutant))
  try {
    return await task()
  } finally {
    writeFileSync(place, whole)
  }
}
