import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { PROJECT } from '../src/config.ts'

/** What each part of the host may import; a part is a folder or file of `src`. Its own files, and packages, always. */
const MAY_IMPORT: Record<string, string[]> = {
  domain: [],
  'files.ts': [],
  store: ['domain', 'files.ts'],
  channels: ['domain'],
  runtimes: ['domain'],
  gateway: ['domain'],
  container: ['domain', 'runtimes/contract.ts'],
  'container-runner.ts': [
    'domain',
    'files.ts',
    'container',
    'runtimes/contract.ts',
    'gateway/model-exchange.ts',
    'gateway/egress.ts',
    'mount-security.ts',
  ],
  'mount-security.ts': ['domain'],
  'hostile-tree.ts': ['domain'],
  'folder-watch.ts': [],
  app: [
    'domain',
    'files.ts',
    'folder-watch.ts',
    'hostile-tree.ts',
    'mount-security.ts',
    'store',
    'container',
    'container-runner.ts',
    'channels/contract.ts',
    'runtimes/contract.ts',
  ],
  web: ['domain', 'store', 'app', 'channels/terminal.ts'],
  demo: ['domain'],
  'config.ts': ['domain'],
  'sender-allowlist.ts': ['domain'],
  'secrets.ts': ['config.ts', 'domain'],
  'log-files.ts': ['domain'],
  'log.ts': ['config.ts', 'domain', 'log-files.ts'],
  'transcription.ts': ['config.ts', 'domain'],
  'project.ts': ['domain', 'files.ts', 'container'],
  host: ['*'],
  'index.ts': ['*'],
  cli: ['*'],
}

type Import = { from: string; to: string }

/** Every relative import of the host's own code (not of its tests), as paths below `src`. */
function imports(): Import[] {
  const src = path.join(PROJECT, 'src')
  const files = globSync('**/*.ts', { cwd: src }).filter((file) => !file.endsWith('.test.ts'))
  return files.flatMap((file) => {
    const text = readFileSync(path.join(src, file), 'utf8')
    const found = [...text.matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)].map((match) => match[1] ?? '')
    return found.map((target) => ({ from: file, to: path.normalize(path.join(path.dirname(file), target)) }))
  })
}

const isRoot = (file: string) => file === 'index.ts' || partOf(file) === 'host'
const partOf = (file: string) => file.split('/')[0] ?? file

test('every part of the host imports only what its layer may', () => {
  const found = imports()
  assert.ok(found.length > 100, 'the imports were found')
  const wrong = found.filter(({ from, to }) => {
    const allowed = MAY_IMPORT[partOf(from)] ?? []
    if (to === '../package.json') return false
    return partOf(to) !== partOf(from) && !allowed.some((name) => name === '*' || name === to || name === partOf(to))
  })
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  )
})

test('every part of the host has a layer', () => {
  const files = globSync('**/*.ts', { cwd: path.join(PROJECT, 'src') }).filter((file) => !file.endsWith('.test.ts'))
  const parts = new Set(files.map(partOf))
  assert.deepEqual([...parts].sort(), Object.keys(MAY_IMPORT).sort())
})

test('the command line is imported by nobody, and what makes the host only by it', () => {
  const wrong = imports()
    .filter(({ from }) => partOf(from) !== 'cli')
    .filter(({ from, to }) => ['cli', 'index.ts'].includes(partOf(to)) || (partOf(to) === 'host' && !isRoot(from)))
  assert.deepEqual(wrong, [])
})

test('what only tests need is loaded by the test command and by bench alone', () => {
  const isTool = (from: string) => from === 'cli/commands.ts' || from.startsWith('cli/bench/')
  const wrong = imports().filter(({ from, to }) => /^\.\.\/(test|tools)\//.test(to) && !isTool(from))
  assert.deepEqual(wrong, [])
})

test('protocol and the agent runner import nothing of the host', () => {
  const files = globSync(['protocol/*.ts', 'container/agent-runner/src/*.ts'], { cwd: PROJECT })
  assert.ok(files.length > 10)
  const wrong = files.filter((file) => /from '\.\.\/.*src\//.test(readFileSync(path.join(PROJECT, file), 'utf8')))
  assert.deepEqual(wrong, [])
})

test('only the command line and the composition root read the environment, the arguments and the signals', () => {
  const files = globSync('**/*.ts', { cwd: path.join(PROJECT, 'src') }).filter(
    (file) => !file.endsWith('.test.ts') && partOf(file) !== 'cli' && file !== 'index.ts',
  )
  const wrong = files.filter((file) => /process\.(env|argv|on\()/.test(readFileSync(path.join(PROJECT, 'src', file), 'utf8')))
  assert.deepEqual(wrong, [])
})
