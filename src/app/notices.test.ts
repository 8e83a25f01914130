import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registerChat, storeWith } from '../../test/fakes/rooms.ts'
import { Feed } from './feed.ts'
import { tellMain } from './notices.ts'

test("what the owner should know is said in main's chats that can be reached, and nowhere else", (t) => {
  const { store } = storeWith(t, ['main', 'family'])
  registerChat(store, { jid: 'tg:1', folder: 'main' })
  registerChat(store, { jid: 'wa:1', folder: 'main' })
  let delivered = 0
  const ports = { store, feed: new Feed(console), now: () => 5, deliver: () => void delivered++ }
  tellMain(ports, 'WhatsApp is gone', (jid) => !jid.startsWith('wa:'))
  assert.deepEqual(
    store.outbox.due(5).map(({ jid, text }) => [jid, text]),
    [
      ['local:main', 'WhatsApp is gone'],
      ['tg:1', 'WhatsApp is gone'],
    ],
  )
  assert.deepEqual(
    store.messages.latest('local:main', 5).map(({ text, fromAssistant }) => [text, fromAssistant]),
    [['WhatsApp is gone', true]],
  )
  assert.deepEqual(store.messages.latest('local:family', 5), [])
  assert.equal(delivered, 1)
})
