import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'

/**
 * Test files as absolute paths: those that run side by side, those that need containers and run one by one, and those
 * that only compute for minutes, which take what the ones before them leave of the machine.
 */
export type TestPlan = { sideBySide: string[]; oneByOne: string[]; inBackground: string[] }

const PLACES = ['protocol', 'src', 'container', 'web-ui', 'test']
/** These need no containers. */
const LIGHT = ['test/contracts/', 'test/fuzz/']
const LONG = ['test/sim/', 'test/power/', 'test/attacks/mutation.test.ts']

/** Every test of the project, the fast ones first: units beside their sources, then contracts and simulation, then the rest. */
export function allTests(project: string): TestPlan {
  return planTests({ project, files: PLACES.flatMap((place) => testsIn(path.join(project, place))) })
}

function testsIn(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.split(path.sep).includes('node_modules'))
    .map((name) => path.join(folder, name))
}

export function planTests({ project, files }: { project: string; files: readonly string[] }): TestPlan {
  const ranked = files
    .map((file) => ({ file: path.resolve(project, file), rank: rankOf(path.relative(project, path.resolve(project, file))) }))
    .sort((a, b) => a.rank - b.rank || a.file.localeCompare(b.file))
  const those = (wanted: (rank: number) => boolean) => ranked.filter(({ rank }) => wanted(rank)).map(({ file }) => file)
  return {
    sideBySide: those((rank) => rank < 2),
    oneByOne: those((rank) => rank === 2 || rank === 3),
    inBackground: those((rank) => rank === 4),
  }
}

function rankOf(name: string): number {
  const file = name.split(path.sep).join('/')
  if (!file.startsWith('test/') || !file.slice('test/'.length).includes('/')) return 0
  if (LIGHT.some((folder) => file.startsWith(folder))) return 1
  if (LONG.some((start) => file.startsWith(start))) return 4
  return file.startsWith('test/e2e/') ? 2 : 3
}
