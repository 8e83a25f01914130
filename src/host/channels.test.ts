import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { registerChat, storeWith } from '../../test/fakes/rooms.ts'
import { SenderAllowlist } from '../sender-allowlist.ts'
import { fileRefusal } from './channels.ts'

test('no file is kept of people who are dropped, nor for a group whose folder is full', (t) => {
  const { store, folder } = storeWith(t, ['main', 'family'])
  registerChat(store, { jid: 'family@g.us', folder: 'family' })
  const file = path.join(folder, 'senders.json')
  const rule = { allow: ['ann'], mode: 'drop' }
  writeFileSync(file, JSON.stringify({ default: { allow: '*', mode: 'trigger' }, chats: { 'family@g.us': rule } }))
  const senders = new SenderAllowlist({ file, onBroken: (why) => assert.fail(why) })
  const from = (sender: string, jid = 'family@g.us') => fileRefusal({ store, senders }, { jid, sender, fromMe: false })
  assert.deepEqual(
    [from('ann'), from('eve'), from('eve', 'local:family')],
    [undefined, 'its sender is not heard here', undefined],
  )
  store.facts.set('folder_limit:family', 'over')
  assert.deepEqual([from('ann'), from('ann', 'local:main')], ["the group's folder is full", undefined])
})
