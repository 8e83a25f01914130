import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginEvent } from '@nanoclaw/protocol'
import type { AuditNote } from '../domain/audit.ts'
import { channelsApi, type Linkable, loginEvents } from './channels-api.ts'

function api(channel: Partial<Linkable>) {
  const errors: unknown[] = []
  const noted: string[] = []
  const audit = ({ by, act, subject, detail }: AuditNote) => noted.push(`${by}: ${act} ${subject}: ${detail}`)
  const app = channelsApi([{ name: 'terminal' }, { name: 'whatsapp', ...channel }], audit).onError((error, c) => {
    errors.push(error)
    return c.text('refused', 400)
  })
  const post = (path: string, body: unknown) => app.request(path, { method: 'POST', body: JSON.stringify(body) })
  return { post, errors, noted }
}

const linesOf = async (response: Response) =>
  (await response.text())
    .trim()
    .split('\n')
    .map((line) => loginEvent.parse(JSON.parse(line)))

test('a login is a stream of what to do, to its end', async () => {
  const { post } = api({
    login: async ({ phone, tell }) => {
      tell({ type: 'code', code: `for ${phone}` })
      await new Promise(setImmediate)
      tell({ type: 'online', account: 'me' })
    },
    logout: async () => {},
  })
  assert.deepEqual(await linesOf(await post('/api/channels/whatsapp/login', { phone: '4915' + '12345' })), [
    { type: 'code', code: 'for 491512345' },
    { type: 'online', account: 'me' },
  ])
})

test('linking and unlinking is in the audit', async () => {
  const { post, noted } = api({ login: async ({ tell }) => tell({ type: 'online', account: 'me' }), logout: async () => {} })
  await linesOf(await post('/api/channels/whatsapp/login', {}))
  await post('/api/channels/whatsapp/logout', {})
  assert.deepEqual(noted, ['owner: link-channel whatsapp: linked to me', 'owner: unlink-channel whatsapp: no longer linked'])
})

test('a login that breaks ends as one that failed', async () => {
  const { post } = api({ login: () => Promise.reject(new Error('no network')), logout: async () => {} })
  assert.deepEqual(await linesOf(await post('/api/channels/whatsapp/login', {})), [{ type: 'failed', why: 'no network' }])
})

test('a log-out says that it is done', async () => {
  let done = false
  const logout = async () => {
    done = true
  }
  const { post } = api({ login: async () => {}, logout })
  assert.equal((await post('/api/channels/whatsapp/logout', {})).status, 200)
  assert.ok(done)
})

test('everything that a login tells comes in order, also after it was silent for long', async () => {
  const steps = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const { post } = api({
    login: async ({ tell }) => {
      tell({ type: 'qr', data: 'first' })
      for (const [n, { promise }] of steps.entries()) {
        await promise
        tell({ type: 'qr', data: `a${n}` })
        tell({ type: 'qr', data: `b${n}` })
      }
    },
    logout: async () => {},
  })
  const lines = linesOf(await post('/api/channels/whatsapp/login', {}))
  for (const { resolve } of steps) {
    await new Promise(setImmediate)
    resolve()
  }
  const told = (await lines).map((event) => (event.type === 'qr' ? event.data : event.type))
  assert.deepEqual(told, ['first', 'a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a3', 'b3', 'a4', 'b4'])
})

test('a client that leaves a login ends it', async () => {
  const left = Promise.withResolvers<void>()
  const { post, noted } = api({
    login: ({ tell, signal }) => {
      tell({ type: 'qr', data: 'x' })
      signal.addEventListener('abort', () => left.resolve())
      return left.promise
    },
    logout: async () => {},
  })
  const response = await post('/api/channels/whatsapp/login', {})
  const reader = response.body?.getReader() ?? assert.fail()
  await reader.read()
  await reader.cancel()
  await left.promise
  assert.deepEqual(noted, [])
})

test('a log-out that fails is in no audit', async () => {
  const { post, noted, errors } = api({ login: async () => {}, logout: () => Promise.reject(new Error('offline')) })
  assert.equal((await post('/api/channels/whatsapp/logout', {})).status, 400)
  assert.deepEqual([noted, String(errors[0])], [[], 'Error: offline'])
})

test('a channel that cannot be unlinked cannot be linked either', async () => {
  const { post, errors } = api({ login: async () => {} })
  await post('/api/channels/whatsapp/login', {})
  await post('/api/channels/nobody/logout', {})
  assert.deepEqual(
    errors.map((error) => (error as { code: string }).code),
    ['input.channel', 'input.channel'],
  )
})

test('what cannot be linked, and what is no phone number, is refused', async () => {
  const { post, errors } = api({ login: async () => {}, logout: async () => {} })
  await post('/api/channels/terminal/login', {})
  await post('/api/channels/whatsapp/login', { phone: '+49 15' })
  assert.match(String(errors[0]), /no channel "terminal".*whatsapp/)
  assert.match(String(errors[1]), /phone number/)
})

test('a client that does not read what a login tells gets the newest of it', async () => {
  const told = loginEvents(async (tell) => {
    for (let n = 0; n < 1_000; n++) tell({ type: 'qr', data: String(n) })
  })
  const heard = []
  for await (const event of told) heard.push(event)
  assert.deepEqual([heard.length, heard.at(-1)], [100, { type: 'qr', data: '999' }])
})
