import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, errorText } from './errors.ts'

test('an error of the app says whose fault it is, by its code, and when trying again may help', () => {
  const cause = new Error('the cause')
  const error = new AppError({ code: 'x.429', fault: 'platform', message: 'Slow down.', retryAt: 7, cause })
  assert.ok(error instanceof Error)
  const { name, code, fault, message, retryAt } = error
  assert.deepEqual([name, code, fault, message, retryAt, error.cause], ['AppError', 'x.429', 'platform', 'Slow down.', 7, cause])
})

test('whatever is thrown has a text', () => {
  assert.deepEqual([new Error('a'), 'b', undefined, 4].map(errorText), ['a', 'b', 'undefined', '4'])
})
