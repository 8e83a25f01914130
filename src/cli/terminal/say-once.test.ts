import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { OutcomeEvent } from '@nanoclaw/protocol'
import { AppError } from '../../domain/errors.ts'
import { outcomeOf } from './outcome.ts'
import { pipedChat } from './piped-chat.ts'
import { sayOnce } from './say-once.ts'

const never = new AbortController().signal
const lost = new AppError({ code: 'host.lost', fault: 'platform', message: 'The connection was lost.' })
const absent = new AppError({ code: 'host.not-running', fault: 'user', message: 'Not running.' })

type Step = OutcomeEvent | AppError | 'end' | 'wait'

/** A host that goes through `steps`, one connection until an error or an end. */
function client(...steps: Step[]) {
  const sent: string[] = []
  async function* outcome(_jid: string, _seq: number, signal: AbortSignal): AsyncGenerator<OutcomeEvent> {
    for (let step = steps.shift(); step && step !== 'end'; step = steps.shift()) {
      if (step instanceof AppError) throw step
      if (step === 'wait') await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      else yield step
    }
  }
  const send = async (_jid: string, text: string) => ({ seq: sent.push(text) })
  return { sent, send, outcome }
}

class Output extends PassThrough {
  isTTY = false
  text = ''

  constructor() {
    super()
    this.on('data', (chunk) => (this.text += chunk))
  }
}

async function say(
  host: ReturnType<typeof client>,
  { isTTY = false, ...options }: { isTTY?: boolean; timeoutMs?: number; signal?: AbortSignal } = {},
) {
  const [output, error] = [new Output(), new Output()]
  output.isTTY = isTTY
  const code = await sayOnce({ client: host, jid: 'local:main', text: 'hello', output, error, signal: never, ...options })
  return { code, output: output.text, error: error.text }
}

const answer = (text: string | null): OutcomeEvent => ({ type: 'answer', text })
const working: OutcomeEvent = { type: 'activity', kind: 'tool', detail: 'Bash' }

test('the answer alone is printed, as it is', async () => {
  const host = client(working, answer('**hi**\u001b[31m'))
  assert.deepEqual(await say(host), { code: 0, output: '**hi**\u001b[31m\n', error: '' })
  assert.deepEqual(host.sent, ['hello'])
})

test('on a terminal the answer cannot drive it', async () => {
  assert.equal((await say(client(answer('hi\u001b[2J!')), { isTTY: true })).output, 'hi!\n')
})

test('an empty answer prints nothing and is no failure', async () => {
  assert.deepEqual(await say(client(answer(null))), { code: 0, output: '', error: '' })
})

test('a failure is told on the other stream', async () => {
  assert.deepEqual(await say(client({ type: 'failed', message: 'No login.' })), { code: 1, output: '', error: 'No login.\n' })
})

test('a timeout is told, and that the turn goes on', async (t) => {
  const late = new AbortController()
  const timeout = t.mock.method(AbortSignal, 'timeout', () => late.signal)
  let over = false
  const said = say(client(working, 'wait'), { timeoutMs: 90_000 }).finally(() => (over = true))
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  assert.equal(over, false)
  late.abort()
  const { code, output, error } = await said
  assert.deepEqual([code, output], [1, ''])
  assert.match(error, /^No answer within 1m 30s; the turn goes on/)
  assert.deepEqual(
    timeout.mock.calls.map(({ arguments: [ms] }) => ms),
    [90_000],
  )
})

test('leaving early is told', async () => {
  const { code, error } = await say(client(), { signal: AbortSignal.abort() })
  assert.equal(code, 1)
  assert.match(error, /^Left before the answer; the turn goes on/)
})

test('the answer is waited for across a restart of the host', async () => {
  assert.deepEqual(await say(client(working, lost, absent, working, 'end', answer('hi'))), { code: 0, output: 'hi\n', error: '' })
})

test('a host that stays away is told, and that the message is not lost', async () => {
  const host = { outcome: client(lost, ...Array.from({ length: 99 }, () => absent)).outcome }
  await assert.rejects(outcomeOf({ client: host, jid: 'x', seq: 1, signal: never, patienceMs: 1 }), {
    code: 'host.lost',
    message: /message is stored/,
  })
})

test('a host that is not there when the message is handed over is an error for the caller', async () => {
  const host = { ...client(), send: () => Promise.reject(absent) }
  await assert.rejects(say({ ...host, sent: [] }), absent)
})

async function pipe(input: string, ...steps: Step[]) {
  const [output, error, source] = [new Output(), new Output(), new PassThrough()]
  source.end(input)
  const host = client(...steps)
  const code = await pipedChat({ client: host, jid: 'local:main', input: source, output, error, signal: never })
  return { code, sent: host.sent, output: output.text, error: error.text }
}

test('piped lines are messages, each answered before the next', async () => {
  const { code, sent, output } = await pipe('one\n\n  two \nthree', answer('1'), 'end', answer(null), 'end', answer('3'))
  assert.deepEqual({ code, sent, output }, { code: 0, sent: ['one', 'two', 'three'], output: '1\n3\n' })
})

test('a failed turn does not keep the next lines from being sent', async () => {
  const result = await pipe('one\ntwo\n', { type: 'failed', message: 'No.' }, 'end', answer('2'))
  assert.deepEqual(result, { code: 1, sent: ['one', 'two'], output: '2\n', error: 'No.\n' })
})
