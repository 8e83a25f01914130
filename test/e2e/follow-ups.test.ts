import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { ControlClient } from '../../src/cli/control-client.ts'
import { TestHost } from '../fakes/host-process.ts'
import { patience } from '../fakes/patience.ts'

const ROUNDS = 100
const SEED = 20_260_131
const JID = 'local:main'

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What a round begins with, and how long it takes the model to get through it. */
const FIRST = [
  { text: '!slow 8 25', ms: 300 },
  { text: '!tool Bash {"command":"sleep 0.2; echo hi"}', ms: 400 },
  { text: '!echo quick', ms: 100 },
  { text: '!tool Bash {"command":"true"}', ms: 150 },
]

/** The answer to one message, however its turn ended. */
async function answerOf(client: ControlClient, seq: number): Promise<string> {
  for await (const event of client.outcome(JID, seq, AbortSignal.timeout(patience(60_000)))) {
    if (event.type === 'answer') return event.text ?? ''
    if (event.type === 'failed') throw new Error(event.message)
  }
  throw new Error(`message ${seq} got no outcome`)
}

test(`follow-ups at ${ROUNDS} random moments are each answered once, in order, by the real SDK`, async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const client = new ControlClient({ socketPath: path.join(host.root, 'data', 'nanoclaw.sock') })
  const next = random(SEED)
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  let sent = 0
  const say = async (text: string) => {
    sent++
    return (await client.send(JID, text)).seq
  }
  for (let round = 0; round < ROUNDS; round++) {
    const first = FIRST[Math.floor(next() * FIRST.length)] ?? assert.fail()
    const seqs = [await say(first.text)]
    const followUps = next() < 0.3 ? 2 : 1
    for (let n = 0; n < followUps; n++) {
      // Before it starts, in the middle of it, around its end, after it: the moment is the whole point of this test.
      await pause(next() * first.ms * 1.5)
      seqs.push(await say(`!echo follow-up ${round}.${n}`))
    }
    const answers = await Promise.all(seqs.map((seq) => answerOf(client, seq)))
    assert.ok(
      answers.every((answer) => answer.length > 0),
      `round ${round}: ${JSON.stringify(answers)}`,
    )
    const last = answers.at(-1) ?? ''
    // Two that Claude Code puts to the model together have one answer; the scripted model gives that to the first of them.
    assert.ok(last.includes(`follow-up ${round}.`) || /RESULT|hi|w7/.test(last), `round ${round}: ${last}`)
  }
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  t.after(() => db.close())
  const count = (sql: string) => db.prepare(sql).pluck().get()
  assert.equal(
    count('SELECT count(*) FROM messages WHERE is_bot_message = 0 AND turn_id IS NOT NULL'),
    sent,
    'every message was taken',
  )
  assert.equal(count("SELECT count(*) FROM turns WHERE state <> 'done'"), 0, 'every turn is done')
  assert.equal(
    count('SELECT count(*) FROM turns WHERE merged_into IS NULL'),
    count('SELECT count(*) FROM messages WHERE is_bot_message = 1'),
    'one answer each',
  )
  assert.ok(Number(count('SELECT count(*) FROM turns WHERE merged_into IS NOT NULL')) > 0, 'some were folded into a running turn')
})

test('closing a container waits for what is in flight', async (t) => {
  const host = await TestHost.create(t, { SHUTDOWN_GRACE: String(patience(30_000)) })
  await host.start()
  const client = new ControlClient({ socketPath: path.join(host.root, 'data', 'nanoclaw.sock') })
  const seqs = [(await client.send(JID, '!slow 10 100')).seq, (await client.send(JID, '!echo as well')).seq]
  await host.stop()
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  t.after(() => db.close())
  const states = db.prepare('SELECT DISTINCT state FROM turns').pluck().all()
  assert.equal(seqs.length, 2)
  assert.deepEqual(states, ['done'])
})
