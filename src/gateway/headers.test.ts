import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credential } from './credentials.ts'
import { requestHeaders, responseHeaders } from './headers.ts'

const KEY: Credential = { kind: 'api-key', value: 'the-key', source: 'x' }
const TOKEN: Credential = { kind: 'oauth', value: 'the-token', source: 'x' }
const OURS = { 'content-type': 'application/json', 'accept-encoding': 'identity', 'content-length': 7 }

const sent = (client: Record<string, string>, credential = KEY) => requestHeaders({ client, credential, bodyBytes: 7 })

test('the API gets the headers that it reads of a client, and no others', () => {
  const read = [
    ...['accept', 'anthropic-beta', 'anthropic-dangerous-direct-browser-access', 'anthropic-version', 'user-agent', 'x-app'],
    ...['x-claude-code-session-id', 'x-stainless-retry-count'],
  ]
  const headers = Object.fromEntries(read.map((name) => [name, `value of ${name}`]))
  const withheld = {
    'x-stainless': 'x',
    'x-other': 'x',
    connection: 'x',
    'content-encoding': 'x',
    'anthropic-organization-id': 'x',
  }
  assert.deepEqual(sent({ ...headers, ...withheld }), { ...headers, ...OURS, 'x-api-key': 'the-key' })
})

test('the type, encoding and length of a request are ours, whatever the client says', () => {
  const claimed = { 'content-type': 'text/plain', 'accept-encoding': 'gzip', 'content-length': '99' }
  assert.deepEqual(sent(claimed), { ...OURS, 'x-api-key': 'the-key' })
})

test('a client names no credential beside the real one', () => {
  const forged = { 'x-api-key': 'forged', authorization: 'Bearer forged' }
  assert.deepEqual(sent(forged), { ...OURS, 'x-api-key': 'the-key' })
  assert.deepEqual(sent(forged, TOKEN), { ...OURS, authorization: 'Bearer the-token', 'anthropic-beta': 'oauth-2025-04-20' })
})

test('the beta of OAuth is added once to those of the client', () => {
  const betas = (names: string) => sent({ 'anthropic-beta': names }, TOKEN)['anthropic-beta']
  assert.equal(betas('one, two'), 'one,two,oauth-2025-04-20')
  assert.equal(betas('oauth-2025-04-20'), 'oauth-2025-04-20')
  assert.equal(betas('one , oauth-2025-04-20,'), 'one,oauth-2025-04-20')
  assert.equal(betas(''), 'oauth-2025-04-20')
})

test('a client gets the headers of an answer without those of a connection or an account', () => {
  const withheld = [
    ...['anthropic-organization-id', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'te', 'trailer'],
    ...['transfer-encoding', 'upgrade', 'x-internal', 'x-other'],
  ]
  const headers = Object.fromEntries(withheld.map((name) => [name, 'x']))
  const answer = { ...headers, 'set-cookie': ['a=b'], connection: 'close, X-Internal,x-other', 'request-id': 'r', date: 'd' }
  assert.deepEqual(responseHeaders(answer), { 'request-id': 'r', date: 'd' })
  assert.deepEqual(responseHeaders({ 'x-internal': 'x' }), { 'x-internal': 'x' })
})
