import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Environment, runCommand, type Say } from '../../src/cli/setup/command.ts'
import type { SetupState } from '../../src/cli/setup/setup.ts'
import type { Depth } from '../../test/fakes/depth.ts'
import { changedSince, testsOfChange } from './changed.ts'
import { coreLines, dependencyCounts } from './core-size.ts'
import { planned, type TestFile, testsOf } from './files.ts'
import { processesFor } from './processes.ts'
import { timingLines } from './report.ts'
import { runProcesses } from './run.ts'
import { slowness } from './speed.ts'
import type { Totals } from './totals.ts'

export type TestOptions = {
  project: string
  /** Relative to the working directory; empty for everything that the depth has. */
  files: readonly string[]
  depth: Depth
  /** Only the tests of what differs from this commit; true stands for the last one. */
  since?: string | true | undefined
  env: Environment
  say: Say
  print: (text: string) => void
  /** Makes engine and image; only called when a test may need them. */
  prepare: () => Promise<SetupState>
}

const CORE_LIMIT = 6_000
const DEPENDENCY_LIMIT = 12

/** Types, lint and tests; prints node:test's summary, where the time went and the project's size. Resolves with the exit code. */
export async function runTests(options: TestOptions): Promise<number> {
  const { files, since, env, print, say } = options
  const tests = chosen(options)
  const problems = files.length === 0 ? await staticProblems(options) : []
  if (since !== undefined && tests.length === 0) say('No test leads to what changed.')
  else {
    const { totals, missing, report } = await runAll(tests, options)
    problems.push(...missing, ...testProblems({ totals, strict: env.CI === 'true' }))
    if (files.length !== 1) print(report)
  }
  for (const problem of problems) print(`FAILED: ${problem}\n`)
  return problems.length === 0 ? 0 : 1
}

function chosen({ project, files, depth, since }: TestOptions): TestFile[] {
  if (files.length > 0) return planned({ project, files: files.map((file) => path.resolve(file)) })
  if (since === undefined) return testsOf({ project, depth })
  const changed = changedSince({ project, ref: since === true ? 'HEAD' : since })
  return planned({ project, files: testsOfChange({ project, changed }) })
}

type Run = { totals: Totals; missing: string[]; report: string }

async function runAll(tests: readonly TestFile[], options: TestOptions): Promise<Run> {
  const { project, depth, env, print } = options
  const factor = Number(env.NANOCLAW_TEST_SLOWNESS) || (await slowness())
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-test-run-'))
  try {
    // The image may take minutes, in which everything that needs none is tested.
    const preparing = prepared(tests, options)
    const { totals, timings } = await runProcesses({
      processes: processesFor(tests, { unlimited: depth === 'long' }),
      ready: preparing,
      slowness: factor,
      env: { ...env, NANOCLAW_TEST_DEPTH: depth },
      scratch,
      print,
    })
    const report = [...timingLines({ timings, project, slowness: factor }), ...sizeLines(project)].join('\n')
    return { totals, missing: await preparing, report }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function staticProblems({ project, env, say }: TestOptions): Promise<string[]> {
  const problems: string[] = []
  const checks = [
    { name: 'types', argv: ['tsc', '--noEmit', '--project', project] },
    { name: 'lint and format', argv: ['biome', 'check', project] },
  ] as const
  for (const {
    name,
    argv: [tool, ...args],
  } of checks) {
    say(`Checking ${name} ...`)
    const argv = [process.execPath, path.join(project, 'node_modules', '.bin', tool), ...args] as const
    if ((await runCommand({ argv, env, say })) !== 0) problems.push(`${name} (${tool}): the lines above say what`)
  }
  return problems
}

/** Tests that need what could not be made run all the same and fail by themselves: none is left out silently. */
async function prepared(tests: readonly TestFile[], { prepare, say }: TestOptions): Promise<string[]> {
  if (!tests.some(({ manner }) => manner === 'container')) return []
  const state = await prepare()
  if (state.state !== 'missing') return []
  for (const line of state.what) say(line)
  return ['this machine lacks what the tests with containers need (see above)']
}

export function testProblems({ totals, strict }: { totals: Totals; strict: boolean }): string[] {
  const problems: string[] = []
  if (totals.failed + totals.cancelled > 0) problems.push(`${totals.failed + totals.cancelled} tests did not pass`)
  if (totals.tests === 0) problems.push('no test ran')
  if (strict && totals.skipped > 0) problems.push(`${totals.skipped} tests were skipped, which CI does not allow`)
  return problems
}

function sizeLines(project: string): string[] {
  const lines = coreLines(project)
  const { host, runner } = dependencyCounts(project)
  return [
    `core size: ${lines} lines without tests, blank lines and comments (limit ${CORE_LIMIT})${over(lines, CORE_LIMIT)}`,
    `direct runtime dependencies: ${host} (limit ${DEPENDENCY_LIMIT})${over(host, DEPENDENCY_LIMIT)}; agent runner, in the image only: ${runner}`,
    '',
  ]
}

function over(value: number, limit: number): string {
  return value > limit ? ' OVER: ARCHITECTURE.md must say why' : ''
}
