import { TerminalChannel } from '../../src/channels/terminal.ts'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { localJid } from '../../src/domain/group.ts'
import { ExampleChannel } from '../fakes/example-channel.ts'
import { PeerChannel } from '../fakes/peer-channel.ts'
import { PeerPlatform } from '../fakes/peer-platform.ts'
import type { TestContext } from '../fakes/rooms.ts'
import type { Ports } from './channel-room.ts'
import { channelSuite, type Mishap, platformSuite } from './channel-suite.ts'

channelSuite({
  name: 'terminal',
  delivery: 'keyed',
  open: () => ({ create: () => new TerminalChannel(), jid: localJid('main') }),
})

for (const delivery of ['keyed', 'readback', 'uncertain'] satisfies DeliveryGuarantee[]) {
  const subject = {
    name: delivery === 'keyed' ? 'example' : `peer (${delivery})`,
    delivery,
    open: (t: TestContext, ports: Ports) => openPeer(t, delivery, ports),
  }
  channelSuite(subject)
  platformSuite(subject)
}

async function openPeer(t: TestContext, delivery: DeliveryGuarantee, ports: Ports) {
  const peer = await PeerPlatform.start({ delivery })
  t.after(() => peer.close())
  const jid = 'peer:home'
  const platform = {
    shown: () => peer.texts(jid),
    says: (text: string) => peer.says(jid, text),
    redelivers: (id: string) => peer.redelivers(id),
    edits: (id: string, text: string) => peer.edits({ jid, id, text }),
    deletes: (id: string) => peer.deletes({ jid, id }),
    isConfirmed: (id: string) => peer.isConfirmed(id),
    befall: (mishap: Mishap) => peer.befall(mishap),
    down: () => peer.down(),
    up: () => peer.up(),
    attempts: () => peer.attempts,
    connections: () => peer.connections,
  }
  const parts = { url: peer.url, ...ports }
  const create = () => (delivery === 'keyed' ? new ExampleChannel(parts) : new PeerChannel({ delivery, ...parts }))
  return { create, jid, platform }
}
