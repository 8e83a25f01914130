import { deflateSync } from 'node:zlib'
import { proto } from 'baileys'
import type { Phone } from './phone.ts'

/** What the phone tells a new device: who is who, and an old message that is none of the assistant's. */
export function historyFor(people: readonly Phone[], { hidesPhones }: { hidesPhones: boolean }): proto.IMessage[] {
  const old = {
    key: { remoteJid: people[0]?.pn ?? '', id: 'OLD', fromMe: false },
    message: { conversation: 'said before the link' },
  }
  const { INITIAL_BOOTSTRAP, RECENT } = proto.HistorySync.HistorySyncType
  return [INITIAL_BOOTSTRAP, RECENT].map((syncType) => {
    const history = proto.HistorySync.encode({
      syncType,
      progress: 100,
      chunkOrder: 1,
      conversations: [{ id: people[0]?.pn ?? '', messages: [{ message: old }] }],
      pushnames: people.map(({ pn, name }) => ({ id: pn, pushname: name })),
      phoneNumberToLidMappings: hidesPhones ? [] : people.map(({ pn, lid }) => ({ pnJid: pn, lidJid: lid })),
    }).finish()
    const initialHistBootstrapInlinePayload = deflateSync(history)
    const historySyncNotification = { syncType, chunkOrder: 1, progress: 100, initialHistBootstrapInlinePayload }
    const { HISTORY_SYNC_NOTIFICATION: type } = proto.Message.ProtocolMessage.Type
    return { protocolMessage: { type, historySyncNotification } }
  })
}
