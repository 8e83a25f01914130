import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { lines } from '@nanoclaw/protocol'
import type { Random } from '../../src/cli/bench/random.ts'
import { AgentRun } from '../../src/container/agent-run.ts'
import { ManualClock } from '../fakes/clock.ts'
import { FakeContainer } from '../fakes/container.ts'
import { altered, anything, garbled } from './hostile-json.ts'

const LONGEST = 64

/** However bytes come in pieces, their lines are the same, and no more of one is held than may be. */
export async function lineForms(random: Random): Promise<void> {
  const bytes = Buffer.from(Array.from({ length: random.below(200) }, () => random.pick([10, 10, 13, 0, 0xc3, 0xa4, 120, 123])))
  const cut: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(100)
    cut.push(bytes.subarray(at, end))
    at = end
  }
  const found = await Array.fromAsync(lines(from(cut), LONGEST))
  assert.deepEqual(found, await Array.fromAsync(lines(from([bytes]), LONGEST)))
  for (const line of found) {
    const length = line.type === 'line' ? Buffer.byteLength(line.text) : line.bytes
    // What is no UTF-8 takes three bytes for each of its own when it is shown.
    assert.ok(line.type === 'line' ? length <= 3 * LONGEST && !line.text.includes('\n') : length > LONGEST)
  }
}

async function* from(pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}

/** Whatever a container prints ends its turn with words or a reason, and only a result that names the turn ends it well. */
export async function frames(random: Random): Promise<void> {
  const container = new FakeContainer()
  const uuid = randomUUID()
  const kept: string[] = []
  const log = {
    section: () => {},
    line: (_: string, text: string) => kept.push(text),
    redact: (text: string) => text,
    close: () => {},
  }
  const listener = { onSession: () => {}, onActivity: ({ detail }: { detail: string }) => assert.equal(typeof detail, 'string') }
  const run = new AgentRun({ name: 'fuzz', container, clock: new ManualClock(), log, listener, limit: () => undefined })
  run.push({ uuid, prompt: 'hi', chatJid: 'local:main', earlier: [], siblings: [], timeoutMs: 60_000 })
  container.stdin.resume()
  const printed = Array.from({ length: 1 + random.below(4) }, () => line(random, uuid))
  for (const bytes of printed) container.stdout.write(bytes)
  container.exit({ code: 1 })
  const { requests, outcome } = await run.settled()
  await run.ended
  assert.deepEqual(
    requests.map((request) => request.uuid),
    [uuid],
  )
  if (outcome.type === 'answered') {
    assert.ok(outcome.text === null || typeof outcome.text === 'string')
    assert.ok(Buffer.concat(printed).includes(uuid), 'what ends a turn well names it')
  }
  assert.ok(outcome.type !== 'failed' || (outcome.reason !== 'budget' && outcome.detail.length <= 1_000))
}

function line(random: Random, uuid: string): Buffer {
  const value = random.chance(0.1) ? anything(random) : altered(frame(random, uuid), random)
  return Buffer.concat([garbled(Buffer.from(JSON.stringify(value)), random), Buffer.from(random.chance(0.9) ? '\n' : '')])
}

function frame(random: Random, uuid: string): object {
  const consumed = random.pick([[uuid], [], [randomUUID()], [randomUUID(), uuid], [uuid, uuid]])
  return random.pick([
    { type: 'ready' },
    { type: 'session', sessionId: 's' },
    { type: 'activity', kind: 'tool', detail: 'Bash' },
    { type: 'result', status: 'success', result: 'words', consumed, newSessionId: 's' },
    {
      type: 'result',
      status: 'error',
      result: null,
      consumed,
      error: 'x'.repeat(random.below(3_000)),
      errorClass: random.pick(CLASSES),
    },
  ])
}

const CLASSES = [
  'login',
  'rate-limit',
  'overload',
  'session-lost',
  'too-large',
  'budget',
  'interrupted',
  'setup',
  'billing',
  'crash',
  'owner',
]
