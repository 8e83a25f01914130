import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderGroups } from './groups.ts'
import { renderSessions } from './sessions.ts'

const chat = (jid: string, over: object = {}) => ({ jid, trigger: '@Andy', requiresTrigger: true, leaving: false, ...over })
const group = { folder: 'family', name: '家族\u001b[31m', isMain: false, sessionId: null, config: {} }

test('groups are listed with each chat and what calls the assistant there, harmlessly', () => {
  const chats = [chat('tg:1'), chat('tg:22', { requiresTrigger: false }), chat('tg:3', { leaving: true })]
  assert.equal(
    renderGroups([
      { ...group, folder: 'main', name: 'Main', isMain: true, chats: [chat('local:main', { requiresTrigger: false })] },
      { ...group, chats },
      { ...group, folder: 'empty', name: 'Empty', chats: [] },
    ]),
    [
      'GROUP        NAME   CHAT        ANSWERS TO',
      'main (main)  Main   local:main  every message',
      'family       家族   tg:1        @Andy',
      '                    tg:22       every message',
      '                    tg:3        what was asked; then it is removed',
      'empty        Empty  ! none',
      '',
    ].join('\n'),
  )
})

test('lists without entries say so', () => {
  for (const text of [renderGroups([]), renderSessions([])]) assert.match(text, /no groups yet/)
})

test('sessions are listed with the one that each group goes on with', () => {
  const text = renderSessions([
    { ...group, sessionId: 'abc' },
    { folder: 'b', name: 'B', sessionId: null },
  ])
  assert.match(text, /^GROUP +NAME +SESSION\nfamily +家族 +abc\nb +B +- \(begins/)
})
