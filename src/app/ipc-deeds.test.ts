import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith } from '../../test/fakes/rooms.ts'
import { chatFor, excerpt, fitting } from './ipc-deeds.ts'

test('a text of 2,000 characters is shown whole, and of a longer one the beginning', () => {
  assert.equal(excerpt('x'.repeat(2_000)), 'x'.repeat(2_000))
  assert.equal(excerpt('x'.repeat(2_001)), `${'x'.repeat(2_000)} [...]`)
})

test('a list holds what fits into half a MiB, counted in bytes', () => {
  const item = 'é'.repeat((512 * 1024) / 8 - 1) // a quarter of it, with its two quotation marks
  assert.equal(fitting(Array(4).fill(item)).length, 4)
  assert.equal(fitting([...Array(3).fill(item), `${item}x`]).length, 3)
  assert.deepEqual(fitting(['x'.repeat(512 * 1024), 'y']), [])
  assert.deepEqual(fitting([]), [])
})

test('an agent speaks in the chat of its turn, or else in the first of its group, and is told which it may use', (t) => {
  const { store } = storeWith(t, ['main', 'family'])
  for (const jid of ['tg:1', 'tg:2']) {
    store.chats.see({ jid })
    store.groups.register({ jid, folder: 'family', trigger: null, requiresTrigger: false }, 1)
  }
  const find = (folder: string, { chatJid, targetJid }: { chatJid?: string; targetJid?: string } = {}) => {
    const found = chatFor(store, { who: { folder, isMain: folder === 'main' }, chatJid, targetJid })
    return found.type === 'chat' ? found.chat.jid : found.why
  }
  assert.equal(find('family'), 'local:family')
  assert.equal(find('family', { chatJid: 'tg:2' }), 'tg:2')
  assert.equal(find('family', { chatJid: 'tg:2', targetJid: 'tg:1' }), 'tg:1')
  assert.equal(find('family', { chatJid: 'local:main' }), 'local:family', 'not in the chat of another group')
  assert.equal(find('main', { targetJid: 'tg:1' }), 'tg:1')
  const own = 'You may use: local:family, tg:1, tg:2.'
  assert.equal(find('family', { targetJid: 'local:main' }), `local:main is not a chat you may use. ${own}`)
  assert.match(find('main', { targetJid: 'tg:9' }), /You may use: .*local:main/)
  assert.equal(find('nobody'), 'This group has no chat.')
})
