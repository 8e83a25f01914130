import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from './rooms.ts'

/** Prometheus' own checker: this machine's, or unpacked from Debian's package, installing nothing; undefined where neither can be. */
export function promtool(t: TestContext): string | undefined {
  if (spawnSync('promtool', ['--version']).status === 0) return 'promtool'
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return undefined
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-promtool-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  try {
    download(folder)
    const [deb = ''] = readdirSync(folder).filter((name) => name.endsWith('.deb'))
    execFileSync('dpkg', ['-x', deb, 'unpacked'], { cwd: folder })
  } catch {
    return undefined
  }
  const tool = path.join(folder, 'unpacked', 'usr', 'bin', 'promtool')
  return existsSync(tool) ? tool : undefined
}

function download(folder: string): void {
  const options = { cwd: folder, stdio: 'pipe' } as const
  if (spawnSync('apt-get', ['download', 'prometheus'], options).status === 0) return
  execFileSync('apt-get', ['update', '-q'], options)
  execFileSync('apt-get', ['download', 'prometheus'], options)
}
