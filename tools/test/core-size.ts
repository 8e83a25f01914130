import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'

/** What has to stay small enough to understand. */
const CORE = [
  'src/domain',
  'src/store',
  'src/app',
  'src/container',
  'src/container-runner.ts',
  'src/mount-security.ts',
  'src/files.ts',
  'src/hostile-tree.ts',
  'src/gateway',
  'container/agent-runner/src',
  'protocol',
]

/** Lines of the core without tests, blank lines and comments. A folder that does not exist yet has none. */
export function coreLines(project: string): number {
  const files = CORE.flatMap((place) => sources(path.join(project, place)))
  return files.reduce((sum, file) => sum + codeLines(readFileSync(file, 'utf8')), 0)
}

function sources(place: string): string[] {
  const found = statSync(place, { throwIfNoEntry: false })
  if (!found) return []
  if (found.isFile()) return [place]
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => path.join(place, name))
}

/** Counts lines that hold more than a comment. Comments that share a line with code do not matter to the count. */
export function codeLines(text: string): number {
  let inComment = false
  let count = 0
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    if (inComment) {
      inComment = !line.includes('*/')
    } else if (line.startsWith('/*')) {
      inComment = !line.includes('*/')
    } else if (line !== '' && !line.startsWith('//')) count++
  }
  return count
}

const manifest = z.object({ dependencies: z.record(z.string(), z.string()).default({}) })

/** Direct runtime dependencies: the host's with the protocol's, and the agent runner's, which are only in the image. */
export function dependencyCounts(project: string): { host: number; runner: number } {
  const names = (...folders: string[]) =>
    new Set(folders.flatMap((folder) => dependencies(path.join(project, folder, 'package.json')))).size
  return { host: names('.', 'protocol'), runner: names('container/agent-runner') }
}

function dependencies(file: string): string[] {
  const parsed = manifest.parse(JSON.parse(readFileSync(file, 'utf8')))
  return Object.keys(parsed.dependencies).filter((name) => !name.startsWith('@nanoclaw/'))
}
