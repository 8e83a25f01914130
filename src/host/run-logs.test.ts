import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { RunLogPruning } from './run-logs.ts'

const NOON = Date.UTC(2026, 0, 31, 12)
const HOUR = 3_600_000
const log = { debug() {}, info() {}, warn() {}, error() {}, close() {}, redact: (text: string) => text }

test('of each group the newest logs of runs stay, and whatever else is there', async (t) => {
  const { root, write, left, prune } = office(t, ['main', 'family'])
  for (const folder of ['main', 'family'])
    for (const hours of [1, 2, 3]) write(path.join(root, 'groups', folder, 'logs', `container-${hours}.log`), hours)
  write(path.join(root, 'groups', 'main', 'logs', 'notes.txt'), 900)
  await prune()
  assert.deepEqual(left('main'), ['container-1.log', 'container-2.log', 'notes.txt'])
  assert.deepEqual(left('family'), ['container-1.log', 'container-2.log'])
})

test('it is done once an hour', async (t) => {
  const { root, write, left, prune, pass } = office(t, ['main'])
  await prune()
  for (const hours of [1, 2, 3]) write(path.join(root, 'groups', 'main', 'logs', `container-${hours}.log`), hours)
  await prune()
  assert.equal(left('main').length, 3)
  pass(HOUR)
  await prune()
  assert.equal(left('main').length, 2)
})

test('a link in place of the logs, or of the whole group, leads nowhere', async (t) => {
  const { root, write, prune } = office(t, ['main', 'family'])
  const outside = path.join(root, 'outside')
  for (const hours of [1, 2, 3]) write(path.join(outside, 'logs', `container-${hours}.log`), hours)
  for (const [place, target] of [
    ['main/logs', 'outside/logs'],
    ['family', 'outside'],
  ] as const) {
    rmSync(path.join(root, 'groups', place), { recursive: true })
    symlinkSync(path.join(root, target), path.join(root, 'groups', place))
  }
  await prune()
  assert.equal(readdirSync(path.join(outside, 'logs')).length, 3)
})

test('groups that cannot be read are a line of the log', async () => {
  const errors: string[] = []
  const store = {
    groups: {
      all: () => {
        throw new Error('the disk is broken')
      },
    },
  } as unknown as ConstructorParameters<typeof RunLogPruning>[0]['store']
  const quiet = { ...log, error: (text: string) => void errors.push(text) }
  const pruning = new RunLogPruning({ root: '/nowhere', store, log: quiet, now: () => NOON })
  pruning.check()
  await pruning.settled()
  await hasTheChance()
  assert.deepEqual(errors, ['Old logs of runs stay for another hour: the disk is broken'])
})

/** A root with these groups, each of which keeps two logs. */
function office(t: TestContext, folders: string[]) {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-run-logs-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const folder of folders) mkdirSync(path.join(root, 'groups', folder, 'logs'), { recursive: true })
  let now = NOON
  const all = folders.map((folder) => ({ folder, name: folder, isMain: false, config: {} }))
  const store = { groups: { all: () => all } } as unknown as ConstructorParameters<typeof RunLogPruning>[0]['store']
  const keep = { files: 2, bytes: 1e9, ageMs: 100 * HOUR }
  const pruning = new RunLogPruning({ root, store, log, now: () => now, keep })
  const write = (file: string, hoursAgo: number) => {
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, 'x')
    utimesSync(file, (NOON - hoursAgo * HOUR) / 1_000, (NOON - hoursAgo * HOUR) / 1_000)
  }
  const prune = () => {
    pruning.check()
    return pruning.settled()
  }
  const left = (folder: string) => readdirSync(path.join(root, 'groups', folder, 'logs')).sort()
  return { root, write, left, prune, pass: (ms: number) => (now += ms) }
}
