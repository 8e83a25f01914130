import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'

/** What an agent is told when it calls a tool, by the real host. */
async function call(host: TestHost, tool: string, input: object = {}, options: string[] = []): Promise<string> {
  const answer = await host.say(`!tool mcp__nanoclaw__${tool} ${JSON.stringify(input)}`, options)
  return answer.slice(answer.lastIndexOf('RESULT:'))
}

function query(host: TestHost, sql: string): Record<string, unknown>[] {
  const db = new SQLite(path.join(host.root, 'store/messages.db'), { readonly: true })
  try {
    return db.prepare(sql).all() as Record<string, unknown>[]
  } finally {
    db.close()
  }
}

async function hostWithFamily(t: { after(fn: () => unknown): void }): Promise<TestHost> {
  const host = await TestHost.create(t)
  await host.start()
  for (const args of [['register', 'local:family', '--folder', 'family', '--no-trigger']])
    assert.equal((await host.run(['groups', ...args])).code, 0)
  return host
}

const taskIn = (answer: string) => /task-[0-9a-f]{12}/.exec(answer)?.[0] ?? assert.fail(answer)

test('every tool of main does what it says, and says what it did', async (t) => {
  const host = await hostWithFamily(t)
  const main = (tool: string, input: object = {}) => call(host, tool, input)
  assert.match(await main('send_message', { text: 'from main', targetJid: 'local:family' }), /Sent to local:family/)
  assert.deepEqual(query(host, "SELECT text FROM outbox WHERE jid = 'local:family'"), [{ text: 'from main' }])
  await host.say('!tool Bash {"command":"echo 1 > /workspace/group/report.txt"}')
  assert.match(await main('send_file', { path: 'report.txt', caption: 'Here' }), /RESULT:/)
  assert.match(await main('search_history', { query: 'report.txt' }), /report\.txt/)

  const cron = { prompt: 'Say hello', scheduleType: 'cron', scheduleValue: '0 9 * * 1-5', targetJid: 'local:family' }
  const id = taskIn(await main('schedule_task', cron))
  assert.match(await main('list_tasks'), new RegExp(id))
  assert.match(await main('update_task', { taskId: id, prompt: '!echo the task ran' }), /is changed\. Next run: /)
  assert.match(await main('pause_task', { taskId: id }), /is paused/)
  assert.match(await main('resume_task', { taskId: id }), /is active again/)
  assert.match(await main('run_task_now', { taskId: id }), /runs now/)
  await until(() => query(host, "SELECT 1 FROM task_run_logs WHERE status = 'success'").length === 1, 'the task has run')
  assert.match(await main('task_history', { taskId: id }), /the task ran/)
  assert.match(await main('cancel_task', { taskId: id }), /is cancelled/)

  assert.match(await main('list_groups'), /"?family"?/)
  const friends = { jid: 'tg:77', folder: 'friends', name: 'Friends', trigger: '@Andy' }
  assert.match(await main('register_group', friends), /RESULT:(?!Refused|Malformed|Failed)/)
  assert.match(await main('update_group', { target: 'friends', name: 'Best friends' }), /RESULT:(?!Refused|Malformed|Failed)/)
  assert.deepEqual(query(host, "SELECT name FROM groups WHERE folder = 'friends'"), [{ name: 'Best friends' }])
  assert.match(await main('refresh_groups'), /RESULT:(?!Refused|Malformed|Failed)/)

  const asking = call(host, 'ask_user', { question: 'Which one?', options: ['red', 'blue'], timeoutMinutes: 5 })
  await until(() => query(host, "SELECT 1 FROM outbox WHERE text LIKE '%Which one?%'").length === 1, 'it is asked')
  await host.client.send('local:main', '2')
  assert.match(await asking, /blue/)
})

test("another group has its own chats and tasks, and is told why it gets nobody else's", async (t) => {
  const host = await hostWithFamily(t)
  const id = taskIn(await call(host, 'schedule_task', { prompt: 'x', scheduleType: 'interval', scheduleValue: '3600000' }))
  const family = (tool: string, input: object = {}) => call(host, tool, input, ['--group', 'family'])
  assert.match(await family('send_message', { text: 'to us' }), /Sent/)
  assert.match(await family('send_message', { text: 'to main', targetJid: 'local:main' }), /Refused: /)
  for (const tool of ['pause_task', 'resume_task', 'cancel_task', 'run_task_now', 'task_history', 'update_task'])
    assert.match(await family(tool, { taskId: id, ...(tool === 'update_task' ? { prompt: 'mine' } : {}) }), /Refused: /, tool)
  assert.doesNotMatch(await family('list_tasks'), new RegExp(id))
  const own = { prompt: 'ours', scheduleType: 'once', scheduleValue: '2001-01-01T00:00:00' }
  assert.match(await family('schedule_task', own), /Refused: .*past/)
  const ours = taskIn(await family('schedule_task', { ...own, scheduleType: 'interval', scheduleValue: '3600000' }))
  assert.match(await family('list_tasks'), new RegExp(ours))
  for (const tool of ['list_groups', 'register_group', 'update_group', 'refresh_groups'])
    assert.match(await family(tool), /No such tool/, tool)
  assert.deepEqual(query(host, `SELECT prompt, status FROM scheduled_tasks WHERE id = '${id}'`), [
    { prompt: 'x', status: 'active' },
  ])
  assert.deepEqual(readdirSync(path.join(host.root, 'data/ipc/family/tasks')), [])
})
