import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedCache } from './bounded-cache.ts'

test('a full cache forgets what was set longest ago, and nothing before it is full', () => {
  const cache = new BoundedCache()
  for (let n = 0; n < 2_000; n++) cache.set(`k${n}`, n)
  cache.set('k0', 'anew')
  assert.deepEqual([cache.get('k0'), cache.get('k1'), cache.get('k1999')], ['anew', 1, 1999])
  cache.set('one more', true)
  assert.deepEqual([cache.get('k0'), cache.get('k1'), cache.get('k2'), cache.get('one more')], ['anew', undefined, 2, true])
})

test('a deleted entry is forgotten, and a flush forgets all', () => {
  const cache = new BoundedCache()
  for (const key of ['a', 'b', 'c']) cache.set(key, key)
  cache.del('a')
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [undefined, 'b', 'c'])
  cache.flushAll()
  assert.deepEqual([cache.get('b'), cache.get('c')], [undefined, undefined])
})
