import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { registerChat, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { everybody, noPolicy } from '../../test/fakes/senders.ts'
import type { SenderPolicy } from '../domain/senders.ts'
import { Feed } from './feed.ts'
import type { GroupChange } from './group-change.ts'
import { ensureMain, GroupRegistry } from './groups.ts'
import { leavingChats, noteLeaving } from './leaving.ts'
import { TurnDesk } from './turn-desk.ts'

const JID = '120363041234567890@g.us'

function registry(t: TestContext, groups: readonly string[] = ['main'], senderPolicy = noPolicy) {
  const { store, folder: root } = storeWith(t, groups)
  const released: string[] = []
  let changes = 0
  const registry = new GroupRegistry(
    { store, now: () => 1_000, release: (folder) => released.push(folder), changed: () => changes++, senderPolicy },
    { root, assistantName: 'Andy' },
  )
  const rules = { assistantName: 'Andy', timeZone: 'UTC', maxRetries: 5, installId: 'test' }
  const desk = new TurnDesk({ store, feed: new Feed(console), now: () => 1_000, judge: everybody }, rules)
  const say = (jid: string, text: string) =>
    store.messages.add({ jid, id: `${jid}-${text}`, sender: 'a', senderName: 'Ann', text, sentAt: 0, fromMe: false }).seq
  return { store, root, registry, desk, released, changes: () => changes, say }
}

function text(change: GroupChange): string {
  return change.type === 'done' ? [change.text, ...change.notes].join('\n') : assert.fail(change.why)
}

function whyNot(change: GroupChange): string {
  return change.type === 'refused' ? change.why : assert.fail(`it was done: ${change.text}`)
}

test('registering a chat makes its group, which is never main, and says what calls it', (t) => {
  const { registry: r, store, changes } = registry(t)
  assert.match(
    text(r.register({ jid: JID, folder: 'family', name: 'The family' })),
    /new group "The family".*start with @Andy\.$/m,
  )
  assert.deepEqual(store.groups.find('family'), { folder: 'family', name: 'The family', isMain: false, config: {} })
  assert.deepEqual(store.groups.chat(JID), { jid: JID, folder: 'family', trigger: null, requiresTrigger: true })
  assert.match(text(r.register({ jid: 'tg:1', folder: 'b', trigger: '安迪' })), /start with 安迪/)
  assert.match(text(r.register({ jid: 'tg:2', folder: 'c', requiresTrigger: false })), /every message/)
  assert.match(
    text(r.register({ jid: 'local:d', folder: 'd' })),
    /every message/,
    'who types in the terminal means the assistant',
  )
  assert.match(text(r.register({ jid: 'local:e', folder: 'e', trigger: '@E' })), /start with @E/)
  assert.equal(changes(), 5)
})

test('a registration without a sender policy says that everybody in the chat is heard', (t) => {
  const policy: { now: SenderPolicy } = { now: { type: 'none' } }
  const { registry: r } = registry(t, ['main'], () => policy.now)
  const heard = /^Everybody in tg:1 is heard, because there is no .*sender-allowlist\.json: anyone .* SECURITY\.md says how/m
  assert.match(text(r.register({ jid: 'tg:1', folder: 'family' })), heard)
  assert.doesNotMatch(text(r.register({ jid: 'local:a', folder: 'a' })), /heard/, 'only the owner types in a terminal')
  policy.now = { type: 'list', list: { default: { allow: '*', mode: 'trigger' }, chats: {}, owners: [], admins: [] } }
  assert.doesNotMatch(text(r.register({ jid: 'tg:2', folder: 'b' })), /heard/)
  policy.now = { type: 'broken', why: 'it cannot be used, so nobody is heard' }
  assert.match(text(r.register({ jid: 'tg:3', folder: 'c' })), /^it cannot be used, so nobody is heard$/m)
})

test('a second chat of a group shares its memory, and whoever registers it is told', (t) => {
  const { registry: r, store } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  const said = text(r.register({ jid: 'tg:2', folder: 'family', name: 'Other' }))
  assert.match(said, /tg:1, tg:2 share one memory/)
  assert.match(said, /keeps its name "family"/)
  assert.equal(store.groups.chatsOf('family').length, 2)
  const same = text(r.register({ jid: 'tg:3', folder: 'family', name: ' family ' }))
  assert.doesNotMatch(same, /keeps its name/)
  store.groups.add({ folder: 'lonely', name: 'lonely', isMain: false, config: {} }, 0)
  assert.doesNotMatch(text(r.register({ jid: 'tg:4', folder: 'lonely' })), /share/, 'it is the only one')
})

test('a folder that was there before is taken over, and that is said', (t) => {
  const { registry: r, root, store } = registry(t)
  mkdirSync(path.join(root, 'groups', 'old'), { recursive: true })
  store.sessions.set('old', 'abc')
  assert.match(text(r.register({ jid: 'tg:1', folder: 'old' })), /groups\/old was there before[\s\S]*sessions clear old/)
  mkdirSync(path.join(root, 'groups', 'notes'), { recursive: true })
  assert.match(
    text(r.register({ jid: 'tg:2', folder: 'notes' })),
    /was there before; the agent finds the files that are in it\.$/m,
  )
  store.sessions.set('talk', 'def')
  assert.doesNotMatch(text(r.register({ jid: 'tg:3', folder: 'talk' })), /was there before/)
  assert.doesNotMatch(text(r.register({ jid: 'local:fresh', folder: 'fresh' })), /\n/)
})

test('what cannot be registered is refused with the reason, and nothing is stored', (t) => {
  const { registry: r, store, changes } = registry(t, ['main', 'Family'])
  registerChat(store, { jid: 'tg:1', folder: 'main' })
  const before = changes()
  const cases: [Parameters<typeof r.register>[0], RegExp][] = [
    [{ jid: 'family', folder: 'a' }, /"family" does not name a chat/],
    [{ jid: 'tg: 1', folder: 'a' }, /does not name a chat/],
    [{ jid: 'tg:1', folder: 'a' }, /a chat of the group "main" already.*groups set tg:1/],
    [{ jid: 'local:a', folder: 'b' }, /terminal of the group "b" is called local:b/],
    [{ jid: 'tg:2', folder: '../x' }, /a-z, 0-9/],
    [{ jid: 'tg:2', folder: 'global' }, /reserved/],
    [{ jid: 'tg:2', folder: 'family' }, /"Family", which differs only by case/],
    [{ jid: 'tg:2', folder: 'a', trigger: ' \u200b' }, /can be seen/],
    [{ jid: 'tg:2', folder: 'a', name: 'x\ny' }, /one line/],
  ]
  for (const [wish, why] of cases) assert.match(whyNot(r.register(wish)), why)
  assert.equal(store.groups.all().length, 2)
  assert.equal(changes(), before)
  assert.match(text(r.register({ jid: 'tg:2', folder: 'Family' })), /Family/, 'a folder of v1 goes on')
})

test('settings change only what they name', (t) => {
  const { registry: r, store, released } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  text(r.set({ target: 'tg:1', trigger: '@Bo' }))
  assert.deepEqual(store.groups.chat('tg:1'), { jid: 'tg:1', folder: 'family', trigger: '@Bo', requiresTrigger: true })
  assert.match(text(r.set({ target: 'family', requiresTrigger: false })), /tg:1.*every message/)
  text(r.set({ target: 'family', name: 'Us' }))
  assert.deepEqual(released, [], 'neither of these concerns a container')
  text(r.set({ target: 'family', config: { model: 'opus', timeout: 5_000 } }))
  text(r.set({ target: 'tg:1', config: { timeout: null, network: 'none' } }))
  assert.deepEqual(store.groups.find('family'), {
    folder: 'family',
    name: 'Us',
    isMain: false,
    config: { model: 'opus', network: 'none' },
  })
  assert.deepEqual(released, ['family', 'family'])
})

test('who names a trigger wants it to be needed, unless they say otherwise, and blanks around it do not count', (t) => {
  const { registry: r, store } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family', requiresTrigger: false })
  const chat = () => store.groups.chat('tg:1')
  text(r.set({ target: 'tg:1', trigger: ' @Bo ' }))
  assert.deepEqual([chat()?.trigger, chat()?.requiresTrigger], ['@Bo', true])
  text(r.set({ target: 'tg:1', trigger: '@Cy', requiresTrigger: false }))
  assert.deepEqual([chat()?.trigger, chat()?.requiresTrigger], ['@Cy', false])
  text(r.set({ target: 'tg:1', name: ' Us ' }))
  assert.deepEqual([store.groups.find('family')?.name, chat()?.trigger], ['Us', '@Cy'])
})

test('a new budget lets a turn that waits for the old one go on at once, and other settings do not', (t) => {
  const { registry: r, desk, say } = registry(t, ['main', 'family'])
  say('local:family', 'hi')
  const turn = desk.claim('family', 'chat') ?? assert.fail('no work')
  desk.finish([turn], { type: 'failed', reason: 'budget', detail: 'used up', retryAt: 9_000_000 })
  text(r.set({ target: 'family', config: { model: 'opus' } }))
  assert.equal(desk.look('family', 'chat').type, 'wait')
  text(r.set({ target: 'main', config: { budget: { dayUsd: 5 } } }))
  assert.equal(desk.look('family', 'chat').type, 'wait')
  text(r.set({ target: 'family', config: { budget: { dayUsd: 5 } } }))
  assert.equal(desk.look('family', 'chat').type, 'work')
})

test("a group's MCP servers are kept as they were given", (t) => {
  const { registry: r, store } = registry(t, ['main', 'family'])
  const mcpServers = {
    files: { command: 'mcp-files', args: ['--all'], env: { TOKEN: 'secret' } },
    web: { url: 'https://mcp.example.com/mcp', headers: { Authorization: 'Bearer x' } },
  }
  text(r.set({ target: 'family', config: { mcpServers } }))
  assert.deepEqual(store.groups.find('family')?.config, { mcpServers })
})

test('settings that mean nothing are refused, and none of them is stored', (t) => {
  const { registry: r, store } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  r.register({ jid: 'tg:2', folder: 'family' })
  const cases: [Parameters<typeof r.set>[0], RegExp][] = [
    [{ target: 'nobody', name: 'x' }, /no group "nobody"\. Groups: main, family/],
    [{ target: 'tg:9', name: 'x' }, /No group answers in tg:9/],
    [{ target: 'family' }, /no change was named/],
    [{ target: 'family', trigger: '@X' }, /Each chat has its own trigger.*tg:1, tg:2/],
    [{ target: 'family', name: 'New', config: { privileged: true } }, /mean nothing: privileged/],
    [{ target: 'family', name: 'New', config: { limits: { memoryMb: 512, x: 1 } } }, /mean nothing: limits/],
    [{ target: 'family', name: 'New', config: { network: 'host' } }, /network/],
    [{ target: 'family', config: { mcpServers: { nanoclaw: { command: 'x' } } } }, /mcpServers\.nanoclaw: .*not "nanoclaw"/],
    [{ target: 'family', config: { mcpServers: { 'My Server': { command: 'x' } } } }, /mcpServers\.My Server: a name is/],
    [
      { target: 'family', config: { mcpServers: { x: { command: 'x', privileged: true } } } },
      /mcpServers\.x: Unrecognized key: "privileged"/,
    ],
    [{ target: 'family', config: { mcpServers: { x: { url: 'file:///etc/passwd' } } } }, /mcpServers\.x/],
    [{ target: 'family', name: 'New', trigger: '', config: {} }, /./],
    [{ target: 'main', main: false }, /always one main/],
  ]
  for (const [settings, why] of cases) assert.match(whyNot(r.set(settings)), why)
  assert.deepEqual(store.groups.find('family'), { folder: 'family', name: 'family', isMain: false, config: {} })
})

test('there is always exactly one main, with a terminal, and it cannot be removed', (t) => {
  const { registry: r, store, released } = registry(t)
  r.register({ jid: 'tg:1', folder: 'boss' })
  for (const target of ['main', 'local:main']) assert.match(whyNot(r.remove(target)), /groups set FOLDER --main/)
  assert.match(text(r.set({ target: 'boss', main: true })), /"boss" is main now[\s\S]*"main" was main/)
  const mains = store.groups.all().filter((group) => group.isMain)
  assert.deepEqual(
    mains.map(({ folder }) => folder),
    ['boss'],
  )
  assert.ok(store.groups.chat('local:boss'))
  assert.deepEqual(released, ['boss', 'main'], 'the containers of both have the wrong folders')
  assert.doesNotMatch(text(r.set({ target: 'boss', main: true })), /was main/)
  assert.equal(released.length, 2, 'it was main already')
  text(r.remove('main'))
  assert.match(text(r.register({ jid: 'tg:2', folder: 'boss', trigger: '@B' })), /As main, it answers to every message/)
})

test('an installation without main gets one, once', (t) => {
  const { store } = storeWith(t, [])
  store.groups.add({ folder: 'main', name: 'Mine', isMain: false, config: {} }, 0)
  for (let times = 0; times < 2; times++) ensureMain(store, 0)
  assert.deepEqual(store.groups.all(), [{ folder: 'main', name: 'Mine', isMain: true, config: {} }])
  assert.deepEqual(
    store.groups.chats().map(({ jid }) => jid),
    ['local:main'],
  )
})

test('with its last chat a group is gone, its container leaves, and its conversation and files stay', (t) => {
  const { registry: r, store, released } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  r.register({ jid: 'tg:2', folder: 'family' })
  store.sessions.set('family', 'abc')
  assert.match(text(r.remove('tg:1')), /tg:1 is removed\.\nThe group "family" stays, with tg:2/)
  assert.ok(store.groups.find('family'))
  assert.match(text(r.remove('tg:2')), /tg:2 is removed[\s\S]*"family" goes[\s\S]*No file was deleted: groups\/family/)
  assert.equal(store.groups.find('family'), undefined)
  assert.deepEqual(released, ['family'])
  assert.equal(store.sessions.get('family'), 'abc')
})

test('a group can be removed as a whole', (t) => {
  const { registry: r, store } = registry(t, ['main', 'family'])
  r.register({ jid: 'tg:1', folder: 'family' })
  assert.match(text(r.remove('family')), /The group "family" \(folder family\) is removed\./)
  assert.deepEqual(
    store.groups.chats().map(({ jid }) => jid),
    ['local:main'],
  )
  store.groups.add({ folder: 'lonely', name: 'lonely', isMain: false, config: {} }, 0)
  text(r.remove('lonely'))
  assert.equal(store.groups.find('lonely'), undefined, 'also one without a chat')
})

test('a chat that is removed while it waits for an answer gets it, and then it is gone', (t) => {
  const { registry: r, store, desk, say, released, changes } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family', requiresTrigger: false })
  say('tg:1', 'one')
  const claimed = desk.claim('family', 'chat') ?? assert.fail('no work')
  say('tg:1', 'two')
  assert.match(text(r.remove('tg:1')), /takes no more messages, and is removed when/)
  assert.deepEqual(leavingChats(store), ['tg:1'])
  assert.match(whyNot(r.register({ jid: 'tg:1', folder: 'other' })), /being removed/)
  const before = changes()

  desk.finish([claimed], { type: 'answered', text: 'first', usage: undefined })
  r.settle()
  assert.ok(store.groups.chat('tg:1'), 'the second message was asked before')
  assert.equal(changes(), before)
  const second = desk.claim('family', 'chat') ?? assert.fail('no work')
  desk.finish([second], { type: 'answered', text: 'second', usage: undefined })
  r.settle()
  assert.deepEqual([store.groups.chat('tg:1'), store.groups.find('family'), leavingChats(store)], [undefined, undefined, []])
  r.settle()
  assert.equal(changes(), before + 1)
  assert.deepEqual(released, ['family'])
  assert.deepEqual(
    store.outbox.due(Number.MAX_SAFE_INTEGER).map((row) => row.text),
    ['first'],
    'the answers are on their way, in order',
  )
})

test('messages that do not call the assistant keep no chat, and are not brought up when it comes back', (t) => {
  const { registry: r, store, desk, say } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  say('tg:1', 'gossip')
  assert.match(text(r.remove('tg:1')), /tg:1 is removed\./)
  r.register({ jid: 'tg:1', folder: 'family' })
  say('tg:1', '@Andy hi')
  const { prompt } = desk.claim('family', 'chat') ?? assert.fail('no work')
  assert.ok(prompt.includes('@Andy hi') && !prompt.includes('gossip'))
  assert.equal(store.messages.latest('tg:1', 9).length, 2)
})

test('messages that wait for a login keep no chat: they were told why', (t) => {
  const { registry: r, store, desk, say } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family', requiresTrigger: false })
  say('tg:1', 'hi')
  desk.finish([desk.claim('family', 'chat') ?? assert.fail('no work')], { type: 'failed', reason: 'login', detail: 'none' })
  text(r.remove('tg:1'))
  assert.equal(store.groups.chat('tg:1'), undefined)
})

test('the terminal is a chat of every group whose owner asks for it', (t) => {
  const { registry: r, store, changes } = registry(t)
  r.register({ jid: 'tg:1', folder: 'family' })
  const before = changes()
  for (let times = 0; times < 2; times++) {
    const opened = r.openTerminal('family')
    assert.equal(opened.type === 'open' && opened.jid, 'local:family')
  }
  assert.equal(changes(), before + 1)
  assert.deepEqual(store.groups.chat('local:family'), {
    jid: 'local:family',
    folder: 'family',
    trigger: null,
    requiresTrigger: false,
  })
  assert.equal(r.openTerminal('nobody').type, 'refused')
  noteLeaving(store, 'local:family')
  const leaving = r.openTerminal('family')
  assert.equal(leaving.type === 'refused' && leaving.why, 'The group "family" is being removed.')
})

test('a group that answers in several chats has its own trigger in each, and the terminal is not meant', (t) => {
  const { registry: r, store } = registry(t, ['main', 'family'])
  assert.match(text(r.set({ target: 'family', trigger: '@T' })), /^local:family/, 'it is the only one')
  r.register({ jid: 'tg:1', folder: 'family' })
  assert.match(text(r.set({ target: 'family', trigger: '@T' })), /^tg:1/)
  assert.match(text(r.set({ target: 'local:family', trigger: '@U' })), /^local:family/)
  store.groups.add({ folder: 'lonely', name: 'lonely', isMain: false, config: {} }, 0)
  assert.match(whyNot(r.set({ target: 'lonely', trigger: '@T' })), /it has none\.$/)
})

test('an installation whose main is another group keeps it, and one without groups gets a new one', (t) => {
  const { store } = storeWith(t, ['main', 'boss'])
  store.groups.makeMain('boss')
  ensureMain(store, 0)
  assert.deepEqual(
    store.groups.all().map(({ folder, isMain }) => [folder, isMain]),
    [
      ['boss', true],
      ['main', false],
    ],
  )
  const empty = storeWith(t, []).store
  ensureMain(empty, 0)
  assert.deepEqual(empty.groups.all(), [{ folder: 'main', name: 'Main', isMain: true, config: {} }])
})

test('a cleared session is gone; a group without one says so; of an unknown group nothing is cleared', (t) => {
  const { registry: r, store } = registry(t)
  store.sessions.set('main', 'abc')
  store.sessions.set('removed', 'def')
  assert.match(text(r.clearSession('main')), /fresh conversation \(it was abc\)/)
  assert.equal(store.sessions.get('main'), undefined)
  assert.match(text(r.clearSession('main')), /no conversation to forget/)
  assert.match(text(r.clearSession('removed')), /it was def/)
  assert.match(whyNot(r.clearSession('nobody')), /no group "nobody"/)
})

test('with its group, a task is paused and says why', (t) => {
  const { registry: r, store } = registry(t, ['main', 'family'])
  const schedule = { type: 'interval', value: '60000' }
  const fields = { prompt: 'p', script: null, schedule, contextMode: 'group', catchUp: 'once', reason: null } as const
  const times = { nextRun: 60_000, lastRun: null, lastResult: null, createdAt: 0 }
  for (const [id, folder, status] of [
    ['a', 'family', 'active'],
    ['b', 'family', 'completed'],
    ['c', 'main', 'active'],
  ] as const)
    store.tasks.add({ id, folder, jid: `local:${folder}`, status, ...fields, ...times })
  text(r.remove('family'))
  assert.deepEqual(
    store.tasks.all().map(({ id, status, reason, nextRun }) => [id, status, reason, nextRun]),
    [
      ['a', 'paused', 'its group was removed', null],
      ['b', 'completed', null, 60_000],
      ['c', 'active', null, 60_000],
    ],
  )
})

test("a limit that cannot be read keeps its group's agent from working, and no change of the group loses it", (t) => {
  const { registry: r, store, root } = registry(t, ['main', 'family'])
  const db = new SQLite(path.join(root, 'messages.db'))
  t.after(() => db.close())
  const write = (config: string) => db.prepare("UPDATE groups SET container_config = ? WHERE folder = 'family'").run(config)
  write('{"egress":{"policy":"nowhere"},"model":7,"effort":"low"}')
  assert.throws(() => r.assertLimited('family'), { fault: 'user', message: /"family" .*: egress\. .*groups set family/ })
  r.assertLimited('main')
  assert.match(whyNot(r.set({ target: 'family', name: 'Us' })), /egress, model/)
  assert.match(whyNot(r.set({ target: 'family', config: { model: null } })), /: egress\./)
  text(r.set({ target: 'family', config: { model: null, egress: { policy: 'off' } } }))
  assert.deepEqual(store.groups.find('family')?.config, { effort: 'low', egress: { policy: 'off' } })
  r.assertLimited('family')
  write('{"model":7}')
  r.assertLimited('family')
  write('[]')
  assert.throws(() => r.assertLimited('family'), { fault: 'user' })
})
