import { errorText } from '../domain/errors.ts'
import type { EngineClient } from './engine-client.ts'
import { isGone, isNotRunning, refused } from './engine-error.ts'

/** A container of an engine. */
export type Handle = { client: EngineClient; id: string }

/** SIGKILL. Resolves also when the container has ended or is gone. */
export async function killContainer({ client, id }: Handle): Promise<void> {
  const answer = await client.send({ method: 'POST', path: `/containers/${id}/kill`, query: { signal: 'SIGKILL' } })
  if (answer.status < 400 || isNotRunning(answer) || isGone(answer)) return
  throw refused({ answer, what: `kill container ${id}` })
}

/** Removes a container that has ended, with its anonymous volumes. Resolves when it is gone, also when it was already. */
export async function removeContainer({ client, id }: Handle): Promise<void> {
  const answer = await client.send({ method: 'DELETE', path: `/containers/${id}`, query: { force: '1', v: '1' } })
  const isBeingRemoved = answer.status === 409
  if (isBeingRemoved) return untilRemoved({ client, id })
  if (answer.status >= 400 && !isGone(answer)) throw refused({ answer, what: `remove container ${id}` })
}

async function untilRemoved({ client, id }: Handle): Promise<void> {
  const answer = await client.send({ method: 'POST', path: `/containers/${id}/wait`, query: { condition: 'removed' } })
  if (answer.status >= 400 && !isGone(answer)) throw refused({ answer, what: `say when container ${id} is removed` })
}

/** Kills first: Podman would give it ten seconds to end by itself. */
export async function killAndRemove(container: Handle): Promise<void> {
  await killContainer(container)
  await removeContainer(container)
}

/** Ends a container after something went wrong. Never rejects: returns what is to be added to the story. */
export async function discard(container: Handle): Promise<string> {
  try {
    await killAndRemove(container)
    return ''
  } catch (error) {
    return ` Its container ${container.id} is left behind, too: ${errorText(error)}`
  }
}
