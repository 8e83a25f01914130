import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type IpcType, type RunnerInput, runnerInput } from '@nanoclaw/protocol'
import { z } from 'zod'
import { HostRequests } from './host-requests.ts'
import { hostServer, toolResult } from './host-server.ts'
import { hostTools } from './host-tools.ts'

type Handler = (fields: object, extra?: unknown) => Promise<{ content: { text: string }[]; isError?: boolean }>
type Tool = { handler: Handler; fields: z.ZodRawShape; extras: { annotations?: { readOnlyHint?: boolean } } }

/** The tools of an agent as the SDK gets them, with what the server was made with. */
function tools(t: TestContext, given: Partial<RunnerInput> = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-ipc-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const name of ['messages', 'tasks']) mkdirSync(path.join(folder, name))
  const all = new Map<string, Tool>()
  const servers: { name: string; tools: unknown[]; alwaysLoad: boolean; timeout: number }[] = []
  const sdk = {
    createSdkMcpServer: (server: (typeof servers)[number]) => servers.push(server),
    tool: (name: string, _: string, fields: z.ZodRawShape, handler: Handler, extras: Tool['extras']) =>
      all.set(name, { handler, fields, extras }),
  } as unknown as Parameters<typeof hostServer>[0]['sdk']
  const input = runnerInput.parse({ groupFolder: 'main', chatJid: 'local:main', ...given })
  const requests = new HostRequests(folder)
  hostServer({ sdk, input, requests })
  const call = (name: string, fields: object, extra?: unknown) =>
    (all.get(name) ?? assert.fail(`there is no ${name}`)).handler(fields, extra)
  return { all, servers, requests, call, written: (box: string) => readdirSync(path.join(folder, box)).length }
}

const COMMON = [
  ...['ask_user', 'cancel_task', 'list_tasks', 'pause_task', 'resume_task', 'run_task_now', 'schedule_task', 'search_history'],
  ...['send_file', 'send_message', 'task_history', 'update_task'],
]
const OF_MAIN = ['list_groups', 'refresh_groups', 'register_group', 'update_group']

test('the agents of all groups have the tools of chats and tasks, and main those of groups, too', (t) => {
  assert.deepEqual([...tools(t).all.keys()].sort(), COMMON)
  assert.deepEqual([...tools(t, { isMain: true }).all.keys()].sort(), [...COMMON, ...OF_MAIN].sort())
})

test('tools that change nothing are marked as such, and no others', (t) => {
  const marked = [...tools(t, { isMain: true }).all].filter(([, { extras }]) => extras.annotations?.readOnlyHint === true)
  assert.deepEqual(marked.map(([name]) => name).sort(), ['list_groups', 'list_tasks', 'search_history', 'task_history'])
  const others = [...tools(t).all.values()].filter(({ extras }) => extras.annotations?.readOnlyHint === false)
  assert.equal(others.length, COMMON.length - 3)
})

test('the server is loaded with the agent, and a call may take longer than a question can stay open', (t) => {
  const [server] = tools(t).servers
  assert.deepEqual([server?.name, server?.alwaysLoad, server?.tools.length], ['nanoclaw', true, COMMON.length])
  assert.ok((server?.timeout ?? 0) > 1_440 * 60_000)
})

test('every tool asks for a request of its own type, and takes the fields of that request', () => {
  const types = hostTools({ isMain: true }).map(({ name, type }) => [name, type] as [string, IpcType])
  const renamed = Object.fromEntries(types.filter(([name, type]) => name !== type))
  assert.deepEqual(renamed, { send_message: 'message', send_file: 'file' })
  const required = Object.fromEntries(
    hostTools({ isMain: true }).map(({ name, fields }) => [
      name,
      Object.keys(fields).filter((field) => !z.safeParse(fields[field] ?? z.never(), undefined).success),
    ]),
  )
  assert.deepEqual(required, {
    ...{ send_message: ['text'], send_file: ['path'], ask_user: ['question', 'options'], search_history: ['query'] },
    ...{ schedule_task: ['prompt', 'scheduleType', 'scheduleValue'], list_tasks: [], update_task: ['taskId'] },
    ...{
      pause_task: ['taskId'],
      resume_task: ['taskId'],
      cancel_task: ['taskId'],
      run_task_now: ['taskId'],
      task_history: ['taskId'],
    },
    ...{ list_groups: [], register_group: ['jid', 'folder'], update_group: ['target'], refresh_groups: [] },
  })
})

test('main is told of the list of all groups for a chat to write to, and other agents of their own chats', () => {
  const about = (isMain: boolean, name: string) => {
    const targetJid = hostTools({ isMain }).find((tool) => tool.name === name)?.fields.targetJid
    return targetJid instanceof z.ZodType ? targetJid.description : assert.fail(`${name} has no target`)
  }
  for (const name of ['send_message', 'send_file', 'ask_user', 'schedule_task']) {
    assert.match(about(true, name) ?? '', /^JID of another chat \(see list_groups\)/, name)
    assert.match(about(false, name) ?? '', /^JID of another chat of this group;/, name)
  }
})

test('an agent waits for an answer as long as its settings say, and for a person besides', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { call, written } = tools(t, { replyTimeoutMs: 5_000 })
  const over: string[] = []
  const plain = call('list_tasks', {}).then(({ content }) => over.push(`plain: ${content[0]?.text}`))
  const question = { question: 'which?', options: ['a', 'b'], timeoutMinutes: 2 }
  const asked = call('ask_user', question).then(({ content }) => over.push(`asked: ${content[0]?.text}`))
  const asIf = 'It was asked for and will still be carried out; do not ask for it again.'
  t.mock.timers.tick(4_999)
  await Promise.resolve()
  assert.deepEqual(over, [])
  t.mock.timers.tick(1)
  await plain
  assert.deepEqual(over, [`plain: NanoClaw has not answered within 5 s. ${asIf}`])
  t.mock.timers.tick(119_999)
  for (let round = 0; round < 20; round++) await Promise.resolve()
  assert.equal(over.length, 1)
  t.mock.timers.tick(1)
  await asked
  assert.equal(over[1], `asked: NanoClaw has not answered within 125 s. ${asIf}`)
  assert.deepEqual([written('tasks'), written('messages')], [1, 1])
})

test('a call that is given up waits no longer, and its request stays', async (t) => {
  const { call, written } = tools(t)
  const leave = new AbortController()
  const answer = call('list_tasks', {}, { signal: leave.signal })
  leave.abort()
  const { content, isError } = await answer
  assert.match(content[0]?.text ?? '', /^You were interrupted before the answer came\. It was asked for/)
  assert.deepEqual([isError, written('tasks')], [undefined, 1])
})

test('a tool result has the words of the answer with the data below, and is an error only if the request failed', () => {
  const replied = (status: 'done' | 'refused' | 'malformed' | 'failed', data: object = {}) =>
    toolResult({ type: 'replied', result: { status, text: 'words', ...data } }, 1)
  const said = (text: string) => ({ content: [{ type: 'text', text }] })
  assert.deepEqual(replied('done'), said('words'))
  assert.deepEqual(replied('done', { a: 1 }), said('words\n{"a":1}'))
  assert.deepEqual(replied('refused', { a: 1 }), { ...said('Refused: words\n{"a":1}'), isError: true })
  assert.deepEqual(replied('failed'), { ...said('Failed: words'), isError: true })
  const gone = toolResult({ type: 'unanswered', why: 'host-gone' }, 1)
  assert.match(gone.content[0]?.text ?? '', /^NanoClaw is not listening right now\. It was asked for/)
  assert.match(toolResult({ type: 'unanswered', why: 'late' }, 1_499).content[0]?.text ?? '', /within 1 s\./)
})
