import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runnerInput } from '@nanoclaw/protocol'
import { HostRequests } from './host-requests.ts'
import { hostServer, toolResult } from './host-server.ts'

function ipcFolder(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-ipc-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const name of ['messages', 'tasks']) mkdirSync(path.join(folder, name))
  return folder
}

const long = { waitMs: 60_000 }

test('a request is a whole file in its folder, and its reply finds it by its id', async (t) => {
  const folder = ipcFolder(t)
  const requests = new HostRequests(folder)
  const [first, second] = [requests.ask({ type: 'list_tasks' }, long), requests.ask({ type: 'message', text: 'hi' }, long)]
  const [task = ''] = readdirSync(path.join(folder, 'tasks'))
  const [message = ''] = readdirSync(path.join(folder, 'messages'))
  assert.deepEqual(JSON.parse(readFileSync(path.join(folder, 'messages', message), 'utf8')), { type: 'message', text: 'hi' })
  requests.reply({ type: 'reply', id: 'somebody-else', ok: true, result: {} })
  requests.reply({ type: 'reply', id: message.replace('.json', ''), ok: true, result: { status: 'done', text: 'sent' } })
  requests.reply({ type: 'reply', id: task.replace('.json', ''), ok: false, result: 'odd' })
  assert.deepEqual(await second, { type: 'replied', result: { status: 'done', text: 'sent' } })
  assert.deepEqual(await first, { type: 'replied', result: { status: 'failed', text: 'odd' } })
})

test('waiting ends by time, by the caller, by an interrupt, and when the host goes; each request stays asked', async (t) => {
  const folder = ipcFolder(t)
  const requests = new HostRequests(folder)
  const caller = new AbortController()
  const late = requests.ask({ type: 'list_tasks' }, { waitMs: 1 })
  const left = requests.ask({ type: 'list_tasks' }, { ...long, signal: caller.signal })
  caller.abort()
  assert.deepEqual(
    [await late, await left].map((answer) => answer.type === 'unanswered' && answer.why),
    ['late', 'interrupted'],
  )
  const stopped = requests.ask({ type: 'list_tasks' }, long)
  requests.interrupt()
  const gone = requests.ask({ type: 'list_tasks' }, long)
  requests.hostLeft()
  const afterwards = requests.ask({ type: 'list_tasks' }, long)
  const answers = await Promise.all([stopped, gone, afterwards])
  assert.deepEqual(
    answers.map((answer) => answer.type === 'unanswered' && answer.why),
    ['interrupted', 'host-gone', 'host-gone'],
  )
  assert.equal(readdirSync(path.join(folder, 'tasks')).length, 5)
})

test('what names no chat is meant for the one whose turn it is, and nothing else gets one', async (t) => {
  const folder = ipcFolder(t)
  const requests = new HostRequests(folder)
  const tools = new Map<string, (fields: object) => Promise<unknown>>()
  const sdk = {
    createSdkMcpServer: () => ({}),
    tool: (name: string, _d: string, _f: object, handler: (fields: object) => Promise<unknown>) => tools.set(name, handler),
  } as unknown as Parameters<typeof hostServer>[0]['sdk']
  hostServer({ sdk, input: runnerInput.parse({ groupFolder: 'main', chatJid: 'local:main', isMain: true }), requests })
  const written = (box: string, tool: string, fields: object) => {
    void tools.get(tool)?.(fields)
    const [name = ''] = readdirSync(path.join(folder, box))
    const { targetJid } = JSON.parse(readFileSync(path.join(folder, box, name), 'utf8'))
    rmSync(path.join(folder, box, name))
    return targetJid
  }
  assert.equal(written('messages', 'send_message', { text: 'hi' }), 'local:main')
  requests.chatJid = 'tg:1'
  assert.equal(written('messages', 'send_message', { text: 'hi' }), 'tg:1')
  assert.equal(written('messages', 'send_message', { text: 'hi', targetJid: 'tg:2' }), 'tg:2')
  assert.equal(written('tasks', 'schedule_task', { prompt: 'p', scheduleType: 'cron', scheduleValue: '* * * * *' }), 'tg:1')
  assert.equal(written('tasks', 'list_tasks', {}), undefined)
  requests.hostLeft()
})

test('a request that cannot be written is an error that says why', async () => {
  const answer = await new HostRequests('/nowhere').ask({ type: 'list_tasks' }, long)
  const { content, isError } = toolResult(answer, long.waitMs)
  assert.equal(isError, true)
  assert.match(content[0]?.text ?? '', /^Not done: .*ENOENT/)
})

test('what a reply has beside its words is there for the model, and only what failed is an error', () => {
  const done = toolResult({ type: 'replied', result: { status: 'done', text: 'Planned.', taskId: 't1' } }, 1)
  assert.deepEqual(done, { content: [{ type: 'text', text: 'Planned.\n{"taskId":"t1"}' }] })
  const malformed = toolResult({ type: 'replied', result: { status: 'malformed', text: 'limit: too large' } }, 1)
  assert.deepEqual([malformed.isError, malformed.content[0]?.text], [true, 'Malformed: limit: too large'])
  assert.equal(toolResult({ type: 'unanswered', why: 'late' }, 1).isError, undefined)
})
