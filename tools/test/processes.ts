import { statSync } from 'node:fs'
import path from 'node:path'
import type { Kind, Manner, TestFile } from './files.ts'

/** One process of a run: the files that it runs, one after the other. Limits are in milliseconds of a machine at full speed. */
export type TestProcess = {
  files: readonly TestFile[]
  kind: Kind
  manner: Manner
  /** Where a single test ends that hangs, and where the process does. */
  testLimitMs: number
  limitMs: number
}

/** Few enough to save starts, many enough to share the cores evenly and to lose little when one of them dies. */
const SHARED_PROCESSES = 10
const MINUTE_MS = 60_000
const LIMITS: Record<Manner, { testLimitMs: number; limitMs: number }> = {
  shared: { testLimitMs: 2 * MINUTE_MS, limitMs: 5 * MINUTE_MS },
  own: { testLimitMs: 3 * MINUTE_MS, limitMs: 8 * MINUTE_MS },
  container: { testLimitMs: 10 * MINUTE_MS, limitMs: 20 * MINUTE_MS },
  background: { testLimitMs: 30 * MINUTE_MS, limitMs: 40 * MINUTE_MS },
}
/** The long runs have no time that they should be done in. */
const DAY_MS = 24 * 60 * MINUTE_MS

/** The processes that these tests need, in the order in which they are best started. */
export function processesFor(tests: readonly TestFile[], { unlimited = false } = {}): TestProcess[] {
  const of = (manner: Manner) => tests.filter((test) => test.manner === manner)
  const alone = [...of('own'), ...of('container'), ...of('background')].map((test) => [test])
  return [...shares(of('shared')), ...alone].flatMap((files) => {
    const [first] = files
    if (!first) return []
    const limits = unlimited ? { testLimitMs: DAY_MS, limitMs: DAY_MS } : LIMITS[first.manner]
    return [{ files, kind: first.kind, manner: first.manner, ...limits }]
  })
}

/** The long files are dealt out first, so that no process gets all of them. */
function shares(tests: readonly TestFile[]): TestFile[][] {
  const sized = tests.map((test) => ({ test, bytes: statSync(test.file, { throwIfNoEntry: false })?.size ?? 0 }))
  const ordered = sized.sort((a, b) => b.bytes - a.bytes || a.test.file.localeCompare(b.test.file))
  const count = Math.min(SHARED_PROCESSES, ordered.length)
  return Array.from({ length: count }, (_, n) => ordered.filter((_, index) => index % count === n).map(({ test }) => test))
}

/** A path as people read it. */
export function shown(project: string, file: string): string {
  return path.relative(project, file)
}
