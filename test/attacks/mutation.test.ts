import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { patience } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import { MUTANTS, type Mutant } from './mutants.ts'

const COPIED = ['src', 'test', 'protocol', 'container', 'groups', 'package.json', 'tsconfig.json']
const ends: (() => unknown)[] = []
let copy: string

before(() => {
  copy = temporaryFolder({ after: (end) => ends.push(end) })
  for (const name of COPIED) cpSync(path.join(PROJECT, name), path.join(copy, name), { recursive: true, dereference: false })
  symlinkSync(path.join(PROJECT, 'node_modules'), path.join(copy, 'node_modules'))
})
after(() => {
  for (const end of ends) end()
})

/** Runs tests of the copy; true when they all pass. */
function pass(tests: string[]): Promise<boolean> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  return new Promise((resolve) => {
    execFile(process.execPath, ['--test', ...tests], { cwd: copy, env, timeout: patience(600_000) }, (error) =>
      resolve(error === null),
    )
  })
}

function broken({ file, from, to }: Mutant): { text: string; restore(): void } {
  const place = path.join(copy, file)
  const whole = readFileSync(place, 'utf8')
  assert.equal(whole.split(from).length, 2, `${file} has this line once: ${from}`)
  writeFileSync(
    place,
    whole.replace(from, () => to),
  )
  return { text: `${file}: ${from} -> ${to}`, restore: () => writeFileSync(place, whole) }
}

test('the tests of every policy pass while it is whole', async () => {
  assert.ok(await pass([...new Set(MUTANTS.flatMap(({ tests }) => tests))]))
})

for (const mutant of MUTANTS) {
  test(`broken policy is noticed: ${mutant.file}: ${mutant.from} -> ${mutant.to || 'nothing'}`, async () => {
    const { text, restore } = broken(mutant)
    try {
      assert.ok(!(await pass(mutant.tests)), `nobody noticed: ${text}`)
    } finally {
      restore()
    }
  })
}
