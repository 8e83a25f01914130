import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { PROJECT } from '../../src/config.ts'
import { type TestContext, temporaryFolder } from './rooms.ts'

/** What a program is made of, as far as it can run without an image. */
export const PROGRAM = [
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

/**
 * Releases of this very program in a git repository of their own, and a clone of it at `v0.1.0`, able to run. `first`: the
 * folder of another program, which is the first release.
 */
export class Releases {
  readonly #origin: string
  readonly clone: string

  constructor(t: TestContext, { first = PROJECT }: { first?: string } = {}) {
    const folder = temporaryFolder(t)
    this.#origin = path.join(folder, 'origin')
    this.clone = path.join(folder, 'nanoclaw')
    this.#take(first)
    this.#write('.gitignore', IGNORED.join('\n'))
    // The image is none of these tests' business.
    this.#write('container/build.sh', '#!/bin/sh\nexit 0\n')
    chmodSync(path.join(this.#origin, 'container/build.sh'), 0o755)
    this.#git('init', '--quiet', '--initial-branch=main')
    this.release('0.1.0', {})
    execFileSync('git', ['clone', '--quiet', this.#origin, this.clone])
    linkLibraries(path.join(this.clone, 'node_modules'))
  }

  /** Tags a release that is this very program, with these files in it. */
  releaseOfThis(version: string, files: Record<string, string>): void {
    this.#take(PROJECT)
    this.release(version, files)
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

  #take(program: string): void {
    const filter = (source: string) => path.basename(source) !== 'node_modules'
    for (const name of PROGRAM) {
      rmSync(path.join(this.#origin, name), { recursive: true, force: true })
      cpSync(path.join(program, name), path.join(this.#origin, name), { recursive: true, filter })
    }
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

/** The libraries are this program's own. What the workspaces are is the clone's: the links of npm lead there. */
function linkLibraries(to: string): void {
  const from = path.join(PROJECT, 'node_modules')
  mkdirSync(path.join(to, '@nanoclaw'), { recursive: true })
  for (const name of readdirSync(from)) if (name !== '@nanoclaw') symlinkSync(path.join(from, name), path.join(to, name))
  for (const name of readdirSync(path.join(from, '@nanoclaw')))
    symlinkSync(readlinkSync(path.join(from, '@nanoclaw', name)), path.join(to, '@nanoclaw', name))
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
