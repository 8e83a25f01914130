import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NEVER, unlessAborted } from './abort.ts'

test('what is done in time is handed on, and a failure, too', async () => {
  const abort = new AbortController()
  assert.equal(await unlessAborted(Promise.resolve(7), abort.signal), 7)
  assert.equal(await unlessAborted(Promise.resolve(8), NEVER), 8)
  await assert.rejects(unlessAborted(Promise.reject(new Error('broken')), abort.signal), /broken/)
})

test('an abort ends the waiting at once with its reason, and what comes of the work later is of no account', async () => {
  const abort = new AbortController()
  const work = Promise.withResolvers<void>()
  const waiting = unlessAborted(work.promise, abort.signal)
  abort.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  work.reject(new Error('too late'))
  await new Promise(setImmediate)
  await assert.rejects(unlessAborted(new Promise(() => {}), abort.signal), /enough/, 'also one that aborted before')
})
