import assert from 'node:assert/strict'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { MAX_FRAME_BYTES } from '@nanoclaw/protocol'
import { office } from '../../test/fakes/ipc-office.ts'
import { registerChat } from '../../test/fakes/rooms.ts'

const SCHEDULE = { type: 'schedule_task', prompt: 'water the plants', scheduleType: 'cron', scheduleValue: '0 9 * * *' }

test('what an agent sends is committed before it hears so, in its chat and without internal notes', async (t) => {
  const { store, attach, ask, outbox } = office(t)
  const run = attach('family')
  const result = await ask('family', run, { type: 'message', text: 'On it. <internal>hm</internal>', sender: 'Cook' })
  assert.deepEqual(result, { status: 'done', text: 'Sent to local:family.' })
  assert.deepEqual(
    outbox().map(({ jid, text }) => [jid, text]),
    [['local:family', '*Cook*: On it.']],
  )
  const [said] = store.messages.latest('local:family', 1)
  assert.deepEqual([said?.text, said?.fromAssistant], ['*Cook*: On it.', true])
})

test('what it sends in a turn belongs to that turn, and is not told to it again as news', async (t) => {
  const { store, desk, inbox, attach, ask } = office(t)
  inbox.receive({ jid: 'local:family', id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  const turn = desk.claim('family', 'chat') ?? assert.fail()
  await ask('family', attach('family'), { type: 'message', text: 'working' })
  desk.finish([turn], { type: 'answered', text: 'done', usage: undefined })
  assert.deepEqual(store.messages.answersOf(turn.turn.id), ['working', 'done'])
  assert.deepEqual(store.messages.unanswered('local:family', turn.throughSeq), [])
})

test('what main says in another chat is context for the group that answers there', async (t) => {
  const { store, attach, ask } = office(t)
  await ask('main', attach('main'), { type: 'message', text: 'hello', targetJid: 'local:family' })
  assert.equal(store.messages.unanswered('local:family', 0).length, 1)
})

test('identity is the folder: nothing that a payload claims makes a group speak for another', async (t) => {
  const { attach, ask, outbox, tasks } = office(t)
  const run = attach('family')
  const claims = { groupFolder: 'main', isMain: true, createdBy: 'main' }
  for (const aim of [
    { chatJid: 'local:main' },
    { targetJid: 'local:main' },
    { target_jid: 'local:main' },
    { targetJid: 'tg:nobody' },
  ]) {
    const result = await ask('family', run, { type: 'message', text: 'x', ...claims, ...aim })
    assert.equal(result.status, 'refused')
    assert.match(result.text, /You may use: local:family\./)
    assert.equal((await ask('family', run, { ...SCHEDULE, ...claims, ...aim })).status, 'refused')
  }
  for (const request of [
    { type: 'refresh_groups' },
    { type: 'register_group', jid: 'tg:1', folder: 'x' },
    { type: 'update_group', target: 'family', name: 'x' },
  ])
    assert.notEqual((await ask('family', run, { ...request, ...claims })).status, 'done', request.type)
  const { groups } = await ask('family', run, { type: 'list_groups', ...claims })
  assert.deepEqual(
    (groups as { folder: string }[]).map(({ folder }) => folder),
    ['family'],
  )
  assert.deepEqual([outbox(), [...tasks.book.keys()]], [[], []])
})

test('a group uses all of its own chats', async (t) => {
  const { store, attach, ask, outbox } = office(t)
  registerChat(store, { jid: 'tg:2', folder: 'family' })
  await ask('family', attach('family'), { type: 'message', text: 'x', targetJid: 'tg:2' })
  assert.equal(outbox()[0]?.jid, 'tg:2')
})

test('a task belongs to the group of its chat, and main alone reaches the others’', async (t) => {
  const { attach, ask, tasks } = office(t)
  const [main, family] = [attach('main'), attach('family')]
  const own = await ask('family', family, SCHEDULE)
  assert.deepEqual([own.status, own.taskId, own.nextRun], ['done', 'task-1', '1970-01-01 00:01'])
  await ask('main', main, { ...SCHEDULE, targetJid: 'local:family' })
  await ask('main', main, SCHEDULE)
  assert.deepEqual(
    [...tasks.book.values()].map(({ folder, jid }) => [folder, jid]),
    [
      ['family', 'local:family'],
      ['family', 'local:family'],
      ['main', 'local:main'],
    ],
  )
  const seen = async (folder: string, run: typeof main) =>
    ((await ask(folder, run, { type: 'list_tasks' })).tasks as unknown[]).length
  assert.deepEqual([await seen('main', main), await seen('family', family)], [3, 2])
})

test('the id of a foreign task and one that does not exist get the same answer', async (t) => {
  const { attach, ask, tasks } = office(t)
  const [main, family] = [attach('main'), attach('family')]
  await ask('main', main, SCHEDULE)
  for (const type of ['update_task', 'pause_task', 'resume_task', 'cancel_task', 'run_task_now', 'task_history']) {
    const [foreign, unknown] = [
      await ask('family', family, { type, taskId: 'task-1' }),
      await ask('family', family, { type, taskId: 'task-9' }),
    ]
    assert.equal(foreign.status, 'refused')
    assert.equal(foreign.text.replace('task-1', ''), unknown.text.replace('task-9', ''))
    assert.equal((await ask('main', main, { type, task_id: 'task-1' })).status, 'done', `${type} in the words of v1`)
  }
  assert.deepEqual(tasks.did, ['update {} task-1', 'pause task-1', 'resume task-1', 'cancel task-1', 'run task-1'])
})

test('what the book of tasks refuses is refused with its reason', async (t) => {
  const { attach, ask } = office(t)
  const result = await ask('family', attach('family'), { ...SCHEDULE, scheduleValue: 'nonsense' })
  assert.deepEqual(result, { status: 'refused', text: 'that is no schedule' })
})

test('no message makes a main group, shares a folder, or gives a host path', async (t) => {
  const { store, attach, ask } = office(t)
  const run = attach('main')
  const register = (extra: object) => ask('main', run, { type: 'register_group', jid: 'tg:1', folder: 'club', ...extra })
  for (const folder of ['main', 'family', 'Family', 'global', 'tasks', '__proto__', '../x', 'con', ''])
    assert.notEqual((await register({ folder })).status, 'done', folder)
  const mounts = { additionalMounts: [{ hostPath: '/' }] }
  for (const extra of [{ isMain: true }, { is_main: true }, { containerConfig: mounts }, mounts, { main: true }])
    assert.equal((await register(extra)).status, 'malformed', JSON.stringify(extra))
  for (const extra of [
    { isMain: true },
    { main: true },
    { config: mounts },
    mounts,
    { network: 'bridge' },
    { limits: { cpus: 64 } },
  ])
    assert.equal(
      (await ask('main', run, { type: 'update_group', target: 'family', ...extra })).status,
      'malformed',
      JSON.stringify(extra),
    )
  assert.deepEqual(
    store.groups.all().map(({ folder, isMain, config }) => [folder, isMain, config]),
    [
      ['main', true, {}],
      ['family', false, {}],
    ],
  )
  assert.equal(store.groups.chat('tg:1'), undefined)
  assert.equal((await register({ folder: 'constructor' })).status, 'done')
  assert.deepEqual(store.groups.find('constructor')?.isMain, false)
})

test('main changes how a group is called and which model it has', async (t) => {
  const { store, attach, ask } = office(t)
  const run = attach('main')
  const result = await ask('main', run, {
    type: 'update_group',
    target: 'family',
    name: 'Home',
    model: 'opus',
    requires_trigger: true,
  })
  assert.equal(result.status, 'done', result.text)
  const group = store.groups.find('family')
  assert.deepEqual([group?.name, group?.config.model, store.groups.chat('local:family')?.requiresTrigger], ['Home', 'opus', true])
  await ask('main', run, { type: 'update_group', target: 'family', model: null })
  assert.equal(store.groups.find('family')?.config.model, undefined)
})

test('main is told which chats there are, and may have the list made anew', async (t) => {
  const { store, attach, ask, refreshes } = office(t)
  store.chats.see({ jid: 'tg:7', name: 'Club' })
  const run = attach('main')
  const list = await ask('main', run, { type: 'list_groups' })
  assert.deepEqual([(list.groups as unknown[]).length, list.available], [2, [{ jid: 'tg:7', name: 'Club' }]])
  assert.equal((await ask('main', run, { type: 'refresh_groups' })).status, 'done')
  assert.deepEqual(refreshes, ['refreshed'])
})

test('a request that makes no sense is answered with the field that is wrong', async (t) => {
  const { attach, ask } = office(t)
  const run = attach('family')
  const about = async (request: unknown) => {
    const { status, text } = await ask('family', run, request)
    assert.equal(status, 'malformed')
    return text
  }
  assert.match(await about({ ...SCHEDULE, scheduleType: 'daily' }), /scheduleType/)
  assert.match(await about({ type: 'message', text: '' }), /text/)
  assert.match(await about({ type: 'message', text: 'x', colour: 'red' }), /colour/)
  assert.match(await about('{"type":'), /JSON/)
  for (const text of [
    'null',
    '[]',
    '{}',
    '"x"',
    '{"type":"constructor"}',
    `${'['.repeat(200_000)}`,
    '{"__proto__":{"type":"message"}}',
  ])
    await about(text)
})

test('a search finds what was said in this group only', async (t) => {
  const { store, attach, ask } = office(t)
  for (const [jid, text] of [
    ['local:family', 'the boiler man comes'],
    ['local:main', 'the boiler is secret'],
  ] as const)
    store.messages.add({ jid, id: text, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false })
  const { matches } = await ask('family', attach('family'), { type: 'search_history', query: 'boiler' })
  assert.deepEqual(matches, [{ time: '1970-01-01 00:00', chat: 'local:family', sender: 'Ann', text: 'the boiler man comes' }])
})

test('a file is sent as a copy, from the group’s folder and from the one for files', async (t) => {
  const { root, posted, attach, ask, store } = office(t)
  const run = attach('family')
  const places = {
    '/workspace/ipc/files/a.pdf': ['data', 'ipc', 'family', 'files'],
    'sub/b.png': ['groups', 'family', 'sub'],
    '/workspace/group/c': ['groups', 'family'],
  }
  for (const [seen, place] of Object.entries(places)) {
    mkdirSync(path.join(root, ...place), { recursive: true })
    writeFileSync(path.join(root, ...place, path.basename(seen)), seen)
    const result = await ask('family', run, { type: 'file', path: seen, caption: 'look' })
    assert.equal(result.status, 'done', result.text)
  }
  assert.deepEqual(
    posted.map(({ text, file }) => [text, file?.name, file?.mimeType, readFileSync(file?.path ?? '', 'utf8')]),
    [
      ['look', 'a.pdf', 'application/pdf', '/workspace/ipc/files/a.pdf'],
      ['look', 'b.png', 'image/png', 'sub/b.png'],
      ['look', 'c', 'application/octet-stream', '/workspace/group/c'],
    ],
  )
  assert.ok(posted.every(({ file }) => file?.path.startsWith(path.join(root, 'data', 'outgoing'))))
  assert.equal(store.messages.latest('local:family', 1)[0]?.text, '[File: c] look')
})

test('what is no plain file of the group is not sent, and leaves nothing behind', async (t) => {
  const { root, attach, ask, outbox } = office(t)
  const run = attach('family')
  const group = path.join(root, 'groups', 'family')
  mkdirSync(group, { recursive: true })
  mkdirSync(path.join(root, 'groups', 'main'))
  writeFileSync(path.join(root, 'groups', 'main', 'secret'), 'x')
  symlinkSync('../main/secret', path.join(group, 'link'))
  symlinkSync('../main', path.join(group, 'up'))
  linkSync(path.join(root, 'groups', 'main', 'secret'), path.join(group, 'twin'))
  writeFileSync(path.join(group, 'huge'), '')
  truncateSync(path.join(group, 'huge'), 10 * 1024 ** 4)
  for (const file of [
    'link',
    'up/secret',
    '../main/secret',
    '/workspace/group/../../etc/passwd',
    '/etc/passwd',
    'twin',
    'huge',
    'missing',
    '.',
    'a\0b',
  ])
    assert.equal((await ask('family', run, { type: 'file', path: file })).status, 'refused', file)
  assert.deepEqual([outbox(), readdirSync(path.join(root, 'data', 'outgoing'))], [[], []])
  assert.equal((await ask('family', run, { type: 'file', path: 'link', targetJid: 'local:main' })).status, 'refused')
})

test('a deed that fails leaves nothing half done, and the agent hears why', async (t) => {
  const { store, posted, root, attach, ask, logged } = office(t)
  mkdirSync(path.join(root, 'groups', 'family'), { recursive: true })
  writeFileSync(path.join(root, 'groups', 'family', 'x'), 'x')
  const { mock } = t.mock.method(store.messages, 'addAnswer', () => {
    throw new Error('it broke')
  })
  const run = attach('family')
  const result = await ask('family', run, { type: 'file', path: 'x' })
  assert.deepEqual(result, { status: 'failed', text: 'It could not be done: it broke' })
  assert.deepEqual([posted, readdirSync(path.join(root, 'data', 'outgoing'))], [[], []])
  assert.ok(logged.some((line) => line.includes('it broke')))
  mock.restore()
  assert.ok(existsSync(root))
})

test('a list that is too long for an answer begins with what concerns the group most, and says what is missing', async (t) => {
  const { attach, ask, tasks } = office(t)
  const add = (id: string, folder: string, status: string) =>
    tasks.book.set(id, { ...(tasks.book.get('task-1') ?? assert.fail()), id, folder, status, prompt: 'é'.repeat(20_000) })
  const run = attach('main')
  await ask('main', run, SCHEDULE)
  for (let n = 0; n < 300; n++) add(`family-${n}`, 'family', 'active')
  for (const status of ['completed', 'active']) add(`main-${status}`, 'main', status)
  const answer = await ask('main', run, { type: 'list_tasks' })
  const listed = answer.tasks as { taskId: string }[]
  assert.deepEqual(
    listed.slice(0, 4).map(({ taskId }) => taskId),
    ['task-1', 'main-active', 'main-completed', 'family-0'],
  )
  assert.equal(answer.text, `303 tasks; there is room for the first ${listed.length} only.`)
  assert.ok(Buffer.byteLength(JSON.stringify(answer)) < MAX_FRAME_BYTES)
})
