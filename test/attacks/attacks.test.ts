import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ANN, AttackRoom, EVE } from './attack-room.ts'
import { type Attack, FILES, IDENTITY, MAIN, REQUESTS } from './attacks.ts'
import { FRAMES, RESOURCES, SMALL } from './floods.ts'

const suites: [name: string, attacks: Attack[]][] = [
  ['files', FILES],
  ['requests', REQUESTS],
  ['identity', IDENTITY],
  ['main', MAIN],
  ['frames', FRAMES],
  ['resources', RESOURCES],
]

for (const [name, attacks] of suites) {
  describe(`an agent attacks with ${name}:`, () => {
    const ends: (() => unknown)[] = []
    let room: AttackRoom
    before(async () => {
      room = await AttackRoom.create({ after: (end) => ends.unshift(end) })
      await room.client.setGroup({ target: EVE, config: SMALL })
    })
    after(async () => {
      for (const end of ends) await end()
    })
    for (const attack of attacks) {
      test(attack.name, async () => {
        const printed = await room.shell(attack.inMain ? 'main' : EVE, attack.script)
        if (attack.prints) assert.match(printed, attack.prints)
        if (attack.never) assert.doesNotMatch(printed, attack.never)
        if (attack.isFlood) await room.isEnded(EVE)
        await room.requestsAreDone(EVE)
        await room.isUnharmed()
      })
    }
    test('and in the end nothing is where it should not be', async () => {
      const { groups } = await room.host.status()
      assert.deepEqual(
        groups.map(({ folder, isMain, chats }) => [folder, isMain, chats]),
        [
          ['main', true, ['local:main']],
          [ANN, false, ['local:ann']],
          [EVE, false, ['local:eve']],
        ],
      )
      for (const folder of ['main', ANN]) {
        const said = (await room.client.history(`local:${folder}`, 500)).filter(({ fromAssistant }) => fromAssistant)
        assert.ok(
          said.every(({ text }) => !/I am|flood/.test(text)),
          `nobody spoke in the chat of ${folder}`,
        )
      }
    })
  })
}
