import { AppError, errorText } from '../domain/errors.ts'
import { redactor } from '../domain/redactor.ts'

/** 0 done, 1 failed, 2 the input or a setting is not usable, 3 the host is not running; see also `CRASHED`. */
export type ExitCode = 0 | 1 | 2 | 3

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof AppError)) return 1
  if (error.code === 'host.not-running') return 3
  return error.code.startsWith('config.') || error.code.startsWith('input.') ? 2 : 1
}

/** A sentence for what a person can act on; the stack only for what is our own fault. Never a token. */
export function report(error: unknown): string {
  return redactor([])(described(error))
}

function described(error: unknown): string {
  if (error instanceof AppError) return `nanoclaw: ${error.message}`
  return `nanoclaw: ${errorText(error)}\nThis is a bug; please report it with these lines:\n${error instanceof Error ? error.stack : ''}`
}
