import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { NO_TOKENS } from '../domain/model-price.ts'
import { Store } from '../store/store.ts'
import { usageCommand } from './usage.ts'

/** What `usage` prints on this root. */
async function usage(root: string, ...args: string[]): Promise<string> {
  let printed = ''
  const program = new Command().exitOverride()
  const env = { NANOCLAW_HOME: root, TZ: 'UTC', BUDGET_DAY_TOKENS: '1000' }
  usageCommand(program, { env, print: (text) => (printed += text), say: () => {}, done: () => {} })
  await program.parseAsync(['usage', ...args], { from: 'user' })
  return printed
}

function rootWithUse(t: TestContext): string {
  const root = temporaryFolder(t)
  const store = Store.open(path.join(root, 'store', 'messages.db'))
  store.groups.add({ folder: 'family', name: 'Family', isMain: false, config: { budget: { monthUsd: 4 } } }, 0)
  const tokens = { ...NO_TOKENS, input: 100, cacheWrite: 50, cacheRead: 7_000, output: 350 }
  store.usage.add({ ...tokens, at: Date.now(), folder: 'family', model: 'claude-x\u001b[31m', nanoUsd: 1_000_000_000 })
  store.close()
  return root
}

test('usage is shown by day and month, for groups, models and all, with how far budgets are used up', async (t) => {
  const text = await usage(rootWithUse(t))
  const [day = '', month = ''] = text.split('\n\n')
  assert.match(day, /^This day: \d{4}-\d\d-\d\d 00:00 to .* \(UTC\)\nGROUP +CALLS +INPUT +CACHED +OUTPUT +USD +BUDGET$/m)
  assert.match(day, /^family +1 +150 +7,000 +350 +1\.00 +-$/m)
  assert.match(day, /^all +1 +150 +7,000 +350 +1\.00 +1,000 tokens: 50% used$/m)
  assert.match(month, /^family +1 .* 4 USD: 25% used$/m)
  assert.match(month, /^\(claude-x.*\) +1 /m)
  assert.ok(!text.includes('\u001b'))
})

test('usage as JSON has the same figures, and a root on which nothing was done has none', async (t) => {
  const { all, groups } = JSON.parse(await usage(rootWithUse(t), '--json'))
  assert.deepEqual([all.day.countedTokens, all.day.usd, all.budget], [500, 1, { dayTokens: 1_000 }])
  assert.deepEqual([groups[0].folder, groups[0].month.calls, groups[0].budget], ['family', 1, { monthUsd: 4 }])
  const empty = JSON.parse(await usage(temporaryFolder(t), '--json'))
  assert.deepEqual([empty.all.month.calls, empty.groups, empty.models], [0, [], []])
})
