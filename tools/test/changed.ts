import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { ImportGraph } from '../mutate/import-graph.ts'

const CODE = ['{src,protocol,test,tools}/**/*.ts', 'container/agent-runner/src/*.ts']

/** Paths, relative to the project, that differ from a commit, with what git does not know yet. Throws for an unknown commit. */
export function changedSince({ project, ref }: { project: string; ref: string }): string[] {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const lists = [git('diff', '--name-only', '-z', ref, '--'), git('ls-files', '--others', '--exclude-standard', '-z')]
  return [...new Set(lists.join('').split('\0').filter(Boolean))]
}

/**
 * The test files that lead to a changed one over their imports, transitively. Where the changed file is no module (a
 * document, a migration, a part of the image), those that name it, or lead to a module that does. Paths are relative to
 * the project.
 */
export function testsOfChange({ project, changed }: { project: string; changed: readonly string[] }): string[] {
  const files = globSync(CODE, { cwd: project }).map((file) => ({ file, text: readFileSync(path.join(project, file), 'utf8') }))
  const graph = new ImportGraph(files)
  const others = changed.filter((file) => !file.endsWith('.ts')).map((file) => path.basename(file))
  const naming = files.filter(({ text }) => others.some((name) => text.includes(name))).map(({ file }) => file)
  const wanted = [...changed, ...naming]
  return files
    .map(({ file }) => file)
    .filter((file) => file.endsWith('.test.ts') && wanted.some((one) => graph.reachedFrom(file).has(one)))
    .sort()
}
