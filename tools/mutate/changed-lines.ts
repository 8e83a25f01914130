import { execFileSync } from 'node:child_process'

export type ChangedLines = (file: string, line: number) => boolean

const FILE = /^\+\+\+ b\/(.*)$/
const HUNK = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/

/** The lines that differ from a commit; of a file that git does not know yet, all. Throws for an unknown commit. */
export function changedLines({ project, ref }: { project: string; ref: string }): ChangedLines {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: project, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
  const fresh = new Set(git('ls-files', '-z', '--others', '--exclude-standard').split('\0'))
  const changed = changesIn(
    git('diff', '--unified=0', '--no-color', '--no-ext-diff', '--src-prefix=a/', '--dst-prefix=b/', ref, '--'),
  )
  return (file, line) => fresh.has(file) || (changed.get(file)?.has(line) ?? false)
}

export function changesIn(diff: string): Map<string, Set<number>> {
  const changed = new Map<string, Set<number>>()
  let lines = new Set<number>()
  for (const text of diff.split('\n')) {
    const file = FILE.exec(text)?.[1]
    if (file !== undefined) {
      lines = new Set()
      changed.set(file, lines)
    }
    const hunk = HUNK.exec(text)
    const first = Number(hunk?.[1])
    const count = Number(hunk?.[2] ?? 1)
    if (hunk) for (let line = first; line < first + count; line++) lines.add(line)
  }
  return changed
}
