import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storeWith } from '../../test/fakes/rooms.ts'
import { groupList } from './group-list.ts'
import { noteLeaving } from './leaving.ts'

test('each group is listed with what calls it in each of its chats, main first', (t) => {
  const { store } = storeWith(t, ['family', 'main'])
  for (const [jid, folder, trigger] of [
    ['tg:1', 'family', null],
    ['tg:2', 'family', '@Bo'],
    ['tg:3', 'main', '@Bo'],
  ] as const) {
    store.chats.see({ jid })
    store.groups.register({ jid, folder, trigger, requiresTrigger: true }, 1)
  }
  store.sessions.set('family', 's1')
  noteLeaving(store, 'tg:2')
  const chat = (jid: string, trigger: string, requiresTrigger: boolean, leaving = false) => ({
    jid,
    trigger,
    requiresTrigger,
    leaving,
  })
  assert.deepEqual(groupList(store, { assistantName: 'Andy' }), [
    {
      ...{ folder: 'main', name: 'main', isMain: true, config: {}, sessionId: null },
      chats: [chat('local:main', '@Andy', false), chat('tg:3', '@Bo', false)],
    },
    {
      ...{ folder: 'family', name: 'family', isMain: false, config: {}, sessionId: 's1' },
      chats: [chat('local:family', '@Andy', false), chat('tg:1', '@Andy', true), chat('tg:2', '@Bo', true, true)],
    },
  ])
})
