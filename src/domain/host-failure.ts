import { AppError, errorText } from './errors.ts'

/** The host failed: descriptors, memory or disk are exhausted or broken. That says nothing about the request, and may pass. */
export type HostFailure = { type: 'host-failure'; why: string; error: HostError }

/** As a value, from what was thrown. */
export function hostFailure(cause: unknown): HostFailure {
  const error = cause instanceof HostError ? cause : new HostError(cause)
  return { type: 'host-failure', why: error.message, error }
}

/** A failure of the host as an exception. The request that met it stays as it is and is retried. */
export class HostError extends AppError {
  constructor(cause: unknown) {
    super({ code: 'host.failed', fault: 'user', message: `the machine could not do it: ${errorText(cause)}`, cause })
    this.name = 'HostError'
  }
}

/** Errors by which the system says something about the file that was named. */
const OF_THE_FILE = 'ENOENT ENOTDIR ELOOP EISDIR EACCES EPERM ENXIO ENODEV EOPNOTSUPP ETXTBSY ENAMETOOLONG EINVAL EILSEQ'.split(
  ' ',
)

/** Throws a `HostError` where the host failed, so that nobody takes it for a fact about what was looked at. */
export function assertOfTheFile(error: unknown): void {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown }
  if (typeof code === 'string' && typeof syscall === 'string' && !OF_THE_FILE.includes(code)) throw new HostError(error)
}

/** SQLite's results that come from the machine or the file, and not from what was to be stored. */
const OF_SQLITE = /^SQLITE_(FULL|IOERR|CANTOPEN|NOMEM|READONLY|BUSY|LOCKED|PROTOCOL|CORRUPT|NOTADB|PERM|AUTH|NOLFS|INTERRUPT)/

/**
 * Was it the host that failed, and not what it was asked to do? True for a full or failing disk, used up descriptors or
 * memory, and each other error of a system call: those that somebody else can cause are told apart where they arise.
 */
export function isHostError(error: unknown): boolean {
  if (error instanceof HostError || (error instanceof AppError && error.code === 'store.disk')) return true
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown }
  return typeof code === 'string' && (typeof syscall === 'string' || OF_SQLITE.test(code))
}
