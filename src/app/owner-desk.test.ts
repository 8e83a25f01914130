import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownerDesk } from '../../test/fakes/owner.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { noPolicy } from '../../test/fakes/senders.ts'
import { GroupRegistry } from './groups.ts'

function owner(t: TestContext) {
  const { store, folder: root } = storeWith(t, ['main', 'family'])
  const ports = { store, now: () => 0, release: () => {}, changed: () => {}, senderPolicy: noPolicy }
  const desk = ownerDesk({ store, root, registry: new GroupRegistry(ports, { root, assistantName: 'Andy' }) })
  const noted = () => store.audit.latest({ limit: 99 })
  return { store, desk, noted }
}

test('every change of the owner is in the audit with what it was about, also one that is refused', (t) => {
  const { store, desk, noted } = owner(t)
  const fields = { prompt: 'p', script: null, status: 'active', reason: null, lastRun: null, lastResult: null } as const
  const home = { folder: 'family', jid: 'local:family', schedule: { type: 'interval', value: '60000' } }
  store.tasks.add({ ...fields, ...home, id: 't1', contextMode: 'group', catchUp: 'once', nextRun: 1, createdAt: 0 })
  desk.register({ jid: 'tg:1', folder: 'club' })
  desk.register({ jid: 'tg:1', folder: 'club' })
  desk.set({ target: 'club', name: 'Club' })
  desk.clearSession('family')
  desk.allowMount({ path: '/srv', readWrite: false })
  desk.removeMount('/srv')
  desk.removeMount('/srv')
  desk.changeTask({ id: 't1', deed: 'pause' })
  desk.changeTask({ id: 't9', deed: 'run' })
  desk.remove('tg:1')
  assert.deepEqual(
    noted().map(({ by, folder, act, subject, outcome }) => [by, folder, act, subject, outcome].join()),
    [
      'owner,club,register,tg:1,done',
      'owner,club,register,tg:1,refused',
      'owner,,set,club,done',
      'owner,family,clear-session,family,done',
      'owner,,allow-mount,/srv,done',
      'owner,,remove-mount,/srv,done',
      'owner,,remove-mount,/srv,refused',
      'owner,family,pause-task,t1,done',
      'owner,,run-task,t9,refused',
      'owner,,remove,tg:1,done',
    ],
  )
  const details = noted().map(({ detail }) => detail)
  assert.match(details[0] ?? '', /^tg:1 is a chat of the new group/)
  assert.match(details[1] ?? '', /^tg:1 is not registered: it is a chat of the group "club" already/)
})

test('the settings of a change are in the audit, and of MCP servers their names alone', (t) => {
  const { desk, noted } = owner(t)
  const mcpServers = { files: { command: 'mcp-files', env: { TOKEN: 'secret' } } }
  desk.set({ target: 'family', config: { model: 'opus', mcpServers } })
  desk.set({ target: 'family', config: { model: null } })
  desk.set({ target: 'family', name: 'Home' })
  assert.deepEqual(
    noted().map(({ detail }) => detail.replace(/^The group "\w+" \(folder family\) is changed\./, '')),
    [' {"model":"opus","mcpServers":["files"]}', ' {"model":null}', ''],
  )
})

test('a change is made only if it can be noted, and opening a terminal is none', (t) => {
  const { store, desk, noted } = owner(t)
  const full = t.mock.method(store.audit, 'add', () => {
    throw new Error('disk full')
  })
  assert.throws(() => desk.register({ jid: 'tg:1', folder: 'club' }), /disk full/)
  assert.equal(store.groups.find('club'), undefined)
  full.mock.restore()
  assert.equal(desk.openTerminal('family').type, 'open')
  assert.deepEqual(noted(), [])
})
