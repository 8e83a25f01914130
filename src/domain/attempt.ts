import { errorText } from './errors.ts'

type ErrorLog = { error(text: string): void }
/** `what` names the work or its failure, in words that a reason can follow: "The run logs could not be pruned". */
type Attempt = { what: string; log: ErrorLog }

/** Does work that nobody waits for. An error is logged and goes no further. Returns whether the work succeeded. */
export function attempt({ what, log }: Attempt, work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    complain(log, `${what}: ${errorText(error)}`)
    return false
  }
}

/**
 * Does the same with work that may be async, for timers and listeners. Never throws, and leaves no promise that rejects, because
 * either would end the host.
 */
export function inBackground({ what, log }: Attempt, work: () => unknown): void {
  new Promise((resolve) => resolve(work())).catch((error) => complain(log, `${what}: ${errorText(error)}`))
}

/** Logs an error where a log that fails must not become a second error. */
export function complain(log: ErrorLog, text: string): void {
  try {
    log.error(text)
  } catch {
    // Nobody is left to be told.
  }
}
