import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { attempt, inBackground } from './attempt.ts'

test('work that throws or rejects, at once or later, is a line of the log and nothing else', async () => {
  const logged: string[] = []
  const log = { error: (text: string) => void logged.push(text) }
  const failing: (() => unknown)[] = [
    () => {
      throw new Error('at once')
    },
    async () => {
      throw new Error('as a promise')
    },
    async () => {
      await new Promise(setImmediate)
      throw 'later'
    },
    () => 'fine',
  ]
  for (const work of failing) inBackground({ what: 'It failed', log }, work)
  assert.deepEqual(logged, [], 'even the log is written after the caller went on')
  await hasTheChance()
  assert.deepEqual(logged, ['It failed: at once', 'It failed: as a promise', 'It failed: later'])
})

test('work begins at once', () => {
  let begun = false
  inBackground({ what: 'It failed', log: { error: () => assert.fail() } }, () => (begun = true))
  assert.equal(begun, true)
})

const broken = () => {
  throw new Error('broken')
}

test('an attempt tells whether its work succeeded, and logs why not', () => {
  const logged: string[] = []
  const log = { error: (text: string) => void logged.push(text) }
  assert.deepEqual([attempt({ what: 'It failed', log }, () => {}), attempt({ what: 'It failed', log }, broken)], [true, false])
  assert.deepEqual(logged, ['It failed: broken'])
})

test('a log that fails as well becomes no second error', async () => {
  const silent = { what: 'It failed', log: { error: broken } }
  assert.equal(attempt(silent, broken), false)
  inBackground(silent, broken)
  await hasTheChance()
})
