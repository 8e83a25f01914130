import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type HostFrame, type IpcResult, MAX_FRAME_BYTES } from '@nanoclaw/protocol'
import { ManualClock } from '../../test/fakes/clock.ts'
import { FakeContainer } from '../../test/fakes/container.ts'
import { until } from '../../test/fakes/patience.ts'
import { AgentRun, type ModelLimit, type TurnOutcome, type TurnRequest } from './agent-run.ts'
import { RunLog } from './run-log.ts'

const UUID = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'
const request: TurnRequest = { uuid: UUID, prompt: 'hi', chatJid: 'local:main', earlier: [], siblings: [], timeoutMs: 60_000 }

function start(t: { after(fn: () => void): void }, limit?: ModelLimit) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-run-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const clock = new ManualClock()
  const container = new FakeContainer()
  const heard: string[] = []
  const log = RunLog.create({ folder, at: new Date(), redact: (text) => text.replaceAll('s3cret', '[redacted]') })
  const listener = {
    onSession: (id: string) => heard.push(`session ${id}`),
    onActivity: ({ detail }: { detail: string }) => heard.push(detail),
  }
  const cleanUp = async () => {
    await new Promise(setImmediate)
    log.line('egress', 'a.example:443, 1 bytes up, 2 down')
  }
  const wrong: string[] = []
  const onWrongSetup = (why: string) => void wrong.push(why)
  const run = new AgentRun({
    name: 'nanoclaw-main-1',
    container,
    clock,
    log,
    listener,
    limit: () => limit,
    onWrongSetup,
    cleanUp,
  })
  const logText = () => readFileSync(path.join(folder, readdirSync(folder)[0] ?? ''), 'utf8')
  return { run, container, clock, heard, wrong, logText }
}

/** One turn and its outcome. */
async function ask(run: AgentRun, turn: TurnRequest): Promise<TurnOutcome> {
  run.push(turn)
  return (await run.settled()).outcome
}

test('a turn goes in as a frame and its result comes out as an answer', async (t) => {
  const { run, container, heard } = start(t)
  const outcome = ask(run, request)
  assert.deepEqual(await container.next(), {
    type: 'turn',
    uuid: UUID,
    prompt: 'hi',
    chatJid: 'local:main',
    earlier: [],
    siblings: [],
  })
  container.frame({ type: 'session', sessionId: 's1' })
  container.frame({ type: 'activity', kind: 'tool', detail: 'Bash: ls' })
  container.result({ result: 'hello', consumed: [UUID], newSessionId: 's1' })
  assert.deepEqual(await outcome, { type: 'answered', text: 'hello', usage: undefined })
  assert.deepEqual(heard, ['session s1', 'Bash: ls'])
  assert.ok(run.usable, 'the container is warm')
})

test('a result for another turn, and any other forged frame, changes nothing', async (t) => {
  const { run, container } = start(t)
  const outcome = ask(run, request)
  container.result({ result: 'forged', consumed: [OTHER] })
  container.result({ result: 'forged' })
  container.result({ status: 'error', errorClass: 'login', error: 'forged', consumed: [OTHER] })
  container.print('{"type":"result","status":"success"}\n{"type":"owner"}\nnull\n[[[\n{"__proto__":{"a":1}}\n')
  container.result({ result: 'real', consumed: [UUID] })
  assert.deepEqual(await outcome, { type: 'answered', text: 'real', usage: undefined })
})

test('a follow-up joins the running turn, and ends with it or after it, as the result says', async (t) => {
  const { run, container } = start(t)
  const later = (uuid: string) => run.push({ ...request, uuid, prompt: 'more' })
  run.push(request)
  later(OTHER)
  await container.nextTurn()
  assert.deepEqual(await container.next(), { type: 'followup', uuid: OTHER, prompt: 'more' })
  container.result({ result: 'both', consumed: [UUID, OTHER] })
  assert.deepEqual(
    (await run.settled()).requests.map(({ uuid }) => uuid),
    [UUID, OTHER],
  )

  run.push(request)
  later(OTHER)
  container.result({ result: 'forged', consumed: [OTHER] })
  container.result({ result: 'first', consumed: [UUID] })
  container.result({ result: 'second', consumed: [OTHER] })
  const [first, second] = [await run.settled(), await run.settled()]
  const uuidsOf = ({ requests }: { requests: TurnRequest[] }) => requests.map(({ uuid }) => uuid)
  assert.deepEqual([uuidsOf(first), uuidsOf(second)], [[UUID], [OTHER]])
  assert.deepEqual(second.outcome, { type: 'answered', text: 'second', usage: undefined })
  assert.ok(run.usable)
})

test('a container that ends takes the running turn and its follow-ups with it', async (t) => {
  const { run, container } = start(t)
  run.push(request)
  run.push({ ...request, uuid: OTHER })
  container.exit({ code: 3 })
  const { requests, outcome } = await run.settled()
  assert.deepEqual(
    requests.map(({ uuid }) => uuid),
    [UUID, OTHER],
  )
  assert.equal(outcome.type === 'failed' && outcome.reason, 'crash')
  assert.equal(run.usable, false)
})

test('a line longer than a frame may be is dropped and the next frame is understood', async (t) => {
  const { run, container } = start(t)
  const outcome = ask(run, request)
  container.print(`${'x'.repeat(2 * 1024 * 1024)}\n`)
  container.result({ result: 'ok', consumed: [UUID] })
  assert.equal((await outcome).type, 'answered')
})

const FLOODS = {
  lines: `${'x'.repeat(1_000)}\n`,
  'empty lines': '\n',
  'a line': 'x'.repeat(1_000),
  frames: `{"type":"activity","kind":"text","detail":"${'x'.repeat(1_000)}"}\n`,
}
for (const [what, piece] of Object.entries(FLOODS))
  test(`a container that prints ${what} without end is killed, and its turn fails`, async (t) => {
    const { run, container } = start(t)
    const outcome = ask(run, request)
    const flood = piece.repeat(Math.ceil(2 ** 16 / piece.length))
    for (let n = 0; n < 300 && container.kills === 0; n++) {
      container.print(flood)
      await new Promise(setImmediate)
    }
    const end = await outcome
    assert.equal(end.type === 'failed' && end.reason, 'crash')
    assert.equal(container.kills, 1)
  })

test('a container that prints much in the course of time is none that floods', async (t) => {
  const { run, container, clock } = start(t)
  const outcome = ask(run, { ...request, timeoutMs: 600_000 })
  for (let n = 0; n < 40; n++) {
    container.print(`${'x'.repeat(2 ** 20)}\n`)
    await new Promise(setImmediate)
    clock.advance(5_000)
  }
  container.result({ result: 'ok', consumed: [UUID] })
  assert.equal((await outcome).type, 'answered')
})

test('a container that names its session anew without end is not listened to for ever', async (t) => {
  const { run, container, heard } = start(t)
  const outcome = ask(run, request)
  for (let n = 0; n < 1_000; n++) container.frame({ type: 'session', sessionId: `s${n}` })
  container.result({ result: 'ok', consumed: [UUID] })
  await outcome
  assert.equal(heard.length, 100)
})

test('stop interrupts; what was said so far is kept', async (t) => {
  const { run, container } = start(t)
  const outcome = ask(run, request)
  await container.nextTurn()
  assert.equal(run.stop(), true)
  assert.deepEqual(await container.next(), { type: 'interrupt' })
  container.result({ status: 'error', errorClass: 'interrupted', result: 'half', consumed: [UUID] })
  assert.deepEqual(await outcome, { type: 'stopped', text: 'half' })
  assert.ok(run.usable)
})

test('an interrupted turn counts as stopped, whatever its agent reports', async (t) => {
  const [asked, unasked] = [start(t), start(t)]
  const stopped = ask(asked.run, request)
  asked.run.stop()
  asked.container.result({ status: 'error', errorClass: 'overload', error: 'odd', result: 'half', consumed: [UUID] })
  const interrupted = ask(unasked.run, request)
  unasked.container.result({ status: 'error', errorClass: 'interrupted', result: 'half', consumed: [UUID] })
  assert.deepEqual(await Promise.all([stopped, interrupted]), [
    { type: 'stopped', text: 'half' },
    { type: 'stopped', text: 'half' },
  ])
})

test('a container whose input broke gets no reply, and its output is still read', async (t) => {
  const { run, container } = start(t)
  const outcome = ask(run, request)
  container.stdin.destroy(new Error('EPIPE'))
  await until(() => container.stdin.closed, 'its input is closed')
  assert.equal(run.reply({ id: 'x', ok: true, result: null }), false)
  container.result({ result: 'ok', consumed: [UUID] })
  assert.equal((await outcome).type, 'answered')
})

test('a turn that does not stop when interrupted is killed after five seconds', async (t) => {
  const { run, container, clock } = start(t)
  const outcome = ask(run, request)
  run.stop()
  clock.advance(5_000)
  assert.deepEqual(await outcome, { type: 'stopped', text: null })
  assert.equal(container.kills, 1)
})

test('a turn over its time is interrupted, then killed, and fails as a timeout', async (t) => {
  const { run, clock } = start(t)
  const outcome = ask(run, request)
  clock.advance(65_000)
  const end = await outcome
  assert.equal(end.type === 'failed' && end.reason, 'timeout')
})

test('the time of a turn stands still while it waits for a person, for each of those it waits for', async (t) => {
  const { run, clock } = start(t)
  const outcome = ask(run, request)
  clock.advance(50_000)
  const [first, second] = [run.pauseTimer(), run.pauseTimer()]
  clock.advance(3_600_000)
  first()
  first()
  clock.advance(3_600_000)
  second()
  assert.equal(run.takesFollowUps, true)
  clock.advance(9_999)
  assert.deepEqual(run.turn, request)
  assert.equal(run.takesFollowUps, true, 'its time is not over')
  clock.advance(1)
  assert.equal(run.takesFollowUps, false)
  clock.advance(5_000)
  const end = await outcome
  assert.equal(end.type === 'failed' && end.reason, 'timeout')
  run.pauseTimer()()
})

test('a turn cannot wait for people for ever, and a pause of one turn is none of the next', async (t) => {
  const { run, container, clock } = start(t)
  run.push(request)
  const resume = run.pauseTimer()
  container.result({ result: 'ok', consumed: [UUID] })
  await run.settled()
  const outcome = ask(run, request)
  resume()
  run.pauseTimer()
  clock.advance(24 * 3_600_000 + 59_999)
  assert.ok(run.turn)
  assert.equal(run.takesFollowUps, true, 'its time is not over')
  clock.advance(1)
  assert.equal(run.takesFollowUps, false)
  clock.advance(5_000)
  const end = await outcome
  assert.equal(end.type === 'failed' && end.reason, 'timeout')
})

test('a pause that ends twice, ends late or belongs to a stopped turn extends no time limit', async (t) => {
  const { run, container, clock } = start(t)
  run.push(request)
  const [first, second] = [run.pauseTimer(), run.pauseTimer()]
  first()
  first()
  clock.advance(3_600_000)
  assert.equal(run.takesFollowUps, true, 'it still waits for the second')
  second()
  clock.advance(59_999)
  assert.equal(run.takesFollowUps, true)
  const [late] = [run.pauseTimer(), run.stop()]
  run.pauseTimer()
  late()
  clock.advance(5_000)
  assert.equal(container.kills, 1, 'it was told to end, and did not')
  assert.deepEqual((await run.settled()).outcome, { type: 'stopped', text: null })
})

test('a reply that is longer than a line may be is answered with that', async (t) => {
  const { container, run } = start(t)
  run.reply({ id: 'x', ok: true, result: 'é'.repeat(MAX_FRAME_BYTES / 2) })
  const { result, ...frame } = (await container.next()) as Extract<HostFrame, { type: 'reply' }>
  assert.deepEqual(frame, { type: 'reply', id: 'x', ok: false })
  assert.match((result as IpcResult).text, /too long \(1048\d+ bytes\)/)
})

test('a reply goes in as a frame; a container that reads none, or is gone, gets no more', async (t) => {
  const { run, container } = start(t)
  run.push(request)
  assert.ok(run.reply({ id: 'x', ok: true, result: { status: 'done' } }))
  await container.nextTurn()
  assert.deepEqual(await container.next(), { type: 'reply', id: 'x', ok: true, result: { status: 'done' } })
  let sent = 0
  while (sent < 100 && run.reply({ id: 'x', ok: true, result: 'x'.repeat(1_000_000) })) sent++
  assert.ok(sent > 3 && sent < 7, String(sent))
  container.exit()
  await run.ended
  assert.equal(run.reply({ id: 'x', ok: true, result: null }), false)
})

test('a crash is told with the last words of stderr, and memory and engine as what they are', async (t) => {
  const crashed = start(t)
  const crash = ask(crashed.run, request)
  crashed.container.stderr.write('Error: it broke\n')
  crashed.container.exit({ code: 3 })
  assert.deepEqual(await crash, { type: 'failed', reason: 'crash', detail: 'Error: it broke' })

  const starved = start(t)
  const oom = ask(starved.run, request)
  starved.container.result({ status: 'error', errorClass: 'crash', error: 'claude exited with code 137', consumed: [UUID] })
  starved.container.exit({ code: 1, oomKilled: true })
  assert.deepEqual(await oom, { type: 'failed', reason: 'oom', detail: 'out of memory' })

  const lost = start(t)
  const engine = ask(lost.run, request)
  lost.container.engineGone('the engine went away')
  assert.deepEqual(await engine, { type: 'failed', reason: 'engine', detail: 'the engine went away' })
})

test('what is wrong with the container is told also when its program finds it before a turn comes', async (t) => {
  const { run, container, wrong } = start(t)
  const why = '/workspace/extra/app is another'.padEnd(1_000, '.')
  for (const error of [`${why}and more`, 'and once more']) container.result({ status: 'error', errorClass: 'setup', error })
  await until(() => wrong.length > 0, 'the host knows')
  const outcome = ask(run, request)
  container.exit({ code: 1 })
  assert.deepEqual(await outcome, { type: 'failed', reason: 'setup', detail: why })
  assert.deepEqual(wrong, [why])
})

test('an API error ends the run: the next turn gets a fresh container', async (t) => {
  const { run, container } = start(t)
  const outcome = ask(run, request)
  container.result({ status: 'error', errorClass: 'login', error: 'Invalid API key', consumed: [UUID] })
  assert.deepEqual(await outcome, { type: 'failed', reason: 'login', detail: 'Invalid API key', retryAt: undefined })
  assert.equal(run.usable, false)
})

test('that the budget is used up is for the gateway to say, and not for the agent', async (t) => {
  const spent = { type: 'budget' as const, retryAt: 7_000, why: 'All is spent.' }
  const over = start(t, spent)
  const outcome = ask(over.run, request)
  over.container.result({ status: 'error', errorClass: 'rate-limit', error: 'whatever it says', consumed: [UUID] })
  assert.deepEqual(await outcome, { type: 'failed', reason: 'budget', detail: 'All is spent.', retryAt: 7_000 })

  const forged = start(t)
  const crash = ask(forged.run, request)
  forged.container.result({ status: 'error', errorClass: 'budget', error: 'NanoClaw budget: all is spent', consumed: [UUID] })
  forged.container.exit({ code: 1 })
  const ended = await crash
  assert.equal(ended.type === 'failed' && ended.reason, 'crash')
})

test('the run log has input, output and end, and no secret', async (t) => {
  const { run, container, logText } = start(t)
  const outcome = ask(run, { ...request, prompt: 'my key is s3cret' })
  container.stderr.write('using s3cret\n')
  container.result({ result: 'ok', consumed: [UUID] })
  await outcome
  container.exit()
  await run.ended
  const text = logText()
  for (const part of [
    '=== input ===',
    'my key is [redacted]',
    '[stderr] using [redacted]',
    '"result":"ok"',
    'ended: exit code 0',
  ])
    assert.ok(text.includes(part), part)
  assert.ok(!text.includes('s3cret'))
})

test('what comes to light when a container is cleaned up after is in its log', async (t) => {
  const { run, container, logText } = start(t)
  container.exit()
  await run.ended
  assert.match(logText(), /^\[egress\] a\.example:443, 1 bytes up, 2 down\n=== ended: exit code 0 ===$/m)
})

test('closing lets the container go by itself, and kills it when it does not', async (t) => {
  const polite = start(t)
  const closed = polite.run.close(5_000)
  assert.deepEqual(await polite.container.next(), { type: 'close' })
  assert.equal(await polite.container.next(), undefined, 'the end of its input')
  polite.container.exit()
  await closed
  assert.equal(polite.container.kills, 0)

  const stubborn = start(t)
  const killed = stubborn.run.close(5_000)
  stubborn.clock.advance(5_000)
  await killed
  assert.equal(stubborn.container.kills, 1)
})

test('a kill that the engine does not carry out is tried again until the container is gone', async (t) => {
  const { run, container, clock } = start(t)
  const kill = container.kill.bind(container)
  const silent = t.mock.method(container, 'kill', () => Promise.reject(new Error('the engine does not answer')))
  const outcome = ask(run, request)
  clock.advance(60_000 + 5_000)
  const calls = () => silent.mock.callCount()
  // Besides the next kill nothing waits for its time.
  const waitsToKill = (n: number) => until(() => calls() === n && clock.waiting === 1, `${n} kills failed`)
  for (let n = 1; n < 4; n++) {
    await waitsToKill(n)
    clock.advance(29_999)
    assert.equal(calls(), n)
    clock.advance(1)
  }
  await waitsToKill(4)
  await run.kill()
  await waitsToKill(5)
  silent.mock.mockImplementation(kill)
  clock.advance(30_000)
  assert.deepEqual([(await outcome).type, clock.waiting], ['failed', 0])
})

/** Each line counts as a MiB: its bytes, its end, and what reading it costs. */
const MIB_LINE = `${'x'.repeat(2 ** 20 - 129)}\n`
/** One and a half KiB less than may come at once. */
const ALMOST_A_FLOOD = MIB_LINE.repeat(15) + '\n'.repeat(8_116)

test('a kill that fails after the container has exited is not retried', async (t) => {
  const { run, container, clock } = start(t)
  const killing = Promise.withResolvers<void>()
  t.mock.method(container, 'kill', () => killing.promise)
  const killed = run.kill()
  container.exit()
  await run.ended
  killing.reject(new Error('there is no such container'))
  await killed
  assert.equal(clock.waiting, 0)
})

test('a container that floods takes no follow-ups, even while it cannot be killed', async (t) => {
  const { run, container } = start(t)
  const kill = t.mock.method(container, 'kill', () => new Promise(() => {}))
  run.push(request)
  container.print(MIB_LINE.repeat(17))
  await until(() => kill.mock.callCount() === 1, 'it is to be killed')
  assert.equal(run.takesFollowUps, false)
})

test('a session that only a result names is named', async (t) => {
  const { run, container, heard } = start(t)
  const outcome = ask(run, request)
  container.result({ result: 'ok', consumed: [UUID], newSessionId: 's2' })
  await outcome
  assert.deepEqual([heard, run.sessionId], [['session s2'], 's2'])
})

test('output is counted to the byte, and each line with what reading it costs', async (t) => {
  const outcomeOf = async (...prints: string[]) => {
    const { run, container } = start(t)
    const outcome = ask(run, request)
    for (const text of prints) container.print(text)
    container.result({ result: 'ok', consumed: [UUID] })
    return (await outcome).type
  }
  assert.equal(await outcomeOf(MIB_LINE.repeat(15)), 'answered')
  assert.equal(await outcomeOf(MIB_LINE.repeat(16)), 'failed')
  assert.equal(await outcomeOf(ALMOST_A_FLOOD), 'answered')
  assert.equal(await outcomeOf(ALMOST_A_FLOOD, '\n'.repeat(12)), 'failed')
})

test('a quarter of a MiB may be printed each second', async (t) => {
  const outcomeAfter = async (ms: number) => {
    const { run, container, clock } = start(t)
    const first = ask(run, request)
    container.print(ALMOST_A_FLOOD)
    container.result({ result: 'first', consumed: [UUID] })
    await first
    clock.advance(ms)
    const next = ask(run, request)
    container.print(MIB_LINE.slice(-(2 ** 18 - 128)))
    container.result({ result: 'ok', consumed: [UUID] })
    return (await next).type
  }
  assert.deepEqual([await outcomeAfter(1_000), await outcomeAfter(990)], ['answered', 'failed'])
})

test('a turn takes follow-ups up to 32 messages', (t) => {
  const { run } = start(t)
  const push = (n: number) => run.push({ ...request, uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` })
  assert.equal(run.takesFollowUps, false, 'without a turn there is nothing to follow')
  for (let n = 0; n < 32; n++) {
    assert.equal(run.takesFollowUps, n > 0, String(n))
    push(n)
  }
  assert.equal(run.takesFollowUps, false)
  assert.throws(() => push(32), /cannot take a turn now/)
})

test('a container takes no turn while there is an outcome of the last one that nobody fetched', async (t) => {
  const { run, container } = start(t)
  run.push(request)
  container.result({ result: 'ok', consumed: [UUID] })
  await until(() => run.turn === undefined, 'the turn is over')
  assert.equal(run.usable, false)
  assert.throws(() => run.push(request), /cannot take a turn now/)
  await run.settled()
  run.push(request)
})

test('a reply fits up to the longest line, and not beyond', async (t) => {
  const { run, container } = start(t)
  const frame = (result: string) => JSON.stringify({ type: 'reply', id: 'x', ok: true, result })
  const longest = 'x'.repeat(MAX_FRAME_BYTES - 1 - frame('').length)
  const oks: boolean[] = []
  for (const result of [longest, `${longest}x`]) {
    run.reply({ id: 'x', ok: true, result })
    const reply = await container.next()
    oks.push(reply?.type === 'reply' && reply.ok)
  }
  assert.deepEqual(oks, [true, false])
})

test('the time of a turn is over at its moment, and the container is killed five seconds later, not before', async (t) => {
  const { run, container, clock } = start(t)
  const outcome = ask(run, request)
  await container.nextTurn()
  clock.advance(59_999)
  assert.equal(run.takesFollowUps, true)
  clock.advance(1)
  assert.equal(run.takesFollowUps, false)
  assert.deepEqual(await container.next(), { type: 'interrupt' })
  assert.equal(run.stop(), true)
  clock.advance(4_999)
  assert.equal(container.kills, 0)
  clock.advance(1)
  assert.equal(container.kills, 1)
  const end = await outcome
  assert.equal(end.type === 'failed' && end.reason, 'timeout', 'what ended it first is why')
  assert.equal(run.stop(), false)
})

test('the time of a follow-up runs from the end of the turn before it, and none runs when nothing is asked', async (t) => {
  const { run, container, clock } = start(t)
  run.push(request)
  run.push({ ...request, uuid: OTHER })
  clock.advance(59_999)
  container.result({ result: 'first', consumed: [UUID] })
  await run.settled()
  clock.advance(59_999)
  assert.equal(container.kills, 0)
  assert.equal(run.turn?.uuid, OTHER)
  container.result({ result: 'second', consumed: [OTHER] })
  await run.settled()
  assert.equal(clock.waiting, 0)
})

test('closing waits for its grace to the millisecond, and leaves no timer when the container went', async (t) => {
  const stubborn = start(t)
  const killed = stubborn.run.close(5_000)
  stubborn.clock.advance(4_999)
  assert.equal(stubborn.container.kills, 0)
  stubborn.clock.advance(1)
  await killed
  const polite = start(t)
  const closed = polite.run.close(5_000)
  polite.container.exit()
  await closed
  assert.deepEqual([polite.clock.waiting, stubborn.clock.waiting], [0, 0])
})

test('of what a container says of its end, the beginning is kept', async (t) => {
  const reported = start(t)
  const failed = ask(reported.run, request)
  reported.container.result({ status: 'error', errorClass: 'login', error: 'x'.repeat(1_001), consumed: [UUID] })
  const { detail = '' } = (await failed) as { detail?: string }
  assert.equal(detail, 'x'.repeat(1_000))

  const crashed = start(t)
  const crash = ask(crashed.run, request)
  crashed.container.stderr.write(`${'y'.repeat(501)}\n  \n`)
  crashed.container.exit({ code: 1 })
  assert.deepEqual(await crash, { type: 'failed', reason: 'crash', detail: 'y'.repeat(500) }, 'and no empty line after it')

  const silent = start(t)
  const end = ask(silent.run, request)
  silent.container.exit({ code: 9 })
  assert.deepEqual(await end, { type: 'failed', reason: 'crash', detail: 'the container ended with exit code 9' })
})

test('output that breaks off is why the turn failed', async (t) => {
  for (const stream of ['stdout', 'stderr'] as const) {
    const { run, container, logText } = start(t)
    const outcome = ask(run, request)
    container[stream].destroy(new Error('the connection broke'))
    container.exit({ code: 1 })
    const end = await outcome
    assert.equal(end.type === 'failed' && end.detail, `${stream} broke: the connection broke`)
    await run.ended
    assert.match(logText(), new RegExp(`^${stream} broke: the connection broke$`, 'm'))
  }
})

test('the log of a run has what is no frame, and how it ended', async (t) => {
  const { run, container, logText } = start(t)
  container.print('no frame\n')
  container.frame({ type: 'activity', kind: 'tool', detail: 'Bash: ls' })
  container.stderr.write(`${'x'.repeat(64 * 1024 + 1)}\n`)
  container.exit({ code: 137, oomKilled: true })
  await run.ended
  assert.match(logText(), /^\[stdout\] no frame$/m)
  assert.match(logText(), /^\[stderr\] \[a line of 65537 bytes was dropped/m)
  assert.ok(!logText().includes('Bash: ls'), 'what it does right now is not written down')
  assert.match(logText(), /ended: exit code 137, out of memory ===\n$/)

  const lost = start(t)
  lost.container.engineGone('the engine went away')
  await lost.run.ended
  assert.match(lost.logText(), /ended: the engine went away ===\n$/)
})
