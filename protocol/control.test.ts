import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginRequest, taskDeed } from './control.ts'

test('a phone number has 7 to 15 digits and nothing else', () => {
  const accepted = (phone: string) => loginRequest.safeParse({ phone }).success
  assert.deepEqual(
    [6, 7, 15, 16].map((length) => accepted('4'.repeat(length))),
    [false, true, true, false],
  )
  for (const phone of ['', '+491512345', '49 1512345', '4915x12345', '4915\n12345', '491512345\n'])
    assert.ok(!accepted(phone), phone)
  assert.ok(loginRequest.safeParse({}).success, 'none, for a QR code')
})

test('a task can be paused, resumed, cancelled and run', () => {
  assert.deepEqual(taskDeed.options, ['pause', 'resume', 'cancel', 'run'])
})
