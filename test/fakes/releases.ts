import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PROJECT } from '../../src/config.ts'
import { type TestContext, temporaryFolder } from './rooms.ts'

const PROGRAM = [
  '.npmrc',
  'nanoclaw',
  'package.json',
  'package-lock.json',
  'protocol',
  'runtime',
  'src',
  'groups/main/CLAUDE.md',
  'groups/global/CLAUDE.md',
]
const IGNORED = [
  'node_modules',
  '/.runtime/',
  '/.env',
  '/data/',
  '/store/',
  '/logs/',
  '/groups/*',
  '!/groups/main',
  '!/groups/global',
  '/backups/',
  '/before-restore-*/',
]
const MIGRATIONS = 'src/store/migrations'

/** Releases of this very program in a git repository of their own, and a clone of it at `v0.1.0`, able to run. */
export class Releases {
  readonly #origin: string
  readonly clone: string

  constructor(t: TestContext) {
    const folder = temporaryFolder(t)
    this.#origin = path.join(folder, 'origin')
    this.clone = path.join(folder, 'nanoclaw')
    for (const name of PROGRAM) {
      const filter = (source: string) => path.basename(source) !== 'node_modules'
      cpSync(path.join(PROJECT, name), path.join(this.#origin, name), { recursive: true, filter })
    }
    this.#write('.gitignore', IGNORED.join('\n'))
    // The image is none of these tests' business.
    this.#write('container/build.sh', '#!/bin/sh\nexit 0\n')
    chmodSync(path.join(this.#origin, 'container/build.sh'), 0o755)
    this.#git('init', '--quiet', '--initial-branch=main')
    this.release('0.1.0', {})
    execFileSync('git', ['clone', '--quiet', this.#origin, this.clone])
    symlinkSync(path.join(PROJECT, 'node_modules'), path.join(this.clone, 'node_modules'))
  }

  /** Tags a release with these files in it. */
  release(version: string, files: Record<string, string>): void {
    const [packageFile, name] = [path.join(this.#origin, 'package.json'), `v${version}`]
    const text = readFileSync(packageFile, 'utf8').replace(/"version": "[^"]*"/, `"version": "${version}"`)
    this.#write('package.json', text)
    for (const [file, content] of Object.entries(files)) this.#write(file, content)
    this.#git('add', '--all')
    this.#git('commit', '--quiet', '--allow-empty', '-m', name)
    this.#git('tag', name)
  }

  /** One whose database has a further table, which earlier ones do not understand. */
  static migration(sql: string): Record<string, string> {
    return { [`${MIGRATIONS}/9999-later.sql`]: `${sql}\n` }
  }

  /** One that takes over the database and then does not start. */
  static broken(): Record<string, string> {
    const text = readFileSync(path.join(PROJECT, 'src/index.ts'), 'utf8')
    return {
      'src/index.ts': text.replace(
        '  const feed = new Feed(log)\n',
        "  if (store) throw new Error('broken')\n  const feed = new Feed(log)\n",
      ),
    }
  }

  inClone(...parts: string[]): string {
    return path.join(this.clone, ...parts)
  }

  git(...args: string[]): string {
    return execFileSync('git', ['-C', this.clone, ...args], { encoding: 'utf8' }).trim()
  }

  #git(...args: string[]): void {
    const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']
    execFileSync('git', ['-C', this.#origin, ...who, ...args])
  }

  #write(name: string, content: string): void {
    const file = path.join(this.#origin, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
}

/** A host of a clone that is kept by us, as a service would keep it. */
export function keptHost({ clone, env }: { clone: string; env: NodeJS.ProcessEnv }) {
  const log: string[] = []
  let host: ReturnType<typeof spawn> | undefined
  return {
    log,
    start: async () => {
      log.push('start')
      host = spawn(path.join(clone, 'nanoclaw'), ['start'], { cwd: clone, env, stdio: 'ignore' })
    },
    stop: async () => {
      log.push('stop')
      const stopped = host
      host = undefined
      if (!stopped || stopped.exitCode !== null || stopped.signalCode !== null) return
      const gone = new Promise((resolve) => stopped.once('exit', resolve))
      stopped.kill('SIGTERM')
      await gone
    },
    settle: async () => void log.push('settle'),
  }
}
