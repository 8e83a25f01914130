import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeOf } from './route.ts'

test('a target is the path and the query as they were sent', () => {
  for (const url of ['/v1/messages', '/v1/messages?', '/v1/messages?beta=true?x', '/v1/messages/count_tokens?a=/../b'])
    assert.deepEqual(routeOf({ method: 'POST', url }), { type: 'model', target: url })
})

test('a refusal says what the gateway offers', () => {
  const offered = "NanoClaw's gateway offers POST /v1/messages and POST /v1/messages/count_tokens."
  const refusal = (method: string, url: string) => {
    const route = routeOf({ method, url })
    return route.type === 'refused' ? [route.error.status, route.error.type, route.error.message] : route.target
  }
  const nowhere = [404, 'not_found_error', `There is no such address here. ${offered}`]
  for (const url of ['', '/', '?', '?/v1/messages', '/v1/messages/', '/v1/messagesx'])
    assert.deepEqual(refusal('POST', url), nowhere)
  assert.deepEqual(refusal('GET', '/v1/messages?x'), [405, 'invalid_request_error', `/v1/messages takes POST only. ${offered}`])
})
