import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginEvent } from '@nanoclaw/protocol'
import type { AuditNote } from '../domain/audit.ts'
import { channelsApi, type Linkable } from './channels-api.ts'

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

test('what cannot be linked, and what is no phone number, is refused', async () => {
  const { post, errors } = api({ login: async () => {}, logout: async () => {} })
  await post('/api/channels/terminal/login', {})
  await post('/api/channels/whatsapp/login', { phone: '+49 15' })
  assert.match(String(errors[0]), /no channel "terminal".*whatsapp/)
  assert.match(String(errors[1]), /phone number/)
})
