import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUnusedLocals: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ['src', 'protocol', 'container', 'test'],
}
const PACKAGES: Record<string, string> = {
  'package.json': JSON.stringify({ type: 'module', workspaces: ['protocol'] }),
  'package-lock.json': '{}',
  'tsconfig.json': JSON.stringify(TSCONFIG),
  '.gitignore': 'node_modules/\n',
  'protocol/package.json': JSON.stringify({ name: '@nanoclaw/protocol', type: 'module', exports: './index.ts' }),
}

/** A project of the same shape as this one, in a git repository whose only commit has no sources. */
export function smallProject(t: Pick<TestContext, 'after'>, files: Record<string, string>): string {
  const project = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-small-')))
  t.after(() => rmSync(project, { recursive: true, force: true }))
  writeAll(project, PACKAGES)
  mkdirSync(path.join(project, 'node_modules/@nanoclaw'), { recursive: true })
  symlinkSync('../../protocol', path.join(project, 'node_modules/@nanoclaw/protocol'))
  for (const name of ['@types', 'undici-types'])
    symlinkSync(path.join(PROJECT, 'node_modules', name), path.join(project, 'node_modules', name))
  git(project, 'init', '--quiet')
  commit(project)
  writeAll(project, files)
  return project
}

export function writeAll(project: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(project, name)), { recursive: true })
    writeFileSync(path.join(project, name), text, { mode: name.endsWith('.sh') ? 0o755 : 0o644 })
  }
}

export function commit(project: string): void {
  git(project, 'add', '--all')
  git(project, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', 'commit', '--quiet', '--message', 'Test')
}

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', args, { cwd })
}
