import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Coverage, readCoverage } from './coverage.ts'
import type { ImportGraph } from './import-graph.ts'
import { runTestFile, SIMULATION } from './test-run.ts'

/** A test file on unbroken code: how long it takes, and what it runs. A red one can tell nothing of a break. */
export type Measured = { file: string; at: number; ms: number; isGreen: boolean; coverage: Coverage }

const NEEDS_NO_CONTAINER = /^(?:(?:src|protocol|container)\/.*|test\/(?:(?:contracts|fuzz)\/)?[^/]+)\.test\.ts$/
const LIMIT_MS = 15 * 60_000
/** A red test may have been red because the machine was busy. */
const RED_KEPT_MS = 60 * 60_000

type Shelf = {
  /** All of the project. */
  files: readonly string[]
  graph: ImportGraph
  /** An unbroken copy. */
  whole: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  say: (line: string) => void
  /** Where measurements are kept. */
  cache: string
}

/**
 * The tests that need no container, each measured when somebody first asks for it. What was measured is kept, and
 * holds as long as neither the test nor anything that it leads to changes.
 */
export class TestShelf {
  readonly #shelf: Shelf
  readonly #tests: string[]
  readonly #measured = new Map<string, Promise<Measured>>()
  /** The tests that are red on unbroken code. */
  readonly leftOut = new Set<string>()

  constructor(shelf: Shelf) {
    this.#shelf = shelf
    this.#tests = shelf.files.filter((file) => file === SIMULATION || NEEDS_NO_CONTAINER.test(file))
  }

  /** The tests that lead to the file: its own, those that import it, the known ones by their time, then all the others. */
  leadingTo(file: string): string[] {
    const { graph } = this.#shelf
    const own = file.replace(/\.ts$/, '.test.ts')
    const rank = (test: string) => {
      if (test === own) return 0
      if (graph.names(test, file)) return 1
      return this.#kept(test)?.ms ?? Number.POSITIVE_INFINITY
    }
    const ranked = this.#tests.filter((test) => graph.reachedFrom(test).has(file)).map((test) => ({ test, rank: rank(test) }))
    return ranked.toSorted((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map(({ test }) => test)
  }

  measured(file: string): Promise<Measured> {
    const known = this.#measured.get(file)
    if (known) return known
    const kept = this.#kept(file)
    const measuring = kept ? Promise.resolve(kept) : this.#measure(file)
    this.#measured.set(file, measuring)
    return measuring
  }

  async #measure(file: string): Promise<Measured> {
    const { graph, whole, env, signal, say } = this.#shelf
    const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-coverage-'))
    try {
      // Code that comes out of a compile cache is counted less exactly.
      const { NODE_COMPILE_CACHE: _, ...rest } = env
      const startedAt = performance.now()
      const run = { file, project: whole, limitMs: LIMIT_MS, signal }
      const watched = await runTestFile({ ...run, env: { ...rest, NODE_V8_COVERAGE: folder }, goesOn: true })
      const ms = Math.round(performance.now() - startedAt)
      // Some tests are red only while they are watched: their programs get a variable that nobody expects.
      const result = watched.end === 'green' ? watched : await runTestFile({ ...run, env })
      const coverage = readCoverage({ folder, project: whole, files: graph.reachedFrom(file) })
      const measured = { file, at: Date.now(), ms, isGreen: result.end === 'green', coverage }
      say(`measured ${file} on unbroken code: ${result.end === 'red' ? `red, ${result.name}` : result.end}, ${ms} ms`)
      keep(this.#placeOf(file), measured)
      return measured
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  #kept(file: string): Measured | undefined {
    try {
      const kept = JSON.parse(readFileSync(this.#placeOf(file), 'utf8')) as Measured
      return kept.isGreen || Date.now() - kept.at < RED_KEPT_MS ? kept : undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #placeOf(file: string): string {
    const { graph, whole, cache } = this.#shelf
    const hash = createHash('sha256').update(process.version)
    for (const one of ['package-lock.json', ...[...graph.reachedFrom(file)].sort()])
      hash
        .update(`${one}\0`)
        .update(readFileSync(path.join(whole, one)))
        .update('\0')
    return path.join(cache, `${hash.digest('hex')}.json`)
  }
}

/** Another process may measure the same test at the same time, so the file appears whole or not at all. */
function keep(place: string, measured: Measured): void {
  mkdirSync(path.dirname(place), { recursive: true })
  const half = `${place}.${process.pid}`
  writeFileSync(half, JSON.stringify(measured))
  renameSync(half, place)
}
