import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentCommandOf, commandOf } from './command.ts'

const name = (text: string) => commandOf(text, '@Andy')?.name

test('a command stands alone, in any case, also behind the trigger', () => {
  assert.deepEqual(['/stop', ' /STOP ', '@Andy /stop', '@andy  /Stop', '/new  hard'].map(name), [
    'stop',
    'stop',
    'stop',
    'stop',
    'new hard',
  ])
  assert.deepEqual(
    ['/stopp', '/stop now', 'please /stop', 'stop', '/', '', '@Andy', '/unknown'].map(name),
    Array(8).fill(undefined),
  )
})

test('/compact is for the agent, as it is', () => {
  assert.equal(agentCommandOf('@Andy /compact', '@Andy'), '/compact')
  assert.equal(agentCommandOf('/compact please', '@Andy'), undefined)
  assert.equal(commandOf('/compact', '@Andy'), undefined)
})

test('words that mean something to JavaScript are no commands', () => {
  for (const text of ['constructor', '__proto__', 'toString']) assert.equal(commandOf(text, '@Andy'), undefined)
})
