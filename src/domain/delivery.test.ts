import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AttemptEnd, afterAttempt, backOff, type DeliveryGuarantee, lossText } from './delivery.ts'

const step = (type: AttemptEnd['type'], guarantee: DeliveryGuarantee, unsure: boolean) => {
  const end: AttemptEnd = type === 'sent' ? { type, platformId: 'p' } : { type, why: 'why' }
  const next = afterAttempt(end, { guarantee, unsure })
  return next.type === 'again' ? `again${next.unsure ? ' unsure' : ''}` : next.type
}

test('every end of an attempt has its next step', () => {
  for (const [end, guarantee, unsure, next] of [
    ['sent', 'keyed', false, 'sent'],
    ['sent', 'keyed', true, 'sent'],
    ['sent', 'readback', true, 'sent'],
    ['sent', 'uncertain', false, 'sent'],
    ['sent', 'uncertain', true, 'uncertain'],
    ['refused', 'keyed', true, 'failed'],
    ['refused', 'uncertain', false, 'failed'],
    ['refused', 'uncertain', true, 'uncertain'],
    ['not-sent', 'uncertain', false, 'again'],
    ['not-sent', 'uncertain', true, 'again unsure'],
    ['unknown', 'keyed', true, 'again unsure'],
    ['unknown', 'readback', true, 'again unsure'],
    ['unknown', 'uncertain', false, 'again unsure'],
    ['unknown', 'uncertain', true, 'uncertain'],
  ] as const)
    assert.equal(step(end, guarantee, unsure), next, `${end}, ${guarantee}, unsure ${unsure}`)
})

test('a next step says what the attempt said, and of doubt why there is any', () => {
  const sure = { guarantee: 'keyed', unsure: false } as const
  const doubt = { guarantee: 'uncertain', unsure: true } as const
  const earlier = 'an earlier attempt may have arrived, too'
  const sent = { type: 'sent', platformId: 'p' } as const
  assert.deepEqual(afterAttempt(sent, sure), sent)
  assert.deepEqual(afterAttempt(sent, doubt), { type: 'uncertain', arrived: true, platformId: 'p', why: earlier })
  const refused = { type: 'refused', why: 'no' } as const
  const lost = { type: 'uncertain', arrived: false, platformId: null }
  assert.deepEqual(afterAttempt(refused, sure), { type: 'failed', why: 'no' })
  assert.deepEqual(afterAttempt(refused, doubt), { ...lost, why: `${earlier}; then: no` })
  assert.deepEqual(afterAttempt({ type: 'unknown', why: 'cut' }, doubt), { ...lost, why: 'twice: cut' })
  for (const type of ['not-sent', 'unknown'] as const)
    assert.deepEqual(afterAttempt({ type, why: 'cut', retryAt: 7 }, sure), {
      ...{ type: 'again', why: 'cut', retryAt: 7 },
      unsure: type === 'unknown',
    })
})

test('people are told of what failed, and of what may be missing', () => {
  const here = { file: undefined, place: 'here' }
  const uncertain = { type: 'uncertain', platformId: null, why: 'a library said so' } as const
  assert.equal(lossText({ type: 'failed', why: 'too large.' }, here), 'A message of mine could not be delivered here: too large.')
  assert.match(
    lossText({ ...uncertain, arrived: false }, { file: 'a.pdf', place: 'in tg:1' }) ?? '',
    /^The file a\.pdf may not have/,
  )
  assert.doesNotMatch(lossText({ ...uncertain, arrived: false }, here) ?? assert.fail('nothing is told'), /library/)
  assert.equal(lossText({ ...uncertain, arrived: true }, here), undefined)
  assert.equal(lossText({ type: 'sent', platformId: null }, here), undefined)
})

test('waiting grows from a second to five minutes, with half of it left to chance', () => {
  assert.deepEqual([backOff(0, () => 0), backOff(0, () => 1)], [1_000, 2_000])
  assert.deepEqual([backOff(3, () => 0), backOff(3, () => 1)], [8_000, 16_000])
  assert.deepEqual([backOff(7, () => 1), backOff(8, () => 1)], [256_000, 300_000])
  assert.deepEqual([backOff(90, () => 0), backOff(90, () => 1)], [150_000, 300_000])
})
