import { z } from 'zod'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { ExampleChannel, type ExampleParts } from './example-channel.ts'

const receipt = z.object({ platformId: z.string() })

/** The example with any guarantee: its server honours keys, can be asked, or neither. */
export class PeerChannel extends ExampleChannel {
  override readonly capabilities: ExampleChannel['capabilities']

  constructor({ delivery, ...parts }: ExampleParts & { delivery: DeliveryGuarantee }) {
    super(parts)
    this.capabilities = { delivery, maxText: 4_000 }
  }

  async findSent(jid: string, { idempotencyKey: key }: { idempotencyKey: string }, signal: AbortSignal) {
    const answer = await this.call(`/sent?${new URLSearchParams({ jid, key })}`, { signal })
    return receipt.optional().parse((await answer.json()) ?? undefined)
  }
}
