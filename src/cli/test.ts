import path from 'node:path'
import { coreLines, dependencyCounts } from './core-size.ts'
import { type Environment, runCommand, type Say } from './setup/command.ts'
import type { SetupState } from './setup/setup.ts'
import { allTests, planTests, type TestPlan } from './test-files.ts'
import { runTestFiles, type Totals } from './test-run.ts'

export type TestOptions = {
  project: string
  /** Relative to the working directory; empty for everything. */
  files: readonly string[]
  env: Environment
  say: Say
  print: (text: string) => void
  /** Makes engine and image; only called when a test may need them. */
  prepare: () => Promise<SetupState>
}

const CORE_LIMIT = 6_000
const DEPENDENCY_LIMIT = 12

/** Types, lint, then all tests; prints node:test's summary and the project's size. Resolves with the exit code. */
export async function runTests(options: TestOptions): Promise<number> {
  const { project, files, env, print } = options
  const everything = files.length === 0
  const plan = everything ? allTests(project) : planTests({ project, files: files.map((file) => path.resolve(file)) })
  const problems = everything ? await staticProblems(options) : []
  problems.push(...(await unprepared(plan, options)))
  const totals = await runTestFiles({ plan, print })
  if (everything) print(sizeLines(project))
  problems.push(...testProblems({ totals, strict: env.CI === 'true' }))
  for (const problem of problems) print(`FAILED: ${problem}\n`)
  return problems.length === 0 ? 0 : 1
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
async function unprepared({ oneByOne }: TestPlan, { prepare, say }: TestOptions): Promise<string[]> {
  if (oneByOne.length === 0) return []
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

function sizeLines(project: string): string {
  const lines = coreLines(project)
  const { host, runner } = dependencyCounts(project)
  return [
    `core size: ${lines} lines without tests, blank lines and comments (limit ${CORE_LIMIT})${over(lines, CORE_LIMIT)}`,
    `direct runtime dependencies: ${host} (limit ${DEPENDENCY_LIMIT})${over(host, DEPENDENCY_LIMIT)}; agent runner, in the image only: ${runner}`,
    '',
  ].join('\n')
}

function over(value: number, limit: number): string {
  return value > limit ? ' OVER: ARCHITECTURE.md must say why' : ''
}
