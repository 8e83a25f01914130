import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { CHAT, HostRoom, type HostRoomOptions } from '../../test/fakes/host-room.ts'
import { patience, until } from '../../test/fakes/patience.ts'
import type { TestContext } from '../../test/fakes/rooms.ts'
import { ControlClient } from '../cli/control-client.ts'

const ID = '11111111-1111-4111-8111-111111111111'

/** A running host, and what it takes to see that something was sent. */
async function running(t: TestContext, options?: HostRoomOptions) {
  const room = new HostRoom(t, { ...options, env: { TZ: 'UTC' } })
  const host = await room.start()
  t.after(() => host.stop(AbortSignal.abort()))
  const client = new ControlClient({ socketPath: room.config.paths.controlSocket })
  const seen = () => ({ sent: room.channel.texts, logged: room.logged })
  const says = (text: RegExp) =>
    until(() => room.channel.texts.some((sent) => text.test(sent)), `${text} is sent`, { seen, limitMs: 30_000 })
  const read = (name: string) => readFileSync(path.join(room.config.root, 'data', 'ipc', 'main', name), 'utf8')
  return { room, host, client, says, read }
}

/** An agent that asks the host this in its first turn, and answers with what it is told. */
function asking(request: object | (() => object)): {
  agent: NonNullable<HostRoomOptions['agent']>
  room?: HostRoom
  prompts: string[]
} {
  const asker: ReturnType<typeof asking> = {
    prompts: [],
    agent: async (prompt, next) => {
      if (asker.prompts.push(prompt) > 1) return 'nothing more'
      asker.room?.ask(ID, typeof request === 'function' ? request() : request)
      const reply = await next()
      return reply?.type === 'reply' ? JSON.stringify(reply.result) : 'no reply'
    },
  }
  return asker
}

test('every channel is asked for its chats, and what is known is written down for the agents, also where one fails', async (t) => {
  const asker = asking({ type: 'refresh_groups' })
  const { room, says, read } = await running(t, asker)
  asker.room = room
  room.channel.syncGroups = async () => {
    room.look((store) => store.chats.see({ jid: 'room:9', name: 'Nine', isGroup: true }))
    throw new Error('the platform is down')
  }
  await room.channel.hear('hello')
  await says(/Not every channel answered: the platform is down/)
  assert.match(read('available_groups.json'), /room:9/)
})

test('a task that an agent plans runs at its moment', async (t) => {
  // Early enough to be waited for, and late enough to be in the future when the host reads it.
  const soon = () => new Date(Date.now() + patience(4_000)).toISOString().slice(0, 19)
  const once = { type: 'schedule_task', prompt: 'water the plants', scheduleType: 'once' }
  const asker = asking(() => ({ ...once, scheduleValue: soon() }))
  const { room, says, read } = await running(t, asker)
  asker.room = room
  await room.channel.hear('hello')
  await says(/"status":"done"/)
  assert.match(read('current_tasks.json'), /water the plants/)
  await until(() => asker.prompts.some((prompt) => prompt.includes('water the plants')), 'it runs', { limitMs: 30_000 })
})

test('a task that an agent has run now runs now', async (t) => {
  const asker = asking({ type: 'run_task_now', taskId: 'plants' })
  const { room } = await running(t, {
    ...asker,
    before: ({ tasks }) =>
      tasks.add({
        ...{ id: 'plants', folder: 'main', jid: CHAT, prompt: 'water the plants', script: null, status: 'active' },
        ...{ schedule: { type: 'interval', value: '86400000' }, contextMode: 'isolated', catchUp: 'once', reason: null },
        ...{ nextRun: Date.now() + 86_400_000, lastRun: null, lastResult: null, createdAt: 0 },
      }),
  })
  asker.room = room
  await room.channel.hear('hello')
  await until(() => asker.prompts.some((prompt) => prompt.includes('water the plants')), 'it runs', { limitMs: 30_000 })
})

test('a group with other settings gets another container', async (t) => {
  const { room, client, says } = await running(t, { agent: async () => `answer ${room.engine.started.length}` })
  await room.channel.hear('one')
  await says(/answer 1/)
  await client.setGroup({ target: 'main', config: { model: 'another' } })
  await room.channel.hear('two')
  await says(/answer 2/)
  assert.equal(room.engine.started.length, 2)
})

test('a message that waits for a budget is answered when its group has another', async (t) => {
  const { client, says, room } = await running(t, {
    agent: async () => 'answer',
    before: ({ messages, turns }) => {
      messages.add({ jid: CHAT, id: '0', sender: 'ann', senderName: 'Ann', text: 'hello', sentAt: 0, fromMe: false })
      const id = turns.add({ folder: 'main', jid: CHAT, at: 0 })
      messages.take(messages.unanswered(CHAT, 0), id)
      turns.save({ state: 'pending', id, tries: 1, failures: 0, told: true, notBefore: Date.now() + 3_600_000 })
    },
  })
  // Only now: what waits for a budget is tried when a host starts.
  room.look(({ turns }) => {
    const [open] = turns.openOf(CHAT)
    if (open) turns.noteError(open.turn.id, 'budget: used up')
  })
  assert.deepEqual(room.channel.texts, [])
  await client.setGroup({ target: 'main', config: { budget: { dayUsd: 5 } } })
  await says(/^answer$/)
})

test('what a person tells the host is answered by it', async (t) => {
  const { room, says } = await running(t, { agent: () => new Promise(() => {}) })
  await room.channel.hear('hello')
  await until(() => room.engine.started.length === 1, 'a container starts')
  await room.channel.hear('/status')
  await says(/^I am working\. Container nanoclaw-main-\d+, since /)
  assert.equal(room.engine.started.length, 1)
})
