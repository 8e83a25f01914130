import assert from 'node:assert/strict'
import { test } from 'node:test'
import { change, groupDetail } from '@nanoclaw/protocol'
import { ownerDesk } from '../../test/fakes/owner.ts'
import { storeWith } from '../../test/fakes/rooms.ts'
import { noPolicy } from '../../test/fakes/senders.ts'
import { GroupRegistry } from '../app/groups.ts'
import { AppError } from '../domain/errors.ts'
import { groupsApi } from './groups-api.ts'

test('groups are changed and listed as the contract says, and what is refused is an error with the reason', async (t) => {
  const { store, folder: root } = storeWith(t, ['main'])
  const ports = { store, now: () => 0, release: () => {}, changed: () => {}, senderPolicy: noPolicy }
  const registry = new GroupRegistry(ports, { root, assistantName: 'Andy' })
  const errors: unknown[] = []
  const api = groupsApi({ store, registry: ownerDesk({ store, registry, root }), assistantName: 'Andy' }).onError((error, c) => {
    errors.push(error)
    return c.text('refused', 400)
  })
  const post = (path: string, body: unknown) => api.request(path, { method: 'POST', body: JSON.stringify(body) })

  const made = await post('/api/groups/register', { jid: 'tg:1', folder: 'family' })
  assert.match(change.parse(await made.json()).text, /new group "family"/)
  change.parse(await (await post('/api/groups/set', { target: 'tg:1', trigger: '@Bo', config: { model: 'opus' } })).json())
  assert.deepEqual(await (await post('/api/groups/terminal', { folder: 'family' })).json(), { jid: 'local:family' })
  const { groups } = (await (await api.request('/api/groups')).json()) as { groups: unknown[] }
  const family = groupDetail.parse(groups[1])
  assert.deepEqual(
    [family.folder, family.config, family.chats.map(({ jid, trigger }) => [jid, trigger])],
    [
      'family',
      { model: 'opus' },
      [
        ['local:family', '@Andy'],
        ['tg:1', '@Bo'],
      ],
    ],
  )
  change.parse(await (await post('/api/sessions/clear', { folder: 'family' })).json())
  change.parse(await (await post('/api/groups/remove', { target: 'family' })).json())

  const bad: [string, unknown][] = [
    ['register', { jid: 'tg:1', folder: '../x' }],
    ['remove', { target: 'main' }],
    ['terminal', { folder: 'nobody' }],
    ['set', { target: 'main' }],
    ['register', { jid: 1 }],
  ]
  for (const [name, body] of bad) assert.equal((await post(`/api/groups/${name}`, body)).status, 400)
  assert.deepEqual(
    errors.map((error) => (error instanceof AppError ? error.code : 'not the contract')),
    [...Array(4).fill('input.group'), 'not the contract'],
  )
})
