import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpcType, ipcFields, ipcFolderOf, ipcRequest, ipcResult } from './ipc.ts'

/** The least that each request needs. */
const LEAST = {
  message: { text: 'hi' },
  file: { path: 'a' },
  ask_user: { question: 'which?', options: ['a', 'b'] },
  schedule_task: { prompt: 'p', scheduleType: 'cron', scheduleValue: '* * * * *' },
  update_task: { taskId: 't' },
  pause_task: { taskId: 't' },
  resume_task: { taskId: 't' },
  cancel_task: { taskId: 't' },
  run_task_now: { taskId: 't' },
  task_history: { taskId: 't' },
  list_tasks: {},
  list_groups: {},
  register_group: { jid: 'tg:1', folder: 'f' },
  update_group: { target: 'f' },
  refresh_groups: {},
  search_history: { query: 'q' },
} satisfies Record<IpcType, object>

const DEFAULTS: Partial<Record<IpcType, object>> = {
  ask_user: { timeoutMinutes: 60 },
  task_history: { limit: 20 },
  search_history: { limit: 20 },
}

/** Whether a request is understood with these fields beside, or instead of, the least that it needs. */
function isUnderstood(type: IpcType, over: object): boolean {
  return ipcRequest.safeParse({ type, ...LEAST[type], ...over }).success
}

for (const [type, least] of Object.entries(LEAST) as [IpcType, object][])
  test(`${type} is understood with the least that it needs, and not without, nor with a field that nobody knows`, () => {
    assert.deepEqual(ipcRequest.parse({ type, ...least }), { type, ...least, ...DEFAULTS[type] })
    for (const name of Object.keys(least)) assert.ok(!isUnderstood(type, { [name]: undefined }), `without ${name}`)
    assert.ok(!isUnderstood(type, { unknown: 1 }))
    assert.equal(ipcFolderOf(type), ['message', 'file', 'ask_user'].includes(type) ? 'messages' : 'tasks')
  })

/** How long texts may be; those with 0 may be empty. Blanks at both ends of a trimmed one do not count. */
const LENGTHS: [type: IpcType, name: string, min: number, max: number, trimmed: boolean][] = [
  ['message', 'text', 1, 100_000, true],
  ['message', 'sender', 1, 100, true],
  ['message', 'targetJid', 1, 300, false],
  ['file', 'path', 1, 4_096, false],
  ['file', 'caption', 0, 1_000, true],
  ['file', 'targetJid', 1, 300, false],
  ['ask_user', 'question', 1, 4_000, true],
  ['ask_user', 'targetJid', 1, 300, false],
  ['schedule_task', 'prompt', 1, 100_000, true],
  ['schedule_task', 'script', 1, 20_000, false],
  ['schedule_task', 'scheduleValue', 1, 200, true],
  ['schedule_task', 'targetJid', 1, 300, false],
  ['update_task', 'taskId', 1, 200, false],
  ['update_task', 'prompt', 1, 100_000, true],
  ['update_task', 'script', 1, 20_000, false],
  ['update_task', 'scheduleValue', 1, 200, true],
  ['pause_task', 'taskId', 1, 200, false],
  ['resume_task', 'taskId', 1, 200, false],
  ['cancel_task', 'taskId', 1, 200, false],
  ['run_task_now', 'taskId', 1, 200, false],
  ['task_history', 'taskId', 1, 200, false],
  ['register_group', 'jid', 1, 300, false],
  ['register_group', 'folder', 1, 64, false],
  ['register_group', 'name', 1, 100, true],
  ['register_group', 'trigger', 1, 200, true],
  ['update_group', 'target', 1, 300, false],
  ['update_group', 'name', 1, 100, true],
  ['update_group', 'trigger', 1, 200, true],
  ['update_group', 'model', 1, 200, false],
  ['update_group', 'systemPrompt', 0, 20_000, false],
  ['search_history', 'query', 1, 500, true],
]

test('every text of a request is understood up to its length, and no longer', () => {
  for (const [type, name, min, max, trimmed] of LENGTHS) {
    const understood = (text: string) => isUnderstood(type, { [name]: text })
    assert.deepEqual([understood(''), understood('x')], [min === 0, true], `${type} ${name}`)
    assert.deepEqual([understood('x'.repeat(max)), understood('x'.repeat(max + 1))], [true, false], `${type} ${name}`)
    assert.equal(understood(` ${'x'.repeat(max)}\n`), trimmed, `${type} ${name}: blanks`)
    assert.equal(understood(' '), !trimmed || min === 0, `${type} ${name}: nothing but blanks`)
    assert.ok(!isUnderstood(type, { [name]: 1 }), `${type} ${name}: a number`)
  }
})

test('numbers of a request have their bounds', () => {
  const understood = (type: IpcType, name: string, values: number[]) =>
    values.map((value) => isUnderstood(type, { [name]: value }))
  for (const type of ['task_history', 'search_history'] as const)
    assert.deepEqual(understood(type, 'limit', [0, 1, 100, 101, 1.5]), [false, true, true, false, false])
  assert.deepEqual(understood('ask_user', 'timeoutMinutes', [0, 0.1, 1_440, 1_440.1, -1]), [false, true, true, false, false])
  assert.deepEqual(understood('update_group', 'timeout', [999, 1_000, 1_000.5]), [false, true, false])
})

test('a question has 2 to 12 options of 1 to 200 characters that differ by more than capitals and blanks', () => {
  const understood = (options: unknown) => isUnderstood('ask_user', { options })
  const labels = (count: number) => Array.from({ length: count }, (_, n) => `label ${n}`)
  assert.deepEqual(
    [1, 2, 12, 13].map((count) => understood(labels(count))),
    [false, true, true, false],
  )
  assert.deepEqual(
    [0, 1, 200, 201].map((length) => understood(['no', 'y'.repeat(length)])),
    [false, true, true, false],
  )
  for (const twice of [
    ['a', 'a'],
    ['a', 'A'],
    ['a', ' a '],
    ['b', 'a', 'c', 'A'],
  ])
    assert.ok(!understood(twice), twice.join())
})

test('a field with a fixed list of words accepts no other word', () => {
  const understood = (type: IpcType, name: string, values: readonly unknown[]) =>
    values.every((value) => isUnderstood(type, { [name]: value })) && !isUnderstood(type, { [name]: 'other' })
  for (const type of ['schedule_task', 'update_task'] as const) {
    assert.ok(understood(type, 'scheduleType', ['cron', 'interval', 'once']))
    assert.ok(understood(type, 'contextMode', ['group', 'isolated']))
    assert.ok(understood(type, 'catchUp', ['once', 'skip']))
  }
  assert.ok(understood('update_group', 'effort', ['low', 'medium', 'high', 'xhigh', 'max', null]))
})

test('null takes a setting away where there may be none', () => {
  for (const name of ['model', 'effort', 'systemPrompt', 'timeout'])
    assert.ok(isUnderstood('update_group', { [name]: null }), name)
  assert.ok(isUnderstood('update_task', { script: null }))
  for (const name of ['name', 'trigger', 'requiresTrigger']) assert.ok(!isUnderstood('update_group', { [name]: null }), name)
  assert.ok(!isUnderstood('schedule_task', { script: null }))
})

test('a request in the words of v1 means the same, and what it claims about who asks is dropped', () => {
  const v1 = { type: 'schedule_task', prompt: 'p', schedule_type: 'once', schedule_value: 'v', context_mode: 'group' }
  const claims = { groupFolder: 'main', chatJid: 'tg:1', createdBy: 'me', timestamp: 'now', isMain: true, taskId: 'made-up' }
  assert.deepEqual(ipcRequest.parse({ ...v1, ...claims }), {
    ...{ type: 'schedule_task', targetJid: 'tg:1', prompt: 'p' },
    ...{ scheduleType: 'once', scheduleValue: 'v', contextMode: 'group' },
  })
})

test('a chat that v1 names is the target of what goes to a chat, unless a target is named', () => {
  for (const type of ['message', 'file', 'ask_user', 'schedule_task'] as const) {
    const target = (over: object) => ipcRequest.parse({ type, ...LEAST[type], chatJid: 'tg:1', ...over })
    assert.equal((target({}) as { targetJid?: string }).targetJid, 'tg:1', type)
    assert.equal((target({ targetJid: 'tg:2' }) as { targetJid?: string }).targetJid, 'tg:2', type)
  }
  assert.deepEqual(ipcRequest.parse({ type: 'pause_task', taskId: 't', chatJid: 'tg:1' }), { type: 'pause_task', taskId: 't' })
})

test('a wish to make a group main is no claim, and is refused', () => {
  assert.ok(!isUnderstood('register_group', { isMain: true }))
  assert.ok(!isUnderstood('update_group', { is_main: true }))
  assert.ok(isUnderstood('list_groups', { isMain: true }))
})

test('a value that is not an object is not a request', () => {
  for (const value of [null, [], 'list_tasks', 1, undefined, [{ type: 'list_tasks' }]])
    assert.equal(ipcRequest.safeParse(value).success, false, JSON.stringify(value))
})

test('a result has a known status and words, and may have more', () => {
  for (const status of ['done', 'refused', 'malformed', 'failed'])
    assert.deepEqual(ipcResult.parse({ status, text: 't', taskId: 'x' }), { status, text: 't', taskId: 'x' })
  for (const wrong of [{ status: 'ok', text: 't' }, { status: 'done' }, null]) assert.ok(!ipcResult.safeParse(wrong).success)
})

test('the table of lengths leaves no text of a request out', () => {
  const listed = new Set(LENGTHS.map(([type, name]) => `${type} ${name}`))
  const texts = Object.entries(ipcFields).flatMap(([type, fields]) =>
    Object.keys(fields)
      .filter((name) => isUnderstood(type as IpcType, { [name]: 'x' }))
      .map((name) => `${type} ${name}`),
  )
  assert.deepEqual(
    texts.filter((text) => !listed.has(text)),
    [],
  )
})
