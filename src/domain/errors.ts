/** Whose fault it is decides what happens next: ours is a bug, theirs is retried or told, the user's is explained. */
export type Fault = 'user' | 'platform' | 'engine' | 'agent' | 'bug'

/** Every error that crosses a folder. `message` is for a person: what happened, what it means, what to do. */
export class AppError extends Error {
  readonly code: string
  readonly fault: Fault

  constructor({ code, fault, message, cause }: { code: string; fault: Fault; message: string; cause?: unknown }) {
    super(message, { cause })
    this.name = 'AppError'
    this.code = code
    this.fault = fault
  }
}

/** The one-line text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
