import assert from 'node:assert/strict'
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { MAX_FRAME_BYTES } from '@nanoclaw/protocol'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { FakeRun, office } from '../../test/fakes/ipc-office.ts'
import { until } from '../../test/fakes/patience.ts'
import { registerChat } from '../../test/fakes/rooms.ts'
import { AppError } from '../domain/errors.ts'

const SCHEDULE = { type: 'schedule_task', prompt: 'water the plants', scheduleType: 'cron', scheduleValue: '0 9 * * *' }

test('what an agent sends is committed before it hears so, in its chat and without internal notes', async (t) => {
  const { store, feed, attach, ask, outbox, deliveries } = office(t)
  const seen: string[] = []
  feed.subscribe('local:family', ({ type }) => seen.push(type))
  const run = attach('family')
  const result = await ask('family', run, { type: 'message', text: 'On it. <internal>hm</internal>', sender: 'Cook' })
  assert.deepEqual(result, { status: 'done', text: 'Sent to local:family.' })
  assert.deepEqual([seen, deliveries()], [['message'], 1])
  assert.deepEqual(
    outbox().map(({ jid, text }) => [jid, text]),
    [['local:family', '*Cook*: On it.']],
  )
  const [said] = store.messages.latest('local:family', 1)
  assert.deepEqual([said?.text, said?.fromAssistant], ['*Cook*: On it.', true])
})

test('a message of nothing but internal notes is not sent, and a role is shown in plain letters', async (t) => {
  const { attach, ask, posted } = office(t)
  const run = attach('family')
  const say = (text: string, sender?: string) => ask('family', run, { type: 'message', text, sender })
  assert.equal((await say('<internal>hm</internal>', 'Cook')).text, 'There was nothing to send: all of it is internal.')
  await say('a', '*The*\n Cook ')
  await say('b', '**')
  await say('c')
  assert.deepEqual(
    posted.map(({ text }) => text),
    ['*The Cook*: a', 'b', 'c'],
  )
})

test('no secret is said or kept, whatever an agent sends', async (t) => {
  const { attach, ask, posted, store } = office(t)
  await ask('family', attach('family'), { type: 'message', text: 'it is s3cret-value' })
  assert.deepEqual([posted[0]?.text, store.messages.latest('local:family', 1)[0]?.text], Array(2).fill('it is [redacted]'))
})

test('what is sent beside a task of its own belongs to no turn: nobody knows whose words it is', async (t) => {
  const { store, desk, inbox, clock, attach, ask } = office(t)
  inbox.receive({ jid: 'local:family', id: '1', sender: 'a', senderName: 'Ann', text: 'hi', sentAt: 0, fromMe: false })
  const turn = desk.claim('family', 'chat') ?? assert.fail('there is no work')
  const fields = { prompt: 'p', script: null, status: 'active', reason: null, lastRun: null, lastResult: null } as const
  const home = { folder: 'family', jid: 'local:family', schedule: { type: 'once', value: '' } }
  store.tasks.add({ ...fields, ...home, id: 't', contextMode: 'isolated', catchUp: 'once', nextRun: null, createdAt: 0 })
  const runId = store.tasks.startRun({ taskId: 't', at: 0 })
  store.turns.addTask({ folder: 'family', jid: 'local:family', lane: 'isolated', runId, at: clock.now() })
  assert.ok(desk.claim('family', 'isolated'))
  await ask('family', attach('family'), { type: 'message', text: 'whose?' })
  assert.deepEqual(store.messages.answersOf(turn.turn.id), [])
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

test('an agent that names no chat speaks in the one whose turn it works on', async (t) => {
  const { store, attach, ask, outbox } = office(t)
  registerChat(store, { jid: 'tg:2', folder: 'family' })
  await ask('family', attach('family', 'tg:2'), { type: 'message', text: 'x' })
  assert.deepEqual(
    outbox().map(({ jid }) => jid),
    ['tg:2'],
  )
})

test('an answer that nobody hears is a line of the log, and so is none that is heard', async (t) => {
  const { ask, attach, drop, logged } = office(t)
  const asked = { type: 'list_tasks' }
  await ask('family', attach('family'), asked)
  assert.deepEqual(logged, [])
  const deaf = attach('main')
  deaf.reply = () => false
  const id = drop('main', asked)
  await until(() => logged.length > 0, 'it is logged')
  assert.match(logged.join(), new RegExp(`^Group main: request "${id}": done: `))
})

test('an agent that works on nothing speaks in the chat of the run beside it that works on something', async (t) => {
  const { store, attach, ask, outbox } = office(t)
  registerChat(store, { jid: 'tg:2', folder: 'family' })
  const idle = attach('family')
  idle.turn = undefined
  await ask('family', attach('family', 'tg:2'), { type: 'message', text: 'x' })
  assert.deepEqual(
    outbox().map(({ jid }) => jid),
    ['tg:2'],
  )
})

test('what an agent is refused, and what it does that only main may, is in the audit, and nothing else', async (t) => {
  const { store, attach, ask } = office(t)
  const [main, family] = [attach('main'), attach('family')]
  await ask('main', main, { type: 'message', text: 'x' })
  await ask('family', family, { type: 'message', text: 'x', targetJid: 'local:main' })
  await ask('family', family, { type: 'pause_task', taskId: 'task-9' })
  await ask('main', main, { type: 'register_group', jid: 'tg:1', folder: 'club' })
  await ask('main', main, { type: 'update_group', target: 'club', name: 'Club' })
  await ask('main', main, { type: 'refresh_groups' })
  assert.deepEqual(
    store.audit.latest({ limit: 9 }).map(({ by, folder, act, subject, outcome }) => [by, folder, act, subject, outcome]),
    [
      ['agent', 'family', 'message', 'local:main', 'refused'],
      ['agent', 'family', 'pause_task', 'task-9', 'refused'],
      ['agent', 'main', 'register_group', 'tg:1', 'done'],
      ['agent', 'main', 'update_group', 'club', 'done'],
      ['agent', 'main', 'refresh_groups', '', 'done'],
    ],
  )
  assert.match(store.audit.latest({ limit: 9 })[0]?.detail ?? '', /not a chat you may use/)
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

test('a change of a task names only what changes; of a schedule the other half stays', async (t) => {
  const { attach, ask, tasks } = office(t)
  const run = attach('family')
  await ask('family', run, SCHEDULE)
  const update = (patch: object) => ask('family', run, { type: 'update_task', taskId: 'task-1', ...patch })
  await update({ scheduleValue: '0 8 * * *' })
  await update({ scheduleType: 'once' })
  await update({ prompt: 'feed the cat', script: null })
  assert.deepEqual(tasks.did, [
    'update {"schedule":{"type":"cron","value":"0 8 * * *"}} task-1',
    'update {"schedule":{"type":"once","value":"0 9 * * *"}} task-1',
    'update {"prompt":"feed the cat","script":null} task-1',
  ])
})

test('an agent is told of its tasks and of their runs in local time', async (t) => {
  const { attach, ask, tasks } = office(t)
  const run = attach('family')
  assert.equal((await ask('family', run, { type: 'list_tasks' })).text, 'There are no tasks.')
  await ask('family', run, SCHEDULE)
  const list = await ask('family', run, { type: 'list_tasks' })
  assert.deepEqual(
    [list.text, (list.tasks as object[])[0]],
    [
      '1 tasks.',
      {
        ...{ taskId: 'task-1', groupFolder: 'family', chatJid: 'local:family', prompt: 'water the plants' },
        ...{ schedule: { type: 'cron', value: '0 9 * * *' }, contextMode: 'isolated', status: 'active', reason: null },
        ...{ nextRun: '1970-01-01 00:01', lastRun: null },
      },
    ],
  )
  const history = () => ask('family', run, { type: 'task_history', taskId: 'task-1' })
  const runs = [{ at: '1970-01-01 00:00', durationMs: 5, status: 'success', result: 'ok', error: null }]
  assert.deepEqual(await history(), { status: 'done', text: 'The newest 1 runs.', taskId: 'task-1', runs })
  t.mock.method(tasks, 'history', () => [])
  assert.equal((await history()).text, 'It has not run yet.')
  const task = tasks.book.get('task-1') ?? assert.fail('there is no task')
  tasks.book.set('task-1', { ...task, nextRun: null })
  assert.equal((await ask('family', run, { type: 'pause_task', taskId: 'task-1' })).nextRun, null)
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
  const { store, attach, ask, released } = office(t)
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
  const change = (target: string, who = run, folder = 'main') => ask(folder, who, { type: 'update_group', target, name: 'x' })
  assert.equal((await change('nobody')).text, 'There is no group "nobody". list_groups shows them.')
  assert.equal((await change('family', attach('family'), 'family')).text, 'Only the main group changes groups.')
  assert.equal(store.groups.find('family')?.name, 'Home')
  const before = released.length
  assert.equal((await change('family')).status, 'done')
  assert.equal(released.length, before, 'a name is none of its container’s business')
})

test('main is told which chats there are, and may have the list made anew', async (t) => {
  const { store, attach, ask, refreshes } = office(t)
  store.chats.see({ jid: 'tg:7', name: 'Club' })
  const run = attach('main')
  const list = await ask('main', run, { type: 'list_groups' })
  assert.deepEqual([(list.groups as unknown[]).length, list.available], [2, [{ jid: 'tg:7', name: 'Club' }]])
  assert.equal((await ask('main', run, { type: 'refresh_groups' })).text, '3 chats are known; list_groups shows them.')
  assert.deepEqual(refreshes, ['refreshed'])
})

test('of the chats that are in no group the 200 that were used last are told', async (t) => {
  const { store, attach, ask } = office(t)
  for (let n = 1; n <= 201; n++) store.chats.see({ jid: `tg:${n}`, at: n })
  const { available } = await ask('main', attach('main'), { type: 'list_groups' })
  const jids = (available as { jid: string; name: string }[]).map(({ jid }) => jid)
  assert.deepEqual([jids.length, jids[0], jids.at(-1)], [200, 'tg:201', 'tg:2'])
})

test('main hears when a channel did not tell its chats', async (t) => {
  const { attach, ask, ports } = office(t)
  t.mock.method(ports, 'refreshGroups', () => Promise.reject(new Error('no network')))
  assert.deepEqual(await ask('main', attach('main'), { type: 'refresh_groups' }), {
    status: 'failed',
    text: 'Not every channel answered: no network',
  })
})

test('main hears when the chats that channels told cannot be read', async (t) => {
  const { attach, ask, ports, store } = office(t)
  t.mock.method(ports, 'refreshGroups', async () => {
    t.mock.method(store.chats, 'all', () => {
      throw new Error('the disk is broken')
    })
  })
  assert.deepEqual(await ask('main', attach('main'), { type: 'refresh_groups' }), {
    status: 'failed',
    text: 'The chats could not be read: the disk is broken',
  })
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
  const long = await about({ type: 'message', text: 'x', [`${'colour'.repeat(1_000)}`]: 'red' })
  assert.deepEqual([long.length, long.endsWith('...')], [1_003, true])
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
  const elsewhere = await ask('family', run, { type: 'file', path: 'link', targetJid: 'local:main' })
  assert.match(elsewhere.text, /is not a chat you may use/)
})

test('a file is not sent, and no copy of it kept, when a group sent too much', async (t) => {
  const { root, ipcDesk, outbox } = office(t)
  mkdirSync(path.join(root, 'groups', 'family'), { recursive: true })
  writeFileSync(path.join(root, 'groups', 'family', 'x'), 'four')
  const run = new FakeRun('local:family')
  const take = (id: string, most: number) => {
    const found = { folder: 'family', id, byHand: false, runs: [run], spend: (bytes: number) => bytes <= most }
    return ipcDesk.take(found, Buffer.from(JSON.stringify({ type: 'file', path: 'x' })))
  }
  await take('a', 3)
  assert.deepEqual(run.replies.get('a'), {
    status: 'refused',
    text: 'It is not sent: this group sent too much in the last minutes.',
  })
  assert.deepEqual([outbox(), readdirSync(path.join(root, 'data', 'outgoing'))], [[], []])
  await take('b', 4)
  assert.equal(run.replies.get('b')?.status, 'done')
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
  assert.equal((await ask('family', run, { type: 'file', path: 'x' })).status, 'done')
})

test('what cannot be stored for a full disk is left to be asked again, and not answered', async (t) => {
  const { store, ipcDesk, posted } = office(t)
  const run = new FakeRun('local:family')
  const found = { folder: 'family', id: 'a', byHand: false, runs: [run], spend: () => true }
  const take = () => ipcDesk.take(found, Buffer.from(JSON.stringify({ type: 'message', text: 'x' })))
  const full = t.mock.method(store, 'tx', () => {
    throw new AppError({ code: 'store.disk', fault: 'user', message: 'The disk is full.' })
  })
  await assert.rejects(take(), /The disk is full/)
  assert.deepEqual([run.replies.size, posted.length], [0, 0])
  full.mock.restore()
  await take()
  assert.deepEqual([run.replies.get('a')?.status, posted.length], ['done', 1])
  await take()
  await hasTheChance()
  assert.equal(posted.length, 1, 'once is enough')
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
