import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** For each file the parts that ran: start, end, start, end... */
export type Coverage = Record<string, number[]>

type Range = { startOffset: number; endOffset: number; count: number }
type Report = { result: { url: string; functions: { ranges: Range[] }[] }[] }

/** What all the processes that left a report in `folder` ran of these files, which are named from the project's folder on. */
export function readCoverage({
  folder,
  project,
  files,
}: {
  folder: string
  project: string
  files: ReadonlySet<string>
}): Coverage {
  const ran = new Map<string, Uint8Array>()
  for (const name of readdirSync(folder)) {
    const report = JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Report
    for (const { url, functions } of report.result) {
      const file = url.startsWith('file:') ? path.relative(project, fileURLToPath(url)) : ''
      if (!files.has(file)) continue
      const here = painted(functions.flatMap(({ ranges }) => ranges))
      const before = ran.get(file)
      ran.set(file, before ? either(before, here) : here)
    }
  }
  return Object.fromEntries([...ran].map(([file, marks]) => [file, intervals(marks)]))
}

export function covers(coverage: Coverage, { file, start }: { file: string; start: number }): boolean {
  const parts = coverage[file] ?? []
  return parts.some((from, n) => n % 2 === 0 && from <= start && start < (parts[n + 1] ?? 0))
}

/** The innermost range says whether a place ran, so the inner ones are painted over the outer ones. */
function painted(ranges: Range[]): Uint8Array {
  const marks = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)))
  const outerFirst = ranges.toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of outerFirst) marks.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  return marks
}

function either(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((mark, n) => mark | (b[n] ?? 0))
}

function intervals(marks: Uint8Array): number[] {
  const edges: number[] = []
  marks.forEach((mark, n) => {
    if (mark !== (marks[n - 1] ?? 0)) edges.push(n)
  })
  if (edges.length % 2 === 1) edges.push(marks.length)
  return edges
}
