import path from 'node:path'
import { proto } from 'baileys'
import { WhatsAppChannel } from '../../../src/channels/whatsapp/channel.ts'
import type { Clock } from '../../../src/domain/clock.ts'
import type { TestContext } from '../rooms.ts'
import type { Mishap } from './server.ts'
import { shownTexts, World } from './world.ts'

const MISHAPS: Record<'refused' | 'busy' | 'answer-lost', Mishap> = {
  refused: { refusedWith: '403' },
  busy: { refusedWith: '500' },
  'answer-lost': 'delivered-unconfirmed',
}

/** WhatsApp for the suite that every channel passes: Alice's chat with an account that is linked already. */
export async function openWhatsApp(t: TestContext, ports: { clock: Clock; random(): number }) {
  const world = await World.offline(t)
  const { server, alice, olga, folder } = world
  const { MESSAGE_EDIT, REVOKE } = proto.Message.ProtocolMessage.Type
  const changes = (protocolMessage: proto.Message.IProtocolMessage) => server.write(alice, olga, { protocolMessage })
  const platform = {
    shown: () => shownTexts(alice).map((text) => text ?? ''),
    says: (text: string) => server.write(alice, olga, text),
    redelivers: (id: string) => server.redeliver(id),
    edits: async (id: string, text: string) => {
      await changes({ type: MESSAGE_EDIT, key: { id }, editedMessage: { conversation: text } })
    },
    deletes: async (id: string) => {
      await changes({ type: REVOKE, key: { id } })
    },
    isConfirmed: (id: string) => !server.unconfirmed(olga).includes(id),
    befall: (mishap: keyof typeof MISHAPS) => {
      server.nextMishap = MISHAPS[mishap]
    },
    down: () => server.down(),
    up: () => server.up(),
    attempts: () => server.connections,
    connections: () => server.open,
  }
  const create = () => {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const settings = {
      authFolder: path.join(folder, 'store', 'auth'),
      attachmentsFolder: path.join(folder, 'data', 'attachments'),
      assistantName: 'Andy',
      hasOwnNumber: true,
      socketUrl: server.url,
    }
    const registration = () => ({ folder: 'main', trigger: '@Andy' })
    return new WhatsAppChannel({ settings, ports: { ...ports, log, registration, refuseFile: () => undefined } })
  }
  return { create, jid: alice.pn, platform }
}
