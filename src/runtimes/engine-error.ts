import { z } from 'zod'
import { AppError, errorText } from '../domain/errors.ts'
import type { Answer } from './engine-client.ts'

export const HOW_TO_START =
  'Start it (Docker: Docker Desktop, or sudo systemctl start docker; Podman: systemctl --user start podman.socket), then try again.'

export function engineError({ code, message, cause }: { code: string; message: string; cause?: unknown }): AppError {
  return new AppError({ code: `engine.${code}`, fault: 'engine', message, cause })
}

/** What it means that a connection to the engine was not made, or broke. `error` becomes the cause, for `connectionTrouble`. */
export function connectionError({ error, socketPath }: { error: unknown; socketPath: string }): AppError {
  const { code, why } = connectionTrouble(error)
  const place = `the container engine at ${socketPath}`
  switch (code) {
    case 'unreachable':
      return engineError({ code, message: `Cannot reach ${place}: ${why}. ${HOW_TO_START}`, cause: error })
    case 'denied':
      return engineError({ code, message: `Cannot use ${place}: ${why}. ${howToBeAllowed(socketPath)}`, cause: error })
    case 'gone':
      return engineError({
        code,
        message: `The connection to ${place} broke: ${why}. Was it stopped or restarted?`,
        cause: error,
      })
  }
}

function howToBeAllowed(socketPath: string): string {
  return socketPath.endsWith('/podman.sock') ? HOW_TO_HAVE_A_PODMAN : HOW_TO_JOIN_DOCKER
}

const HOW_TO_HAVE_A_PODMAN = 'Podman gives every user a socket of their own. Run: systemctl --user enable --now podman.socket'
const HOW_TO_JOIN_DOCKER =
  'If you were added to the group docker a short time ago: that counts from your next login, so log out and in again (or run: newgrp docker). Otherwise run: sudo usermod -aG docker $USER'

/** What an aborted signal means: that there was no answer in time, or that nobody wants one any more. */
export function aborted({ signal, socketPath }: { signal: AbortSignal; socketPath: string }): AppError {
  const { reason } = signal
  if (reason instanceof DOMException && reason.name === 'TimeoutError') return connectionError({ error: reason, socketPath })
  return engineError({ code: 'aborted', message: 'What the container engine was doing was cancelled.', cause: reason })
}

export function throwIfAborted(signal: AbortSignal | undefined, socketPath: string): void {
  if (signal?.aborted) throw aborted({ signal, socketPath })
}

/** An error of a connection in a few words. */
export function connectionTrouble(error: unknown): { code: 'unreachable' | 'denied' | 'gone'; why: string } {
  const { code, name } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return { code: 'unreachable', why: 'there is no such socket' }
  if (code === 'EAGAIN') return { code: 'unreachable', why: 'it takes no more connections' }
  if (code === 'ECONNREFUSED') return { code: 'unreachable', why: 'nothing listens on it' }
  if (code === 'EACCES' || code === 'EPERM') return { code: 'denied', why: 'this user may not open it' }
  if (name === 'TimeoutError') return { code: 'unreachable', why: 'it does not answer' }
  return { code: 'gone', why: errorText(error) }
}

const problem = z.object({ message: z.string(), cause: z.string().optional() })

/** The engine's own words. Podman's `cause` names the kind of problem, more reliably than its status does. */
function wordsOf({ status, body }: Answer): { message: string; cause: string } {
  const { data } = problem.safeParse(body)
  const plain = typeof body === 'string' ? body.trim() : ''
  return { message: data?.message ?? (plain || `status ${status}`), cause: data?.cause ?? '' }
}

/** What Docker and Podman say where there is more to tell a person than that. */
const KNOWN_REFUSALS = [
  {
    code: 'image-missing',
    words: /no such image|image not known/i,
    meaning: 'The image of the containers is not there: build it with ./container/build.sh, then try again.',
  },
  {
    code: 'name-taken',
    words: /name .* is already in use/i,
    meaning: 'There is a container of this name already: remove that one (docker rm -f NAME), or try again.',
  },
]

/** The error for an answer that is a refusal. `what` was to be done: "start a container". */
export function refused({ answer, what }: { answer: Answer; what: string }): AppError {
  const { message } = wordsOf(answer)
  const known = KNOWN_REFUSALS.find(({ words }) => words.test(message))
  if (known) return engineError({ code: known.code, message: `${known.meaning} (The engine says: ${message})` })
  return engineError({ code: 'refused', message: `The container engine was asked to ${what}, and says: ${message}` })
}

/** An error with what happened afterwards added to its message. */
export function withMore(error: unknown, more: string): unknown {
  if (more === '' || !(error instanceof AppError)) return error
  const { code, fault, message } = error
  return new AppError({ code, fault, message: `${message}${more}`, cause: error })
}

/** True when the engine does not know the container any more. Podman answers 500 for one that is just being removed. */
export function isGone(answer: Answer): boolean {
  return answer.status === 404 || wordsOf(answer).cause === 'no such container'
}

/** True when a container cannot be killed because it does not run. */
export function isNotRunning(answer: Answer): boolean {
  return answer.status === 409 || wordsOf(answer).cause === 'container state improper'
}

/** The body of a success, in the form it has to have. Throws an `AppError` when it is something else. */
export function bodyOf<T>({ answer, schema, what }: { answer: Answer; schema: z.ZodType<T>; what: string }): T {
  if (answer.status >= 400) throw refused({ answer, what })
  const { data, error } = schema.safeParse(answer.body)
  if (!error) return data
  const message = `The container engine was asked to ${what}, and its answer makes no sense: ${z.prettifyError(error)}`
  throw engineError({ code: 'not-understood', message, cause: error })
}
