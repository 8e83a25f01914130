import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { errorText } from '../../src/domain/errors.ts'
import { type Verdict, whileBroken } from './judge.ts'
import type { Mutant } from './mutant.ts'
import { runTestFile } from './test-run.ts'

const run = promisify(execFile)

/** The tests with containers that know a part of the project, by the start of its path; those of all that fit are run. */
const TESTS: readonly (readonly [start: string, tests: readonly string[]])[] = [
  ['container/agent-runner/', ['e2e/runner', 'e2e/mcp', 'e2e/sdk-against-model', 'e2e/commands', 'e2e/follow-ups', 'e2e/tools']],
  ['protocol/', ['e2e/runner', 'e2e/mcp', 'e2e/tools']],
  ['src/runtimes/', ['contracts/runtime', 'contracts/engine-runtime']],
  ['src/container', ['e2e/follow-ups', 'e2e/commands', 'e2e/failures']],
  ['src/mount-security.ts', ['e2e/mounts', 'e2e/mount-swap']],
  ['src/hostile-tree.ts', ['e2e/mounts', 'e2e/mount-swap']],
  ['src/project.ts', ['e2e/guides', 'e2e/update']],
  ['src/gateway/', ['e2e/sdk-against-model', 'e2e/tools-behind-gateway', 'e2e/budgets']],
  ['src/channels/whatsapp/', ['e2e/whatsapp']],
  ['src/store/', ['e2e/groups', 'e2e/v1-root']],
  ['src/web/', ['e2e/metrics']],
  ['src/app/', ['e2e/commands', 'e2e/failures', 'e2e/groups', 'e2e/tasks', 'e2e/ipc', 'e2e/mounts']],
  ['src/host/', ['e2e/ipc', 'e2e/backup', 'e2e/budgets']],
  ['src/cli/backup/', ['e2e/backup']],
  ['src/cli/doctor/', ['e2e/doctor']],
  ['src/cli/terminal/', ['e2e/terminal']],
  ['src/cli/update/', ['e2e/update']],
  ['src/cli/service/', ['e2e/service']],
  ['src/', ['e2e/host']],
]

/** What the image is built of. */
const IN_IMAGE = /^(?:container\/agent-runner|protocol)\//
const LIMIT_MS = 20 * 60_000

export function containerTests(file: string): string[] {
  const names = TESTS.filter(([start]) => file.startsWith(start)).flatMap(([, tests]) => tests)
  return [...new Set(names)].map((name) => `test/${name}.test.ts`)
}

type Copies = { copy: string; whole: string; env: NodeJS.ProcessEnv; signal: AbortSignal; say: (line: string) => void }

/** Tries what survived with real containers, one test file after the other, until one is red. */
export class ContainerTests {
  readonly #copies: Copies
  readonly #green = new Map<string, Promise<boolean>>()

  constructor(copies: Copies) {
    this.#copies = copies
  }

  /** Undefined where none of them sees it. */
  async judge(mutant: Mutant): Promise<Verdict | undefined> {
    const { copy, env, say } = this.#copies
    const task = (surroundings: NodeJS.ProcessEnv) => this.#firstRed(mutant, surroundings)
    try {
      return await whileBroken(mutant, copy, () => (IN_IMAGE.test(mutant.file) ? withOwnImage({ copy, env, task }) : task(env)))
    } catch (error) {
      say(`mutant ${mutant.id} was not tried with containers: ${errorText(error)}`)
      return undefined
    }
  }

  async #firstRed(mutant: Mutant, env: NodeJS.ProcessEnv): Promise<Verdict | undefined> {
    const { copy, signal } = this.#copies
    for (const file of containerTests(mutant.file)) {
      if (!(await this.#isGreen(file))) continue
      const result = await runTestFile({ file, project: copy, env, limitMs: LIMIT_MS, signal })
      if (result.end === 'red') return { by: 'container', file, name: result.name }
      if (result.end === 'hang') return { by: 'hang', file }
    }
    return undefined
  }

  #isGreen(file: string): Promise<boolean> {
    const known = this.#green.get(file)
    if (known) return known
    const { whole, env, signal, say } = this.#copies
    const trying = runTestFile({ file, project: whole, env, limitMs: LIMIT_MS, signal }).then(({ end }) => {
      say(`${file} on unbroken code: ${end}`)
      return end === 'green'
    })
    this.#green.set(file, trying)
    return trying
  }
}

type OwnImage<T> = { copy: string; env: NodeJS.ProcessEnv; task: (env: NodeJS.ProcessEnv) => Promise<T> }

/** Builds the image of the broken copy under a name of its own, which goes again. */
async function withOwnImage<T>({ copy, env, task }: OwnImage<T>): Promise<T> {
  const own = { ...env, CONTAINER_IMAGE: `nanoclaw-mutant-${process.pid}:latest` }
  await run(path.join(copy, 'container/build.sh'), { cwd: copy, env: own, maxBuffer: 64 * 1024 * 1024 })
  try {
    return await task(own)
  } finally {
    await run(env.CONTAINER_RUNTIME || 'docker', ['image', 'rm', '--force', own.CONTAINER_IMAGE], { env: own })
  }
}
