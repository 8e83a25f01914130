import type { Channel } from '../channels/contract.ts'
import type { Clock } from '../domain/clock.ts'

/** Platforms take the sign away by themselves after 10 s and more. */
const AGAIN_MS = 8_000

/** Shows "typing" in a chat until the returned function is called. What goes wrong with it is not worth a word. */
export function showTyping({ channel, jid, clock }: { channel: Channel | undefined; jid: string; clock: Clock }): () => void {
  if (!channel?.setTyping) return () => {}
  let cancel = () => {}
  const show = () => {
    channel.setTyping?.(jid, true)
    cancel = clock.wakeAt(clock.now() + AGAIN_MS, show)
  }
  show()
  return () => {
    cancel()
    channel.setTyping?.(jid, false)
  }
}
