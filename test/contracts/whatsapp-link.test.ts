import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shownTexts, World } from '../fakes/whatsapp/world.ts'

test('an account is linked by a QR code, and messages go in and out', async (t) => {
  const world = await World.create(t)
  await world.start()
  assert.equal(world.channel.state.state, 'needs-pairing')
  const events = await world.link()
  assert.deepEqual(
    events.map(({ type }) => type),
    ['qr', 'online'],
  )
  await world.server.write(world.alice, world.olga, 'hello')
  const { text, jid, senderName } = await world.heard('hello')
  assert.deepEqual([text, jid, senderName], ['hello', world.alice.pn, 'Alice'])
  await world.send(world.alice.pn, 'hi Alice')
  assert.deepEqual(shownTexts(world.alice), ['hi Alice'])
})
