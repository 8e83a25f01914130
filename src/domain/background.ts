import { errorText } from './errors.ts'

/** `what` could not be done, in words that a reason can follow: "The run logs could not be pruned". */
type Background = { what: string; log: { error(text: string): void } }

/**
 * Does work whose end nobody waits for: in a timer, in a listener, beside everything else. Never throws, and leaves no promise
 * that rejects, because either would end the host. What fails is a line of the log.
 */
export function inBackground({ what, log }: Background, work: () => unknown): void {
  new Promise((resolve) => resolve(work())).catch((error) => log.error(`${what}: ${errorText(error)}`))
}
