import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from '../domain/message.ts'
import type { Capabilities, Channel, ChannelState, Outbound, Receipt, Sink } from './contract.ts'

/**
 * The chats of the terminal (and the dashboard). People read them from the store, so what is committed is delivered:
 * sending again changes nothing.
 */
export class TerminalChannel implements Channel {
  readonly name = 'terminal'
  readonly capabilities: Capabilities = { delivery: 'keyed', maxText: 1_000_000 }
  readonly state: ChannelState = { state: 'online' }

  async start(_sink: Sink, _signal: AbortSignal): Promise<void> {}

  async send(_jid: string, _message: Outbound, options: { idempotencyKey: string }): Promise<Receipt> {
    return { platformId: options.idempotencyKey }
  }

  owns(jid: string): boolean {
    return jid.startsWith('local:')
  }
}

/** What somebody typed. Whoever reaches the host's own socket is its owner. */
export function typedMessage({ jid, text, at }: { jid: string; text: string; at: number }): IncomingMessage {
  return { jid, id: randomUUID(), sender: 'owner', senderName: 'You', text, sentAt: at, fromMe: true }
}
