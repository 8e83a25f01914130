import { errorText } from '../domain/errors.ts'

type ErrorLog = { error(text: string): void }

/**
 * Does what nobody waits for. An error is logged with `what` in front of it and goes no further, not even an error of the
 * log. Returns whether `act` succeeded.
 */
export function attempt({ what, log }: { what: string; log: ErrorLog }, act: () => void): boolean {
  try {
    act()
    return true
  } catch (error) {
    complain(log, `${what}: ${errorText(error)}`)
    return false
  }
}

/** Logs an error where a failing log must not become a second error. */
export function complain(log: ErrorLog, text: string): void {
  try {
    log.error(text)
  } catch {
    // Nobody is left to be told.
  }
}
