import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent, ChatMessage } from '@nanoclaw/protocol'
import { connected, emptyRoom, heard, lost, nextOutgoing, type Room, refused, settled, stored, trying, written } from './room.ts'

const NOW = 1_000

function message(seq: number, text: string, sender = 'You'): ChatMessage {
  return { seq, sender, fromAssistant: sender === 'Andy', text, at: 0 }
}

const said = (seq: number, text: string, sender?: string): ChatEvent => ({ type: 'message', message: message(seq, text, sender) })
const turn = (state: (ChatEvent & { type: 'turn' })['state'], detail?: string): ChatEvent => ({
  type: 'turn',
  state,
  ...(detail ? { detail } : {}),
})
const activity = (kind: (ChatEvent & { type: 'activity' })['kind'], detail = ''): ChatEvent => ({
  type: 'activity',
  kind,
  detail,
})

/** The room after some events, and all that was shown. */
function after(room: Room, ...events: ChatEvent[]): { room: Room; shown: string[] } {
  let now = room
  const shown: string[] = []
  for (const event of events) {
    const step = heard(now, event, NOW)
    now = step.room
    shown.push(...step.shown.map((one) => (one.type === 'message' ? `${one.message.sender}: ${one.message.text}` : one.text)))
  }
  return { room: now, shown }
}

const online = connected(emptyRoom, undefined, NOW)

test('a message is shown once, however often it is heard', () => {
  assert.deepEqual(after(online, said(1, 'a'), said(1, 'a'), said(2, 'b')).shown, ['You: a', 'You: b'])
})

test('a turn is followed from its start to its end', () => {
  const { room } = after(online, turn('running'))
  assert.deepEqual(room.work, { state: 'running', since: NOW, doing: 'Starting', text: '', stopping: false, answered: false })
  const working = after(room, activity('tool', 'Bash: ls'), activity('text', 'So far')).room.work
  assert.deepEqual(working, { ...room.work, doing: 'Writing', text: 'So far' })
  assert.deepEqual(after(room, said(1, 'Hi', 'Andy'), turn('done')), { room: { ...online, lastSeq: 1 }, shown: ['Andy: Hi'] })
})

test('activity alone shows that a turn runs', () => {
  assert.equal(after(online, activity('thinking')).room.work.state, 'running')
})

test('internal notes are not shown while they are written', () => {
  const { work } = after(online, activity('text', 'Hi <internal>secret')).room
  assert.equal(work.state === 'running' && work.text, 'Hi')
})

test('a turn that fails, is stopped or says nothing is said aloud', () => {
  assert.deepEqual(after(online, turn('running'), turn('failed', 'No login.')).shown, ['No login.'])
  assert.deepEqual(after(online, turn('running'), turn('stopped')).shown, ['Stopped.'])
  assert.deepEqual(after(online, turn('running'), turn('done')).shown, ['Done; there was nothing to say.'])
})

test('why a turn waits is known until it goes on', () => {
  const { room } = after(online, turn('waiting', 'Limit reached.'))
  assert.deepEqual(room.work, { state: 'waiting', why: 'Limit reached.' })
  assert.equal(after(room, turn('running')).room.work.state, 'running')
})

test('a message of ours leaves the list when it comes back, with its number told before or after', () => {
  const trial = trying(written(online, 'hello'))
  const told = after(stored(trial, { text: 'hello', seq: 7 }), said(7, 'hello'))
  const heardFirst = stored(after(trial, said(7, 'hello')).room, { text: 'hello', seq: 7 })
  for (const room of [told.room, heardFirst]) {
    assert.deepEqual(room.outgoing, [])
    assert.equal(room.unsettled, 7)
    assert.deepEqual(room.work, { state: 'sent' })
  }
})

test('another terminal that says the same does not take our untried message off the list', () => {
  const { room } = after(written(online, 'hello'), said(7, 'hello'))
  assert.equal(nextOutgoing(room), 'hello')
})

test('a message whose answer was lost is known by its text, so it is not sent twice', () => {
  const { room } = after(lost(trying(written(online, 'hello'))), said(7, 'hello'))
  assert.equal(nextOutgoing(room), undefined)
})

test('messages are sent in order, and a stored or refused one is not sent again', () => {
  let room = written(written(online, 'a'), 'b')
  assert.equal(nextOutgoing(room), 'a')
  room = stored(trying(room), { text: 'a', seq: 1 })
  assert.equal(nextOutgoing(room), 'b')
  assert.equal(nextOutgoing(refused(trying(room))), undefined)
})

test('after a new connection, what goes on is as the host says', () => {
  const working = after(online, turn('running')).room
  assert.deepEqual(connected(lost(working), 'idle', NOW).work, { state: 'none' })
  assert.equal(connected(lost(working), 'running', NOW).work.state, 'running')
  assert.equal(connected(lost(working), 'waiting', NOW).work.state, 'waiting')
})

test('a failure that nobody heard is shown afterwards, once', () => {
  const room: Room = { ...online, unsettled: 7 }
  const { room: told, shown } = settled(room, 7, { type: 'failed', message: 'No login.' })
  assert.deepEqual(shown, [{ type: 'notice', tone: 'error', text: 'No login.' }])
  assert.deepEqual(settled(told, 7, { type: 'failed', message: 'No login.' }).shown, [])
})

test('an outcome that was heard as an event is not shown again', () => {
  const { room } = after({ ...online, unsettled: 7 }, turn('failed', 'No login.'))
  assert.deepEqual(settled(room, 7, { type: 'failed', message: 'login: 401' }).shown, [])
})
