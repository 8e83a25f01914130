import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type HostFrame, type ResultFrame, type RunnerFrame, type RunnerInput, runnerInput } from '@nanoclaw/protocol'
import { until } from '../../../test/fakes/patience.ts'
import { ScriptedSdk } from '../../../test/fakes/scripted-sdk.ts'
import { Conversation } from './conversation.ts'
import { HostInput } from './host-input.ts'
import { HostRequests } from './host-requests.ts'
import { claudeOptions } from './options.ts'

const [ONE, TWO, THREE] = ['1', '2', '3'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`) as [
  string,
  string,
  string,
]

/** A run whose agent and host are played by the test; `begin` resolves with its exit code. */
function conversation(t: TestContext, given: Partial<RunnerInput> = {}) {
  const home = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-conversation-'))
  t.after(() => rmSync(home, { recursive: true }))
  for (const folder of ['messages', 'tasks']) mkdirSync(path.join(home, folder))
  const input = runnerInput.parse({ groupFolder: 'main', chatJid: 'local:main', ...given })
  const frames: RunnerFrame[] = []
  const emit = (frame: RunnerFrame) => void frames.push(frame)
  const env = { PATH: process.env.PATH ?? '', HOME: home }
  const requests = new HostRequests(home)
  const agent = new ScriptedSdk()
  const options = { ...claudeOptions({ input, env, emit }), cwd: home }
  const stdin = new PassThrough()
  const send = (frame: HostFrame) => void stdin.write(`${JSON.stringify(frame)}\n`)
  const turn = (uuid: string, prompt: string, over: object = {}) => send({ type: 'turn', uuid, prompt, chatJid: 'tg:1', ...over })
  const results = () => frames.filter((frame): frame is ResultFrame => frame.type === 'result')
  const pushes = (count: number) =>
    until(() => agent.pushed.length === count, `${count} messages are pushed`, { seen: () => frames })
  const ended = (count: number) => until(() => results().length === count, `${count} results`, { seen: () => frames })
  const begin = () => new Conversation({ sdk: agent.sdk, options, input, emit, requests }).run(new HostInput(stdin))
  return { home, frames, results, agent, requests, stdin, send, turn, pushes, ended, begin }
}

/** Collects the complaints on stderr while the test runs; none of them is printed. */
function muteConsole(t: TestContext): string[] {
  const complaints: string[] = []
  t.mock.method(console, 'error', (text: string) => complaints.push(text))
  return complaints
}

/** Lets everything happen that needs no timer. */
async function settled(): Promise<void> {
  for (let round = 0; round < 50; round++) await nextTurn()
}

test('a turn is pushed to the SDK, and its answer is a result with its uuid, its session and its cost', async (t) => {
  const { frames, agent, stdin, turn, pushes, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  const message = { role: 'user', content: 'hello' }
  assert.deepEqual(agent.pushed, [{ type: 'user', message, parent_tool_use_id: null, uuid: ONE }])
  agent.started()
  agent.speak('hi there', { uuid: 'entry-7' })
  agent.end({ named: [ONE], result: 'hi there' })
  stdin.end()
  assert.equal(await code, 0)
  const usage = { inputTokens: 8, outputTokens: 2, costUsd: 0.5 }
  const answer = { status: 'success', result: 'hi there', consumed: [ONE], usage }
  assert.deepEqual(frames, [
    { type: 'ready' },
    { type: 'session', sessionId: 'session-1' },
    { type: 'result', newSessionId: 'session-1', ...answer, answerId: 'entry-7' },
  ])
})

test('a run with a prompt of its own ends after its answer, although the host sends nothing more', async (t) => {
  const { results, agent, stdin, pushes, begin } = conversation(t, { prompt: 'what is 2+2?' })
  const code = begin()
  stdin.end()
  await pushes(1)
  const uuid = agent.pushed[0]?.uuid ?? ''
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4/)
  assert.deepEqual(agent.prompts, ['what is 2+2?'])
  agent.end({ named: [uuid], result: '4' })
  assert.equal(await code, 0)
  assert.deepEqual(
    results().map(({ result, consumed }) => [result, consumed]),
    [['4', [uuid]]],
  )
})

test('the prompt of the input keeps its uuid', async (t) => {
  const { agent, stdin, pushes, begin } = conversation(t, { prompt: 'hi', uuid: ONE })
  const code = begin()
  await pushes(1)
  assert.equal(agent.pushed[0]?.uuid, ONE)
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
})

test('a run ends only after every message has its result', async (t) => {
  const { agent, stdin, turn, send, pushes, ended, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  send({ type: 'followup', uuid: TWO, prompt: 'second' })
  stdin.end()
  await pushes(2)
  agent.end({ named: [ONE], result: 'one' })
  await ended(1)
  await settled()
  assert.equal(agent.over, false)
  agent.end({ named: [TWO], result: 'two' })
  assert.equal(await code, 0)
  assert.deepEqual(
    results().map(({ result, consumed }) => [result, consumed]),
    [
      ['one', [ONE]],
      ['two', [TWO]],
    ],
  )
})

test('a result counts for those of its messages that still wait for one', async (t) => {
  const { agent, stdin, turn, send, pushes, ended, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  send({ type: 'followup', uuid: TWO, prompt: 'second' })
  await pushes(2)
  agent.end({ named: [TWO, THREE, ONE], result: 'both' })
  await ended(1)
  assert.deepEqual(results()[0]?.consumed, [TWO, ONE])
  stdin.end()
  assert.equal(await code, 0)
})

test('a result that answers none of our messages is dropped with all that was said before it', async (t) => {
  const { agent, stdin, turn, pushes, results, begin } = conversation(t)
  const complaints = muteConsole(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  agent.speak('of a hook')
  agent.end({ named: [], result: '' })
  agent.end({ result: 'without a name' })
  agent.end({ named: [THREE], result: 'of somebody else' })
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual(
    results().map(({ result, consumed, answerId }) => [result, consumed, answerId]),
    [[null, [ONE], undefined]],
  )
  assert.deepEqual(complaints, Array(3).fill('runner: a result answered nothing and was dropped'))
})

test('an answer without a text of its own is the last text of the assistant', async (t) => {
  const { agent, stdin, turn, pushes, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  agent.speak('I look', { uuid: 'a' })
  agent.speak('done', { uuid: 'b' })
  agent.say({
    type: 'assistant',
    uuid: 'c',
    parent_tool_use_id: null,
    message: { content: [{ type: 'thinking', thinking: 'x' }] },
  })
  agent.speak('of a subagent', { uuid: 'd', parent: 'tool-1' })
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
  const [answer] = results()
  assert.deepEqual([answer?.result, answer?.answerId], ['done', 'c'], 'the id is that of the newest entry')
})

test('a session is told once for each new name', async (t) => {
  const { agent, stdin, frames, begin } = conversation(t)
  const code = begin()
  for (const name of ['a', 'a', 'b', 'a']) agent.started(name)
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual(
    frames.filter(({ type }) => type === 'session'),
    ['a', 'b', 'a'].map((sessionId) => ({ type: 'session', sessionId })),
  )
})

test('the activity of the agent is told, and that of its subagents is not', async (t) => {
  const { agent, stdin, frames, begin } = conversation(t)
  const code = begin()
  const delta = (text: string, parent: string | null) =>
    agent.say({
      type: 'stream_event',
      parent_tool_use_id: parent,
      event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    })
  const tool = { type: 'tool_use', id: 't', name: 'Bash', input: { command: 'ls' } }
  delta('of a subagent', 'tool-1')
  delta('hel', null)
  agent.say({ type: 'assistant', uuid: 'a', parent_tool_use_id: null, message: { content: [tool] } })
  agent.say({ type: 'assistant', uuid: 'b', parent_tool_use_id: 'tool-1', message: { content: [tool] } })
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual(
    frames.filter(({ type }) => type === 'activity'),
    [
      { type: 'activity', kind: 'text', detail: 'hel' },
      { type: 'activity', kind: 'tool', detail: 'Bash: ls' },
    ],
  )
})

test('a failed turn ends the run with exit code 1, and everything that was pushed fails with it', async (t) => {
  const { agent, turn, send, pushes, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  send({ type: 'followup', uuid: TWO, prompt: 'second' })
  await pushes(2)
  agent.end({ named: [ONE], is_error: true, api_error_status: 529, result: 'API Error: 529 busy' })
  agent.fail(new Error('Claude Code process exited with code 1'))
  assert.equal(await code, 1)
  assert.deepEqual(
    results().map(({ status, error, errorClass, consumed }) => [status, error, errorClass, consumed]),
    [['error', 'API Error: 529 busy', 'overload', [ONE, TWO]]],
  )
})

test('an SDK that gives up during a turn is told as the failure of the turn, and closed', async (t) => {
  const { agent, turn, pushes, frames, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  agent.fail(new Error('Claude Code process exited with code 9'))
  assert.equal(await code, 1)
  const error = 'Claude Code process exited with code 9'
  assert.deepEqual(frames, [
    { type: 'ready' },
    { type: 'result', status: 'error', result: null, error, errorClass: 'crash', consumed: [ONE] },
  ])
  assert.equal(agent.closed, true)
})

test('an SDK that does not start is told as a failure, and the runner is never ready', async (t) => {
  const { agent, frames, begin } = conversation(t, { prompt: 'hi' })
  agent.startupError = new Error('No conversation found with session ID: 1')
  assert.equal(await begin(), 1)
  const error = 'No conversation found with session ID: 1'
  assert.deepEqual(frames, [{ type: 'result', status: 'error', result: null, error, errorClass: 'session-lost', consumed: [] }])
})

test('a broken pipe of the host ends the run as a failure', async (t) => {
  const { agent, stdin, turn, pushes, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  stdin.destroy(new Error('read EIO'))
  assert.equal(await code, 1)
  assert.deepEqual([results()[0]?.error, results()[0]?.consumed, agent.closed], ['read EIO', [ONE], true])
})

test('an interrupt stops the running turn and those behind it, and the next turn is answered', async (t) => {
  const { agent, stdin, turn, send, pushes, ended, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  send({ type: 'followup', uuid: TWO, prompt: 'second' })
  await pushes(2)
  send({ type: 'interrupt' })
  await until(() => agent.interrupts.length === 1, 'the SDK is interrupted')
  assert.deepEqual(agent.interrupts, [{ cancelQueued: true }])
  agent.speak('so far')
  agent.end({ named: [ONE], subtype: 'error_during_execution', is_error: true, errors: ['aborted'] })
  await ended(1)
  const { status, result, errorClass, consumed } = results()[0] ?? assert.fail()
  assert.deepEqual([status, result, errorClass, consumed], ['error', 'so far', 'interrupted', [ONE, TWO]])
  turn(THREE, 'third')
  await pushes(3)
  agent.end({ named: [THREE], result: 'three' })
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual([results()[1]?.status, results()[1]?.result], ['success', 'three'])
})

test('an interrupt that meets a turn at its success still ends everything that was pushed', async (t) => {
  const { agent, stdin, turn, send, pushes, results, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  send({ type: 'followup', uuid: TWO, prompt: 'second' })
  await pushes(2)
  send({ type: 'interrupt' })
  await until(() => agent.interrupts.length === 1, 'the SDK is interrupted')
  agent.end({ named: [ONE], result: 'done' })
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual(
    results().map(({ errorClass, consumed }) => [errorClass, consumed]),
    [['interrupted', [ONE, TWO]]],
  )
})

test('an interrupt without a running turn does not reach the SDK', async (t) => {
  const { agent, stdin, turn, send, pushes, begin } = conversation(t)
  const code = begin()
  send({ type: 'interrupt' })
  turn(ONE, 'hello')
  await pushes(1)
  assert.deepEqual(agent.interrupts, [])
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
})

test('tools that wait for the host are released by an interrupt, and when the host leaves', async (t) => {
  const { agent, requests, stdin, turn, send, pushes, ended, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'hello')
  await pushes(1)
  const stopped = requests.ask({ type: 'list_tasks' }, { waitMs: 600_000 })
  send({ type: 'interrupt' })
  assert.deepEqual(await stopped, { type: 'unanswered', why: 'interrupted' })
  agent.end({ is_error: true })
  await ended(1)
  const left = requests.ask({ type: 'list_tasks' }, { waitMs: 600_000 })
  stdin.end()
  assert.deepEqual(await left, { type: 'unanswered', why: 'host-gone' })
  assert.equal(await code, 0)
})

test('a reply of the host reaches the tool that asked', async (t) => {
  const { home, requests, stdin, send, begin } = conversation(t)
  const code = begin()
  const answer = requests.ask({ type: 'list_tasks' }, { waitMs: 600_000 })
  const [file = ''] = readdirSync(path.join(home, 'tasks'))
  send({ type: 'reply', id: path.basename(file, '.json'), ok: true, result: { status: 'done', text: 'none' } })
  assert.deepEqual(await answer, { type: 'replied', result: { status: 'done', text: 'none' } })
  stdin.end()
  assert.equal(await code, 0)
})

test('tools work for the chat of the latest turn', async (t) => {
  const { agent, requests, stdin, turn, send, pushes, begin } = conversation(t)
  const code = begin()
  assert.equal(requests.chatJid, undefined)
  turn(ONE, 'hello', { chatJid: 'tg:7' })
  send({ type: 'followup', uuid: TWO, prompt: 'more' })
  await pushes(2)
  assert.equal(requests.chatJid, 'tg:7')
  agent.end({ named: [ONE, TWO] })
  stdin.end()
  assert.equal(await code, 0)
})

test('the notice of the host goes with the first prompt alone', async (t) => {
  const { agent, stdin, turn, pushes, begin } = conversation(t, { notice: '<mounts/>' })
  const code = begin()
  turn(ONE, 'first')
  turn(TWO, 'second')
  await pushes(2)
  assert.deepEqual(agent.prompts, ['first\n\n<mounts/>', 'second'])
  agent.end({ named: [ONE, TWO] })
  stdin.end()
  assert.equal(await code, 0)
})

test('a lone surrogate in a prompt is replaced before it reaches the SDK', async (t) => {
  const { agent, stdin, turn, pushes, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'a\ud800b')
  await pushes(1)
  assert.deepEqual(agent.prompts, ['a\ufffdb'])
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
})

test('an MCP server that does not work is told to the agent and to the log, once', async (t) => {
  const { agent, stdin, turn, pushes, begin } = conversation(t, { mcpServers: { files: { command: 'mcp-files' } } })
  const complaints = muteConsole(t)
  agent.servers = [
    { name: 'files', status: 'failed', error: 'no such program' },
    { name: 'web', status: 'needs-auth' },
    { name: 'good', status: 'connected' },
    { name: 'slow', status: 'pending' },
  ]
  const code = begin()
  turn(ONE, 'first')
  turn(TWO, 'second')
  await pushes(2)
  const missing = 'These MCP servers did not start, so you do not have their tools: "files", "web". Say so if they are needed.'
  assert.deepEqual(agent.prompts, [`first\n<note>${missing}</note>`, 'second'])
  assert.deepEqual(complaints, [
    'runner: the MCP server "files" is missing in this run (failed): no such program',
    'runner: the MCP server "web" is missing in this run (needs-auth): it did not say why',
  ])
  assert.equal(agent.serversAsked, 2)
  agent.end({ named: [ONE, TWO] })
  stdin.end()
  assert.equal(await code, 0)
})

test('a group without MCP servers of its own does not ask the SDK for their state', async (t) => {
  const { agent, stdin, turn, pushes, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'first')
  await pushes(1)
  assert.equal(agent.serversAsked, 0)
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
})

test('a turn whose script keeps the agent asleep ends without the model, in the same session', async (t) => {
  const { agent, stdin, turn, ended, frames, begin } = conversation(t, { sessionId: 'before' })
  const code = begin()
  turn(ONE, 'report', { script: `echo '{"wakeAgent": false}'` })
  await ended(1)
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual(agent.pushed, [])
  assert.deepEqual(frames.at(-1), { type: 'result', status: 'success', result: null, consumed: [ONE], newSessionId: 'before' })
})

test('the data of a script is added to the prompt, and later messages wait for the script', async (t) => {
  const { home, agent, stdin, turn, send, pushes, begin } = conversation(t)
  const code = begin()
  const script = `touch begun; until [ -e go ]; do sleep 0.01; done; echo '{"wakeAgent": true, "data": "'$(basename "$HOME")'"}'`
  turn(ONE, 'report', { script })
  send({ type: 'followup', uuid: TWO, prompt: 'and more' })
  await until(() => readdirSync(home).includes('begun'), 'the script runs')
  await settled()
  assert.deepEqual(agent.prompts, [])
  writeFileSync(path.join(home, 'go'), '')
  await pushes(2)
  assert.deepEqual(agent.prompts, [`report\n<script-output>"${path.basename(home)}"</script-output>`, 'and more'])
  agent.end({ named: [ONE, TWO] })
  stdin.end()
  assert.equal(await code, 0)
})

test('an interrupt stops a script, its turn and the messages behind it, and the SDK hears of none', async (t) => {
  const { home, agent, stdin, turn, send, pushes, ended, results, begin } = conversation(t, { sessionId: 'before' })
  const code = begin()
  turn(ONE, 'report', { script: 'touch begun; sleep 600' })
  send({ type: 'followup', uuid: TWO, prompt: 'and more' })
  await until(() => readdirSync(home).includes('begun'), 'the script runs')
  send({ type: 'interrupt' })
  await ended(1)
  const stopped = { status: 'error', result: null, error: 'The turn was interrupted.', errorClass: 'interrupted' }
  assert.deepEqual(results(), [{ type: 'result', ...stopped, consumed: [ONE, TWO], newSessionId: 'before' }])
  turn(THREE, 'third')
  await pushes(1)
  assert.deepEqual([agent.prompts, agent.interrupts], [['third'], []])
  agent.end({ named: [THREE] })
  stdin.end()
  assert.equal(await code, 0, 'an interrupt is no failure')
})

test('an interrupt after a script has ended reaches the SDK', async (t) => {
  const { agent, stdin, turn, send, pushes, begin } = conversation(t)
  const code = begin()
  turn(ONE, 'report', { script: `echo '{"wakeAgent": true}'` })
  await pushes(1)
  send({ type: 'interrupt' })
  await until(() => agent.interrupts.length === 1, 'the SDK is interrupted')
  agent.end({ is_error: true })
  stdin.end()
  assert.equal(await code, 0)
})

/** Writes the transcript of the session `before`. */
function writeTranscript(home: string, entries: object[]): void {
  const folder = path.join(home, '.claude', 'projects', '-workspace-group')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, 'before.jsonl'), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
}

const asked = { type: 'user', uuid: TWO, message: { content: 'report' } }
const answered = { type: 'assistant', uuid: 'entry-9', message: { content: 'the report', stop_reason: 'end_turn' } }

test('a turn that an earlier try answered is reported from the transcript without the model', async (t) => {
  const { home, agent, stdin, turn, ended, results, begin } = conversation(t, { sessionId: 'before' })
  writeTranscript(home, [asked, answered])
  const code = begin()
  turn(ONE, 'report', { earlier: [TWO], script: 'exit 1' })
  await ended(1)
  stdin.end()
  assert.equal(await code, 0)
  const answer = { type: 'result', status: 'success', result: 'the report', consumed: [ONE] }
  assert.deepEqual(results(), [{ ...answer, answerId: 'entry-9', newSessionId: 'before' }])
  assert.deepEqual(agent.pushed, [])
})

test('a turn that an earlier try left unfinished is continued without its script', async (t) => {
  const { home, agent, stdin, turn, pushes, begin } = conversation(t, { sessionId: 'before' })
  writeTranscript(home, [asked])
  const code = begin()
  turn(ONE, 'report', { earlier: [TWO], script: 'exit 1' })
  await pushes(1)
  assert.match(String(agent.prompts[0]), /^The previous attempt at this was interrupted .*\nreport$/s)
  agent.end({ named: [ONE] })
  stdin.end()
  assert.equal(await code, 0)
})

test('the prompt of the input can be a further try, too', async (t) => {
  const { home, agent, stdin, results, begin } = conversation(t, {
    ...{ sessionId: 'before', prompt: 'report' },
    uuid: ONE,
    earlier: [TWO],
  })
  writeTranscript(home, [asked, answered])
  const code = begin()
  stdin.end()
  assert.equal(await code, 0)
  assert.deepEqual([results()[0]?.result, agent.pushed], ['the report', []])
})

test('an earlier try is looked for in the session that runs by now', async (t) => {
  const { home, agent, stdin, turn, pushes, ended, begin } = conversation(t, { sessionId: 'other' })
  writeTranscript(home, [asked, answered])
  const code = begin()
  turn(ONE, 'report', { earlier: [TWO] })
  await pushes(1)
  assert.deepEqual(agent.prompts, ['report'], 'the session of the input has no transcript')
  agent.started('before')
  agent.end({ named: [ONE] })
  await ended(1)
  turn(THREE, 'report', { earlier: [TWO] })
  await ended(2)
  stdin.end()
  assert.equal(await code, 0)
  assert.equal(agent.pushed.length, 1)
})

test('turns that were pushed together share their answer', async (t) => {
  const { home, stdin, turn, ended, results, begin } = conversation(t, { sessionId: 'before' })
  writeTranscript(home, [asked, { type: 'user', uuid: THREE, message: { content: 'more' } }, answered])
  const code = begin()
  turn(ONE, 'report', { earlier: [TWO], siblings: [THREE] })
  await ended(1)
  stdin.end()
  assert.equal(await code, 0)
  assert.equal(results()[0]?.result, 'the report')
})

test('a transcript that cannot be read fails the turn', async (t) => {
  const { home, turn, results, begin } = conversation(t, { sessionId: 'before' })
  mkdirSync(path.join(home, '.claude', 'projects', '-workspace-group', 'before.jsonl'), { recursive: true })
  const code = begin()
  turn(ONE, 'report', { earlier: [TWO] })
  assert.equal(await code, 1)
  assert.match(results()[0]?.error ?? '', /EISDIR/)
  assert.deepEqual(results()[0]?.consumed, [ONE])
})
