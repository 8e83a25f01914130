import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os, { availableParallelism } from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { broken, MUTANTS, type Mutant } from './mutants.ts'
import { runSchedules } from './runs.ts'

/** Far more than any of them needs. */
const SCHEDULES = 4_000

suite('every break of the rules is noticed by the simulation', { concurrency: availableParallelism() }, () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-mutants-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const [n, mutant] of MUTANTS.entries())
    test(mutant.name, async (t) => {
      const project = copyWith(mutant, path.join(folder, String(n)))
      const { code, output } = await runSchedules({ from: 1, schedules: SCHEDULES, project, signal: t.signal })
      assert.notEqual(code, 0, 'nothing was noticed')
      assert.match(output, /Seed \d+/, output)
      t.diagnostic(output.trim().split('\n').slice(-2).join(' '))
    })
})

/** The sources with one break; everything else is the project's own. */
function copyWith(mutant: Mutant, project: string): string {
  for (const part of ['src', 'test/sim', 'test/fakes', 'package.json'])
    cpSync(path.join(PROJECT, part), path.join(project, part), { recursive: true })
  for (const part of ['node_modules', 'container', 'protocol']) symlinkSync(path.join(PROJECT, part), path.join(project, part))
  const file = path.join(project, mutant.file)
  writeFileSync(file, broken(mutant, readFileSync(file, 'utf8')))
  return project
}
