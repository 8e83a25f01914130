import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { IpcRequest } from '@nanoclaw/protocol'
import { type AgentSeat, agentSeat } from '../fakes/agent-seat.ts'
import { patience, until } from '../fakes/patience.ts'

const call = (tool: string, input: object = {}) => `!tool mcp__nanoclaw__${tool} ${JSON.stringify(input)}`

/** Every tool with the least it takes, in the order in which they are called. */
const CALLS: Record<string, object> = {
  send_message: { text: 'half done', sender: 'Researcher', targetJid: 'local:main' },
  send_file: { path: 'report.pdf', caption: 'The report' },
  ask_user: { question: 'Which one?', options: ['red', 'blue'], timeoutMinutes: 5 },
  search_history: { query: 'blue door' },
  schedule_task: { prompt: 'Say hello', scheduleType: 'cron', scheduleValue: '0 9 * * 1-5', script: 'echo', catchUp: 'skip' },
  list_tasks: {},
  update_task: { taskId: 't1', script: null },
  pause_task: { taskId: 't1' },
  resume_task: { taskId: 't1' },
  cancel_task: { taskId: 't1' },
  run_task_now: { taskId: 't1' },
  task_history: { taskId: 't1', limit: 3 },
  list_groups: {},
  register_group: { jid: '1@g.us', folder: 'family', trigger: '@Andy' },
  update_group: { target: 'family', model: null },
  refresh_groups: {},
}
const REQUEST_TYPE: Record<string, string> = { send_message: 'message', send_file: 'file' }
const MAIN_ONLY = ['list_groups', 'register_group', 'update_group', 'refresh_groups']

/** What our tools look like to the model, by name. */
function toolsSeen(seat: AgentSeat): Record<string, { description: string }> {
  const { tools } = JSON.parse(seat.asked()) as { tools: { name: string; description: string }[] }
  const ours = tools.filter(({ name }) => name.startsWith('mcp__nanoclaw__'))
  return Object.fromEntries(ours.map((tool) => [tool.name.slice('mcp__nanoclaw__'.length), tool]))
}

test('every tool of main reaches the host as the request it is, in order, and gets its answer', async (t) => {
  const replies = ({ type }: IpcRequest) => ({ status: 'done' as const, text: `${type} is done`, taskId: 't1' })
  const seat = await agentSeat(t, { replies })
  const { result } = await seat.turn(
    randomUUID(),
    Object.entries(CALLS)
      .map(([tool, input]) => call(tool, input))
      .join('\n'),
  )
  const expected = Object.entries(CALLS).map(([tool, input]) => ({ type: REQUEST_TYPE[tool] ?? tool, ...input }))
  assert.equal(seat.requests.length, expected.length)
  for (const [n, wish] of expected.entries()) assert.deepEqual({ ...seat.requests[n], ...wish }, seat.requests[n])
  assert.equal(result, 'RESULT:refresh_groups is done\n{"taskId":"t1"}')
  assert.deepEqual(Object.keys(toolsSeen(seat)).sort(), Object.keys(CALLS).sort())
  assert.doesNotMatch(seat.stderr, /started again/)
})

test('a group that is not main has every tool but those that manage groups', async (t) => {
  const seat = await agentSeat(t, { input: { isMain: false } })
  await seat.turn(randomUUID(), '!echo x')
  const expected = Object.keys(CALLS).filter((tool) => !MAIN_ONLY.includes(tool))
  assert.deepEqual(Object.keys(toolsSeen(seat)).sort(), expected.sort())
})

test('a refusal and a wrong field are told to the agent as errors that say why', async (t) => {
  const replies = () => ({ status: 'refused' as const, text: 'Only main reaches other groups. You may send to your own chat.' })
  const seat = await agentSeat(t, { replies })
  const refused = await seat.turn(randomUUID(), call('send_message', { text: 'hi', targetJid: 'other@g.us' }))
  assert.match(String(refused.result), /Refused: Only main reaches other groups\. You may send to your own chat\./)
  assert.match(seat.asked(), /"is_error":true/)
  const malformed = await seat.turn(
    randomUUID(),
    call('schedule_task', { prompt: 'x', scheduleType: 'weekly', scheduleValue: '1' }),
  )
  assert.match(String(malformed.result), /scheduleType/)
  assert.equal(seat.requests.length, 1, 'what is malformed is not asked for')
})

test('a host that never answers is told as such, and not as a failure', async (t) => {
  const seat = await agentSeat(t, { input: { replyTimeoutMs: 300 }, replies: () => undefined })
  const { result } = await seat.turn(randomUUID(), call('schedule_task', CALLS.schedule_task))
  assert.match(String(result), /has not answered .* will still be carried out; do not ask for it again/)
  assert.doesNotMatch(seat.asked(), /"is_error":true/)
  assert.equal(seat.requests.length, 1)
})

test('a question waits for its person beyond the time that other answers have', async (t) => {
  const seat = await agentSeat(t, { input: { replyTimeoutMs: 300 }, replies: () => undefined })
  const uuid = randomUUID()
  const turn = seat.turn(uuid, `${call('list_tasks')}\n${call('ask_user', { question: 'Go?', options: ['yes', 'no'] })}`)
  await until(() => seat.requests.length === 2, 'the question is asked')
  // More than any other answer is waited for.
  await new Promise((resolve) => setTimeout(resolve, patience(1_000)))
  seat.replyTo('ask_user', { status: 'done', text: 'Ann chose: yes' })
  assert.equal((await turn).result, 'RESULT:Ann chose: yes')
})

test('a subagent uses the tools too', async (t) => {
  const seat = await agentSeat(t)
  const task = {
    description: 'Tell them',
    subagent_type: 'general-purpose',
    prompt: call('send_message', { text: 'from below' }),
  }
  const { result } = await seat.turn(randomUUID(), `!tool Agent ${JSON.stringify(task)}`)
  assert.deepEqual(seat.requests, [{ type: 'message', text: 'from below', targetJid: 'test@g.us' }], String(result))
})

test('a subagent is waited for: what it found is in the answer', async (t) => {
  const seat = await agentSeat(t)
  const task = {
    description: 'Look',
    subagent_type: 'general-purpose',
    prompt: '!tool Bash {"command":"sleep 1; echo $((6 * 7)) keys"}',
  }
  const { result } = await seat.turn(randomUUID(), `!tool Agent ${JSON.stringify(task)}`)
  assert.match(String(result), /42 keys/)
})

test('nothing is offered to the agent that would go on after its answer', async (t) => {
  const seat = await agentSeat(t)
  const wishes = [
    ['Bash', { command: 'sleep 1; echo in time', run_in_background: true }],
    ...['Workflow', 'Monitor', 'ScheduleWakeup', 'CronCreate'].map((name) => [name, {}] as const),
  ]
  const prompt = wishes.map(([name, input]) => `!tool ${name} ${JSON.stringify(input)}`).join('\n')
  const { result } = await seat.turn(randomUUID(), prompt)
  const brought = JSON.stringify((JSON.parse(seat.asked()) as { messages: unknown }).messages)
  assert.equal(brought.match(/No such tool available/g)?.length, 4, String(result))
  assert.match(brought, /in time/)
})

test('what waits behind a turn that is stopped is not begun', async (t) => {
  const seat = await agentSeat(t)
  const [first, followUp] = [randomUUID(), randomUUID()]
  const turn = seat.turn(first, '!slow 200 100')
  const said = () => seat.frames.filter(({ type }) => type === 'activity').length
  await until(() => said() > 0, 'the agent is speaking')
  seat.send({ type: 'followup', uuid: followUp, prompt: '!tool Bash {"command":"touch begun"}' })
  const before = said()
  await until(() => said() > before + 3, 'it goes on speaking')
  seat.send({ type: 'interrupt' })
  const { errorClass, consumed } = await turn
  assert.deepEqual([errorClass, consumed], ['interrupted', [first, followUp]])
  assert.equal((await seat.turn(randomUUID(), '!echo next')).result, 'next')
  assert.equal(existsSync(path.join(seat.group, 'begun')), false)
})

test('a run that fails by itself ends, and says why', async (t) => {
  const seat = await agentSeat(t)
  const { newSessionId } = await seat.turn(randomUUID(), '!echo x')
  const transcript = path.join(seat.sessions, 'projects/-workspace-group', `${newSessionId}.jsonl`)
  rmSync(transcript)
  mkdirSync(transcript)
  const uuid = randomUUID()
  const { errorClass, error } = await seat.turn(uuid, '!echo y', { earlier: [randomUUID()] })
  assert.deepEqual([errorClass, /EISDIR/.test(String(error))], ['crash', true])
  assert.equal(await seat.ended, 1)
})

test('an interrupt during a waiting call ends the turn at once, and the next turn works', async (t) => {
  const seat = await agentSeat(t, { replies: ({ type }) => (type === 'ask_user' ? undefined : { status: 'done', text: 'fine' }) })
  const [first, second] = [randomUUID(), randomUUID()]
  const turn = seat.turn(first, call('ask_user', { question: 'Go?', options: ['yes', 'no'] }))
  await until(() => seat.requests.length === 1, 'the question is asked')
  seat.send({ type: 'interrupt' })
  const { status, errorClass } = await turn
  assert.deepEqual([status, errorClass], ['error', 'interrupted'])
  assert.equal((await seat.turn(second, call('list_tasks'))).result, 'RESULT:fine')
})

test('a host that goes while a call waits lets the turn end', async (t) => {
  const seat = await agentSeat(t, { replies: () => undefined })
  const uuid = randomUUID()
  const turn = seat.turn(uuid, call('list_tasks'))
  await until(() => seat.requests.length === 1, 'the request is there')
  assert.equal(await seat.leave(), 0)
  assert.match(String((await turn).result), /NanoClaw is not listening right now/)
})

test('a script that says so keeps the model asleep: the turn succeeds with nothing, and nothing was asked', async (t) => {
  const seat = await agentSeat(t)
  const script = 'pwd > where; env > environment; echo checking; echo \'{"wakeAgent": false}\''
  const uuid = randomUUID()
  const { status, result, consumed } = await seat.turn(uuid, 'look at it', { script })
  assert.deepEqual([status, result, consumed], ['success', null, [uuid]])
  assert.equal(seat.model.requests.length, 0)
  assert.equal(readFileSync(path.join(seat.group, 'where'), 'utf8'), '/workspace/group\n')
  assert.match(readFileSync(path.join(seat.group, 'environment'), 'utf8'), /^ANTHROPIC_BASE_URL=http:\/\/127\.0\.0\.1/m)
})

test('a script that wakes the agent hands it its data; one that fails or decides nothing wakes it with what it said', async (t) => {
  const seat = await agentSeat(t)
  await seat.turn(randomUUID(), '!echo x', { script: `echo '{"wakeAgent": true, "data": {"mails": 3, "from": "<a>"}}'` })
  assert.ok(seat.asked().includes(JSON.stringify('<script-output>{"mails":3,"from":"\\u003ca>"}</script-output>').slice(1, -1)))
  await seat.turn(randomUUID(), '!echo x', { script: 'echo half way; echo broken pipe >&2; exit 3' })
  assert.match(seat.asked(), /<script-error>.*exit code 3.*half way\\nbroken pipe/)
  await seat.turn(randomUUID(), '!echo x', { script: 'echo nothing to see' })
  assert.match(seat.asked(), /<script-error>.*its last line was no .*nothing to see/)
})

test('an interrupt stops the script of a turn with all it started, and what waited behind it', async (t) => {
  const seat = await agentSeat(t)
  const [uuid, followUp] = [randomUUID(), randomUUID()]
  const turn = seat.turn(uuid, 'look', { script: 'touch started; sleep 20 & sleep 20; touch woken' })
  await until(() => existsSync(path.join(seat.group, 'started')), 'the script runs')
  seat.send({ type: 'followup', uuid: followUp, prompt: '!echo more' })
  seat.send({ type: 'interrupt' })
  const { errorClass, consumed } = await turn
  assert.deepEqual([errorClass, consumed], ['interrupted', [uuid, followUp]])
  assert.equal(seat.model.requests.length, 0)
  const { result } = await seat.turn(randomUUID(), '!tool Bash {"command":"pgrep -c sleep"}')
  assert.match(String(result), /\b0\b/)
})

test('a follow-up that comes during a script is answered after its turn', async (t) => {
  const seat = await agentSeat(t)
  const [uuid, followUp] = [randomUUID(), randomUUID()]
  const turn = seat.turn(uuid, 'look', {
    script: `touch started; until [ -e go ]; do sleep 0.05; done; echo '{"wakeAgent":false}'`,
  })
  await until(() => existsSync(path.join(seat.group, 'started')), 'the script runs')
  seat.send({ type: 'followup', uuid: followUp, prompt: '!echo and this' })
  writeFileSync(path.join(seat.group, 'go'), '')
  assert.equal((await turn).result, null)
  assert.equal((await seat.result(followUp)).result, 'and this')
})

const MCP_SERVER = `
import { createInterface } from 'node:readline'
const tools = [{ name: 'greet', description: 'Greets', inputSchema: { type: 'object' } }]
const answers = {
  initialize: () => ({ protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'g', version: '1' } }),
  'tools/list': () => ({ tools }),
  'tools/call': () => ({ content: [{ type: 'text', text: 'hello ' + process.env.WHO }] }),
}
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line)
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method]?.() ?? {} }))
})
`

test("the group's own MCP servers work beside ours; one that fails is named in the log and to the agent, once", async (t) => {
  const mcpServers = {
    greeter: { command: 'node', args: ['/workspace/group/server.mjs'], env: { WHO: 'Ann' } },
    broken: { command: '/nowhere/server' },
  }
  const seat = await agentSeat(t, {
    input: { mcpServers },
    before: (group) => writeFileSync(path.join(group, 'server.mjs'), MCP_SERVER),
  })
  const { result } = await seat.turn(randomUUID(), `!tool mcp__greeter__greet {}\n${call('list_tasks')}`)
  assert.equal(result, 'RESULT:done')
  assert.match(JSON.stringify(seat.model.requests.map(({ body }) => body)), /hello Ann/)
  assert.match(seat.asked(), /<note>These MCP servers did not start.*\\"broken\\"/)
  assert.match(seat.stderr, /MCP server "broken" is missing in this run/)
  assert.doesNotMatch(seat.stderr, /started again/)
  assert.equal(seat.stderr.match(/"broken" is missing/g)?.length, 1)
})

test("a group's model, effort and system prompt reach the model", async (t) => {
  const input = { model: 'claude-sonnet-4-6', effort: 'low' as const, systemPrompt: 'Answer in rhymes, always.' }
  const seat = await agentSeat(t, { input })
  await seat.turn(randomUUID(), '!echo x')
  const request = JSON.parse(seat.asked())
  assert.equal(request.model, 'claude-sonnet-4-6')
  assert.equal(request.output_config?.effort, 'low')
  assert.match(JSON.stringify(request.system), /Answer in rhymes, always\./)
})
