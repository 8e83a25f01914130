import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { z } from 'zod'
import { errorText } from '../domain/errors.ts'
import { discard, type Handle, killContainer, removeContainer } from './container-end.ts'
import type { ContainerExit, RunningContainer } from './contract.ts'
import { Demultiplexer } from './demultiplexer.ts'
import { bodyOf, engineError, throwIfAborted } from './engine-error.ts'
import { type OomVerdict, watchForOom } from './oom-watch.ts'

type Connections = { attached: Socket; wait: IncomingMessage; oom: OomVerdict | undefined }

/** 128 + SIGKILL, as the container's init passes it on. */
const EXIT_SIGKILL = 137

/**
 * Starts a created container, with everything attached before. When it rejects, the container is still to be removed.
 * The engine ends a container only when its output was taken: read both streams, leave them, or kill it.
 */
export async function startContainer(container: Handle, signal?: AbortSignal): Promise<RunningContainer> {
  const { client, id } = container
  const connecting = new AbortController()
  const giveUp = () => connecting.abort(signal?.reason)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    throwIfAborted(signal, client.socketPath)
    const connections = await connect(container, connecting.signal)
    throwIfAborted(signal, client.socketPath)
    const answer = await client.send({ method: 'POST', path: `/containers/${id}/start`, signal: connecting.signal })
    bodyOf({ answer, schema: z.unknown(), what: 'start a container' })
    throwIfAborted(signal, client.socketPath)
    return runningContainer(container, connections)
  } catch (error) {
    connecting.abort()
    throw error
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }
}

async function connect({ client, id }: Handle, signal: AbortSignal): Promise<Connections> {
  const streams = { stream: '1', stdin: '1', stdout: '1', stderr: '1' }
  const nextExit = { condition: 'next-exit' } // `removed` has exit code 0 on Podman 4, always
  const request = (action: string) => ({ method: 'POST', path: `/containers/${id}/${action}`, signal }) as const
  const [attached, wait, oom] = await Promise.all([
    client.upgrade({ ...request('attach'), query: streams, what: 'attach to a container' }),
    client.open({ ...request('wait'), query: nextExit, what: 'wait for a container' }),
    client.engine.name === 'docker' ? watchForOom({ client, id, signal }) : undefined,
  ])
  return { attached, wait, oom }
}

function runningContainer(container: Handle, { attached, wait, oom }: Connections): RunningContainer {
  const output = outputOf(attached)
  let killed = false
  const ended = async (code: number): Promise<ContainerExit> => {
    await removeContainer(container) // the engine does it, too: this waits for it, and helps where it could not
    attached.unref() // output that nobody reads must not keep the host alive
    // Podman does not tell: there, a SIGKILL that is not ours is taken for the kernel's.
    return { code, oomKilled: oom ? await oom() : code === EXIT_SIGKILL && !killed }
  }
  const lost = async (error: unknown): Promise<never> => {
    output.hurry()
    // It may live on without us. If it cannot be ended now, the next start of the host does it, by its label.
    await discard(container)
    throw error
  }
  const kill = async () => {
    killed = true
    output.hurry()
    await killContainer(container)
  }
  const exited = exitCode(wait).then(ended, lost)
  exited.catch(() => {}) // whoever waits for it gets the rejection; that nobody does must not end the process
  return { id: container.id, stdin: attached, stdout: output.stdout, stderr: output.stderr, exited, kill }
}

function outputOf(attached: Socket): Demultiplexer {
  const output = new Demultiplexer()
  attached.on('error', () => {}) // a connection that breaks ends the output as its close does; `exited` says why
  attached.on('close', () => output.end())
  output.on('error', (error) => attached.destroy(error))
  return attached.pipe(output)
}

const waitAnswer = z.object({ StatusCode: z.int() })

async function exitCode(wait: IncomingMessage): Promise<number> {
  try {
    return waitAnswer.parse(await json(wait)).StatusCode
  } catch (cause) {
    const message = `The connection to the container engine broke while a container ran (${errorText(cause)}). Was the engine stopped or restarted?`
    throw engineError({ code: 'gone', message, cause })
  }
}
