import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { AnyMessageContent } from 'baileys'
import { ManualClock } from '../../../test/fakes/clock.ts'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { AppError } from '../../domain/errors.ts'
import { openDeviceDatabase } from './database.ts'
import { messageIdFor } from './outgoing.ts'
import { Sending } from './sending.ts'
import { SentMessages } from './traffic.ts'

const ACCEPTED = { attrs: {} }
const ALICE = '2000@s.whatsapp.net'
const GROUP = '120363@g.us'

/** Sending by a connection on which WhatsApp answers this to every message, or fails in this way. */
function sendingWith(t: TestContext, { answer, failure }: { answer?: unknown; failure?: Error } = { answer: ACCEPTED }) {
  const folder = temporaryFolder(t)
  const { db, close } = openDeviceDatabase(path.join(folder, 'whatsapp.db'))
  t.after(() => close({ keep: false }))
  const sent = new SentMessages(db)
  const waits: (number | undefined)[] = []
  const contents: AnyMessageContent[] = []
  const socket = {
    waitForMessage: async <T>(_id: string, ms?: number) => {
      waits.push(ms)
      return answer as T
    },
    sendMessage: async (remoteJid: string, content: AnyMessageContent) => {
      contents.push(content)
      if (failure) throw failure
      return { key: { remoteJid, fromMe: true }, message: { conversation: 'sent' } }
    },
  }
  const sending = new Sending({ sent, clock: new ManualClock(), prefix: '', socket: () => socket })
  return { sending, sent, waits, contents, folder }
}

const options = (key = 'key') => ({ idempotencyKey: key, signal: new AbortController().signal })

test('a message is given half a minute to be confirmed, and one with a file a quarter of an hour', async (t) => {
  const { sending, waits, folder } = sendingWith(t)
  const file = { path: path.join(folder, 'a.txt'), name: 'a.txt', mimeType: 'text/plain' }
  writeFileSync(file.path, 'content')
  await sending.send(ALICE, { text: 'hi' }, options('1'))
  await sending.send(ALICE, { text: '', file }, options('2'))
  await sending.edit({ jid: ALICE, id: 'M', text: 'new' }, options('3'))
  await sending.react({ jid: ALICE, id: 'M', sender: ALICE, fromMe: false }, '👍', options('4'))
  assert.deepEqual(waits, [30_000, 900_000, 30_000, 30_000])
})

test('a message that nobody confirms is to be sent again, under the same id', async (t) => {
  const { sending, sent } = sendingWith(t, { answer: undefined })
  await assert.rejects(sending.send(ALICE, { text: 'hi' }, options()), { code: 'whatsapp.unanswered', fault: 'platform' })
  assert.equal(sent.stateOf(messageIdFor('key')), 'begun')
})

test('a message that was confirmed is not sent again', async (t) => {
  const { sending, sent, contents } = sendingWith(t)
  const first = await sending.send(ALICE, { text: 'hi' }, options())
  assert.deepEqual(await sending.send(ALICE, { text: 'hi' }, options()), first)
  assert.deepEqual([contents.length, sent.stateOf(first.platformId ?? '')], [1, 'accepted'])
})

test('the message that is edited or reacted to is named with its sender, in groups and if it is not our own', async (t) => {
  const { sending, contents } = sendingWith(t)
  await sending.edit({ jid: GROUP, id: 'M', text: 'new' }, options('1'))
  for (const [n, jid, fromMe] of [
    ['2', GROUP, false],
    ['3', GROUP, true],
    ['4', ALICE, false],
  ] as const)
    await sending.react({ jid, id: 'M', sender: ALICE, fromMe }, '👍', options(n))
  const keys = contents.map((content) => ('edit' in content ? content.edit : 'react' in content ? content.react.key : undefined))
  assert.deepEqual(keys, [
    { remoteJid: GROUP, id: 'M', fromMe: true },
    { remoteJid: GROUP, id: 'M', fromMe: false, participant: ALICE },
    { remoteJid: GROUP, id: 'M', fromMe: true },
    { remoteJid: ALICE, id: 'M', fromMe: false },
  ])
})

test('failures of the library are told apart by whether another try may help', async (t) => {
  const failures: [Error, { fault: string; code: string }][] = [
    [new AppError({ code: 'x', fault: 'agent', message: 'ours' }), { fault: 'agent', code: 'x' }],
    [Object.assign(new Error('refused'), { data: 404 }), { fault: 'user', code: 'whatsapp.refused' }],
    [Object.assign(new Error('refused'), { data: 500 }), { fault: 'platform', code: 'whatsapp.failed' }],
    [Object.assign(new Error('gone'), { code: 'ENOENT' }), { fault: 'user', code: 'whatsapp.no-file' }],
    [Object.assign(new Error('link'), { code: 'ELOOP' }), { fault: 'user', code: 'whatsapp.no-file' }],
    [Object.assign(new Error('folder'), { code: 'EISDIR' }), { fault: 'user', code: 'whatsapp.no-file' }],
    [Object.assign(new Error('reset'), { code: 'ECONNRESET' }), { fault: 'platform', code: 'whatsapp.failed' }],
  ]
  for (const [error, told] of failures)
    await assert.rejects(sendingWith(t, { failure: error }).sending.send(ALICE, { text: 'hi' }, options()), told)
})

test('a message that is refused for an unknown reason may be tried again', async (t) => {
  const faultFor = async (error: string) => {
    const { sending } = sendingWith(t, { answer: { attrs: { error } } })
    return sending.send(ALICE, { text: 'hi' }, options()).then(
      () => 'sent',
      ({ fault }) => fault,
    )
  }
  assert.deepEqual([await faultFor('463'), await faultFor('499')], ['user', 'platform'])
})

test('a send that is given up while it waits for the answer ends at once, and leaves no listener', async (t) => {
  const { sending } = sendingWith(t, { answer: new Promise(() => {}) })
  const given = new AbortController()
  const waiting = sending.send(ALICE, { text: 'hi' }, { idempotencyKey: 'key', signal: given.signal })
  await new Promise(setImmediate)
  given.abort(new Error('given up'))
  await assert.rejects(waiting, /given up/)
  const { sending: other } = sendingWith(t)
  const { signal } = new AbortController()
  await other.send(ALICE, { text: 'hi' }, { idempotencyKey: 'key', signal })
  await new Promise(setImmediate)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})
