/** Whose fault it is decides what happens next: ours is a bug, theirs is retried or told, the user's is explained. */
export type Fault = 'user' | 'platform' | 'engine' | 'agent' | 'bug'

type AppErrorFields = { code: string; fault: Fault; message: string; retryAt?: number | undefined; cause?: unknown }

/** Every error that crosses a folder. `message` is for a person: what happened, what it means, what to do. */
export class AppError extends Error {
  readonly code: string
  readonly fault: Fault
  /** When trying again may help, ms since the epoch, where somebody said so. */
  readonly retryAt: number | undefined

  constructor({ code, fault, message, retryAt, cause }: AppErrorFields) {
    super(message, { cause })
    this.name = 'AppError'
    this.code = code
    this.fault = fault
    this.retryAt = retryAt
  }
}

/** The one-line text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
