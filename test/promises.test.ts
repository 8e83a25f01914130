import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { PROJECT } from '../src/config.ts'

// A promise that rejects while nobody waits for it ends the host, and so does a timer or a listener that throws. The linter
// finds promises that are left alone (noFloatingPromises), except where `void` says that it is meant: each such place is here,
// with the reason why it cannot reject. Everything else that nobody waits for goes through `inBackground`.
const CANNOT_REJECT: Record<string, string> = {
  'app/group-queue.ts': 'Lane.kill and #leave never reject',
  'app/lane.ts': 'AgentRun.ended never rejects',
  'app/outbox.ts': 'no promise: Map.delete',
  'app/turn-ledger.ts': 'no promise: a row is written',
  'cli/backup/make-backup.ts': 'no promise: Array.push',
  'cli/backup/read-backup.ts': 'settle hands what fails to its stream',
  'cli/backup/unpack.ts': 'no promise: Map.set',
  'container/agent-run.ts': 'AgentRun.kill never rejects: it tries again',
  'gateway/gateway-run.ts': '#followed never rejects',
  'gateway/judging.ts': 'a pause never rejects',
  'hostile-tree.ts': 'no promise: Array.push',
  'index.ts': 'no promise: rows are removed',
  'web/channels-api.ts': 'loggingIn only fills a list',
}

test('each promise that nobody waits for is one that cannot reject', () => {
  const src = path.join(PROJECT, 'src')
  const files = globSync('**/*.ts', { cwd: src }).filter((file) => !/\.test\.ts$|^cli\/bench\/|^demo\//.test(file))
  assert.ok(files.length > 200, 'the files were found')
  const voided = files.filter((file) =>
    /(^|[^\w'`])void [\w#(]/m.test(withoutComments(readFileSync(path.join(src, file), 'utf8'))),
  )
  assert.deepEqual(voided.sort(), Object.keys(CANNOT_REJECT).sort())
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '')
}

test('the linter finds promises that are left alone', () => {
  const { linter } = JSON.parse(readFileSync(path.join(PROJECT, 'biome.json'), 'utf8'))
  assert.equal(linter.rules.nursery.noFloatingPromises, 'error')
})
