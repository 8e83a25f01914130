// `container/build.sh --hash` tells whether an image is still made of the files that are here. No engine is asked.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, beforeEach, test } from 'node:test'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const INPUTS = ['.dockerignore', '.npmrc', 'container', 'package.json', 'package-lock.json', 'protocol', 'runtime']

const scratch = mkdtempSync(path.join(tmpdir(), 'image-inputs-'))
after(() => rmSync(scratch, { recursive: true }))

let project: string
beforeEach(() => {
  project = mkdtempSync(path.join(scratch, 'project-'))
  for (const input of INPUTS)
    cpSync(path.join(PROJECT, input), path.join(project, input), {
      recursive: true,
      filter: (source) => !source.includes('node_modules'),
    })
})

function hash(settings: Record<string, string> = {}): string {
  const { stdout, stderr, status } = spawnSync(path.join(project, 'container/build.sh'), ['--hash'], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...settings },
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^[0-9a-f]{16}\n$/)
  return stdout
}

function change(file: string, edit: (text: string) => string): void {
  const before = readFileSync(path.join(project, file), 'utf8')
  const after = edit(before)
  assert.notEqual(after, before)
  writeFileSync(path.join(project, file), after)
}

/** The lockfile with another version of one package. */
function relock(name: string): void {
  change('package-lock.json', (text) => text.replace(new RegExp(`("node_modules/${name}": {\\s*"version": )"`), '$1"0.0.0-'))
}

test('the same files have the same hash in another folder', () => {
  const here = hash()
  project = PROJECT
  assert.equal(hash(), here)
})

for (const file of [
  'container/agent-runner/src/main.ts',
  'container/agent-runner/build.mjs',
  'container/Dockerfile',
  'container/build.sh',
  'container/skills/browser/SKILL.md',
  'protocol/index.ts',
  'runtime/package-lock.json',
])
  test(`a change of ${file} changes the hash`, () => {
    const before = hash()
    change(file, (text) => `${text}\n`)
    assert.notEqual(hash(), before)
  })

for (const name of ['@anthropic-ai/claude-agent-sdk', 'zod', 'esbuild', 'agent-browser', 'ajv'])
  test(`another version of ${name}, which the agent-runner leads to, changes the hash`, () => {
    const before = hash()
    relock(name)
    assert.notEqual(hash(), before)
  })

for (const name of ['better-sqlite3', 'pino', '@biomejs/biome', 'typescript'])
  test(`another version of ${name}, which only the host uses, leaves the hash`, () => {
    const before = hash()
    relock(name)
    assert.equal(hash(), before)
  })

test('tests and installed packages are no part of the image', () => {
  const before = hash()
  writeFileSync(path.join(project, 'container/agent-runner/src/another.test.ts'), '')
  mkdirSync(path.join(project, 'container/agent-runner/node_modules'))
  writeFileSync(path.join(project, 'container/agent-runner/node_modules/x.js'), '')
  assert.equal(hash(), before)
})

test('another base and the content of an EXTRA_CA_FILE count, from the environment as from .env', () => {
  const ca = path.join(scratch, 'ca.crt')
  writeFileSync(ca, 'one')
  const settings = { BASE_IMAGE: 'debian:12', EXTRA_CA_FILE: ca }
  const all = [hash(), hash({ BASE_IMAGE: 'debian:12' }), hash({ EXTRA_CA_FILE: ca }), hash(settings)]
  writeFileSync(path.join(project, '.env'), `BASE_IMAGE="debian:12"\nEXTRA_CA_FILE = ${ca}\n`)
  assert.equal(hash(), all[3])
  writeFileSync(ca, 'two')
  assert.equal(new Set([...all, hash()]).size, 5)
})

test('the lockfile pins every package by its content, and what the image needs for both processors', () => {
  const { packages } = JSON.parse(readFileSync(path.join(PROJECT, 'package-lock.json'), 'utf8'))
  const fetched = Object.entries<{ link?: boolean; integrity?: string }>(packages).filter(
    ([name, { link }]) => name.includes('node_modules/') && !link,
  )
  assert.deepEqual(
    fetched.filter(([, { integrity }]) => !integrity).map(([name]) => name),
    [],
  )
  for (const name of ['@anthropic-ai/claude-agent-sdk-linux', '@esbuild/linux'])
    for (const cpu of ['x64', 'arm64']) assert.ok(`node_modules/${name}-${cpu}` in packages, `${name}-${cpu}`)
})
