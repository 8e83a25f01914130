import type { Channel } from '../channels/contract.ts'
import { attempt } from '../domain/attempt.ts'
import type { Clock } from '../domain/clock.ts'

/** Platforms take the sign away by themselves after 10 s and more. */
const AGAIN_MS = 8_000

type Shown = { channel: Channel | undefined; jid: string; clock: Clock; log: { error(text: string): void } }

/** Shows "typing" in a chat until the returned function is called. A channel that throws is logged, and nothing else. */
export function showTyping({ channel, jid, clock, log }: Shown): () => void {
  if (!channel?.setTyping) return () => {}
  let cancel = () => {}
  const set = (on: boolean) => attempt({ what: `Typing in ${jid}`, log }, () => channel.setTyping?.(jid, on))
  const show = () => {
    if (set(true)) cancel = clock.wakeAt(clock.now() + AGAIN_MS, show)
  }
  show()
  return () => {
    cancel()
    set(false)
  }
}
