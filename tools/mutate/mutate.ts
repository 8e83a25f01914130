import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { changedLines } from './changed-lines.ts'
import { ContainerTests } from './containers.ts'
import { draw, type Unjudged } from './draw.ts'
import type { Equivalent } from './equivalent.ts'
import { ImportGraph } from './import-graph.ts'
import { type Judged, judge } from './judge.ts'
import { copyProject, projectFiles } from './project-copy.ts'
import { outcomeLine, summary } from './report.ts'
import { TestShelf } from './test-shelf.ts'

export type MutateOptions = {
  project: string
  count: number
  seed: number
  /** Absolute files or folders; none stand for all production code. */
  places: readonly string[]
  /** Absolute files or folders that are left alone. */
  except?: readonly string[]
  /** Only lines that differ from this commit. */
  changed?: string | undefined
  /** In place of those in `equivalent.ts`. */
  accepted?: readonly Equivalent[]
  /** Tries with real containers what survived. */
  containers?: boolean
  env: NodeJS.ProcessEnv
  /** The result, line by line. */
  print: (line: string) => void
  /** What is going on. */
  say: (line: string) => void
  workers?: number
  /** How long the tests of one mutant may take together, as measured on unbroken code. */
  budgetMs?: number
  /** Ends the run early; what was judged by then is the result. */
  signal?: AbortSignal
  /** Where it is kept how long each test takes and what it runs. */
  cache?: string
}

export type MutateResult = { seen: number; survived: Judged[]; mutants: Judged[]; leftOut: string[] }

const CACHE = path.join(os.tmpdir(), `nanoclaw-mutate-cache-${os.userInfo().uid}`)

/** Breaks production code in many small ways, one at a time, and tells which breaks no type and no test sees. */
export async function mutate(options: MutateOptions): Promise<MutateResult> {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-mutate-')))
  try {
    return await mutateIn(folder, options)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function mutateIn(folder: string, options: MutateOptions): Promise<MutateResult> {
  const { project, changed, print, say, workers = 2 } = options
  const isChanged = changed === undefined ? () => true : changedLines({ project, ref: changed })
  const files = projectFiles(project)
  const whole = path.join(folder, 'whole')
  const copies = Array.from({ length: workers }, (_, n) => path.join(folder, String(n)))
  for (const copy of [whole, ...copies]) copyProject({ project, copy, files })
  const graph = graphOf(whole, files)

  say('TypeScript reads the project and judges the mutants.')
  const inProject = (places: readonly string[] = []) => places.map((place) => path.relative(project, place))
  const wanted = { places: inProject(options.places), except: inProject(options.except) }
  const { done, left } = draw({ ...options, ...wanted, whole, files, graph, isChanged })
  for (const mutant of done) print(outcomeLine(mutant))
  const { cache = CACHE, signal = new AbortController().signal } = options
  const judging = { ...options, files, whole, copies, graph, cache, signal }
  const { judged, leftOut } = await judgeAll(left, judging)
  const mutants = [...done, ...(options.containers ? await judgeInContainers(judged, judging) : judged)]
  for (const line of summary({ mutants, leftOut, unjudged: left.length - judged.length })) print(line)
  const survived = mutants.filter(({ verdict }) => verdict.by === 'nobody')
  const accepted = mutants.filter(({ verdict }) => verdict.by === 'equivalent')
  return { seen: mutants.length - survived.length - accepted.length, survived, mutants, leftOut }
}

type Judging = MutateOptions & {
  files: readonly string[]
  whole: string
  copies: readonly string[]
  graph: ImportGraph
  cache: string
  signal: AbortSignal
}

/** Each copy takes the next mutant as soon as it is done with one. */
async function judgeAll(left: readonly Unjudged[], judging: Judging): Promise<{ judged: Judged[]; leftOut: string[] }> {
  const { copies, budgetMs = 120_000, print } = judging
  const failed = new AbortController()
  const signal = AbortSignal.any([judging.signal, failed.signal])
  const env = withoutEngine(usual(judging))
  const shelf = new TestShelf({ ...judging, env, signal })
  const judged: Judged[] = []
  const queue = [...left]
  const work = async (copy: string) => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const mutant = { ...next, verdict: await judge(next, { copy, shelf, env, signal, budgetMs }) }
      judged.push(mutant)
      print(outcomeLine(mutant))
    }
  }
  await Promise.all(copies.map((copy) => work(copy).catch((error) => failed.abort(error))))
  if (!judging.signal.aborted) failed.signal.throwIfAborted()
  return { judged, leftOut: [...shelf.leftOut] }
}

/** One after the other: they share the engine, and some need the whole machine. */
async function judgeInContainers(mutants: readonly Judged[], judging: Judging): Promise<Judged[]> {
  const [copy = judging.whole] = judging.copies
  const tests = new ContainerTests({ ...judging, copy, env: usual(judging) })
  const judged: Judged[] = []
  for (const mutant of mutants) {
    const verdict = mutant.verdict.by === 'nobody' && !judging.signal.aborted ? await tests.judge(mutant) : undefined
    judged.push(verdict ? { ...mutant, verdict } : mutant)
    if (verdict) judging.print(outcomeLine({ ...mutant, verdict }))
  }
  return judged
}

/** Nothing that makes a test do more, less or something else than usual. */
function usual({ env, cache }: Judging): NodeJS.ProcessEnv {
  const { CI: _ci, NODE_TEST_CONTEXT: _context, NODE_V8_COVERAGE: _coverage, ...rest } = env
  return { ...rest, NANOCLAW_TEST_DEPTH: 'fast', NODE_COMPILE_CACHE: path.join(cache, 'compiled') }
}

function withoutEngine(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, DOCKER_HOST: 'unix:///nonexistent', CONTAINER_HOST: 'unix:///nonexistent' }
}

function graphOf(copy: string, files: readonly string[]): ImportGraph {
  const sources = files.filter((file) => file.endsWith('.ts'))
  return new ImportGraph(sources.map((file) => ({ file, text: readFileSync(path.join(copy, file), 'utf8') })))
}
