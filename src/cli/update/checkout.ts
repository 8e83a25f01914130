import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '../../domain/errors.ts'
import type { Environment } from '../host.ts'
import { printed } from './run.ts'

/** A state of the program: `ref` is what git calls it, `version` what its package says. */
export type Release = { ref: string; commit: string; version: string }

const RELEASE_TAG = /^v\d+\.\d+\.\d+$/
const packageFile = z.object({ version: z.string() })

/** The git folder that the program runs from. */
export class Checkout {
  readonly project: string
  readonly #env: Environment

  constructor({ project, env }: { project: string; env: Environment }) {
    this.project = project
    this.#env = env
  }

  /** Where it stands now: a branch stays one when it is gone back to. Throws where nothing could be switched safely. */
  async current(): Promise<Release> {
    if (!existsSync(path.join(this.project, '.git'))) throw notFromGit(this.project)
    const changed = (await this.#git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!groups')).trim()
    if (changed !== '') throw hasChanges(changed)
    const branch = await this.#git('symbolic-ref', '-q', '--short', 'HEAD').catch(() => '')
    return this.#release(branch.trim() || (await this.#git('rev-parse', 'HEAD')).trim())
  }

  /** The release that was asked for, else the newest; or what is here, where that has the newest in it. */
  async wanted(tag: string | undefined): Promise<Release> {
    if ((await this.#git('remote')).trim() !== '') await this.#git('fetch', '--quiet', '--tags')
    const tags = await this.#tags()
    const found = tag === undefined ? tags[0] : tags.find((name) => name === tag || name === `v${tag}`)
    if (found === undefined) throw noSuchRelease(tag, tags)
    const isHere = tag === undefined && (await this.#tags('--merged', 'HEAD')).includes(found)
    return this.#release(isHere ? 'HEAD' : found)
  }

  /** Releases, the newest first. */
  async #tags(...which: string[]): Promise<string[]> {
    const names = await this.#git('tag', '--list', '--sort=-v:refname', ...which)
    return names.split('\n').filter((name) => RELEASE_TAG.test(name))
  }

  /** The files of another release, able to run, beside this one; gone when `use` is over. */
  async beside<T>(release: Release, use: (folder: string) => Promise<T>): Promise<T> {
    const place = path.join(this.project, '.runtime')
    mkdirSync(place, { recursive: true })
    const folder = path.join(mkdtempSync(path.join(place, 'trial-')), 'nanoclaw')
    try {
      await this.#git('worktree', 'add', '--quiet', '--detach', folder, release.commit)
      if (await this.#hasSameLibraries(release)) lendLibraries(this.project, folder)
      return await use(folder)
    } finally {
      rmSync(path.dirname(folder), { recursive: true, force: true })
      await this.#git('worktree', 'prune')
    }
  }

  /** Puts another release in the place of this one. What people and agents wrote into files that git tracks stays as it is. */
  async switchTo(release: Release): Promise<void> {
    const written = (await this.#git('diff', '--name-only', '-z', 'HEAD', '--', 'groups')).split('\0').filter(Boolean)
    const aside = mkdtempSync(path.join(this.project, '.runtime', 'written-'))
    const kept = written.filter((name) => lstatSync(path.join(this.project, name), { throwIfNoEntry: false }))
    for (const [at, name] of kept.entries()) renameSync(path.join(this.project, name), path.join(aside, String(at)))
    try {
      if (written.length > 0) await this.#git('checkout', '--quiet', 'HEAD', '--', ...written)
      await this.#git('checkout', '--quiet', release.ref)
    } finally {
      for (const [at, name] of kept.entries()) {
        mkdirSync(path.dirname(path.join(this.project, name)), { recursive: true })
        renameSync(path.join(aside, String(at)), path.join(this.project, name))
      }
      rmSync(aside, { recursive: true, force: true })
    }
  }

  async #release(ref: string): Promise<Release> {
    const commit = (await this.#git('rev-parse', `${ref}^{commit}`)).trim()
    const { version } = packageFile.parse(JSON.parse(await this.#git('show', `${commit}:package.json`)))
    return { ref, commit, version }
  }

  async #hasSameLibraries({ commit }: Release): Promise<boolean> {
    return (await this.#git('diff', '--name-only', 'HEAD', commit, '--', 'package-lock.json')).trim() === ''
  }

  #git(...args: string[]): Promise<string> {
    return printed({ argv: ['git', ...args], cwd: this.project, env: this.#env })
  }
}

/** The same libraries need not be fetched again. What the workspaces are is the other release's own: links within it. */
function lendLibraries(project: string, folder: string): void {
  const [from, to] = [path.join(project, 'node_modules'), path.join(folder, 'node_modules')]
  if (!existsSync(from)) return
  mkdirSync(path.join(to, '@nanoclaw'), { recursive: true })
  for (const name of readdirSync(from)) if (name !== '@nanoclaw') symlinkSync(path.join(from, name), path.join(to, name))
  const own = path.join(from, '@nanoclaw')
  for (const name of readdirSync(own)) symlinkSync(readlinkSync(path.join(own, name)), path.join(to, '@nanoclaw', name))
}

function notFromGit(project: string): AppError {
  const message = `${project} is not a git clone, so it cannot be updated from git. Get the new version the way you got this one.`
  return new AppError({ code: 'input.update', fault: 'user', message })
}

function hasChanges(changed: string): AppError {
  const message = `Files of the program were changed, and an update would lose that. Nothing was done. Commit or undo:\n${changed}`
  return new AppError({ code: 'input.update', fault: 'user', message })
}

function noSuchRelease(tag: string | undefined, tags: readonly string[]): AppError {
  const what = tag === undefined ? 'There is no release to update to.' : `There is no release ${tag}.`
  const message = `${what} Releases: ${tags.slice(0, 10).join(', ') || 'none'}.`
  return new AppError({ code: 'input.update', fault: 'user', message })
}
