import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { z } from 'zod'
import { errorText } from '../domain/errors.ts'
import { discard, type Handle, killContainer, removeContainer } from './container-end.ts'
import type { ContainerExit, RunningContainer } from './contract.ts'
import { Demultiplexer } from './demultiplexer.ts'
import { bodyOf, engineError } from './engine-error.ts'
import { type OomVerdict, watchForOom } from './oom-watch.ts'

type Connections = { attached: Socket; wait: IncomingMessage; oom: OomVerdict | undefined }

/** 128 + SIGKILL, as the container's init passes it on. */
const EXIT_SIGKILL = 137

/** Starts a created container, with everything attached before. When it rejects, the container is still to be removed. */
export async function startContainer(container: Handle): Promise<RunningContainer> {
  const connecting = new AbortController()
  try {
    const connections = await connect(container, connecting.signal)
    const { client, id } = container
    const answer = await client.send({ method: 'POST', path: `/containers/${id}/start` })
    bodyOf({ answer, schema: z.unknown(), what: 'start a container' })
    return runningContainer(container, connections)
  } catch (error) {
    connecting.abort()
    throw error
  }
}

async function connect({ client, id }: Handle, signal: AbortSignal): Promise<Connections> {
  const path = `/containers/${id}`
  const [attached, wait, oom] = await Promise.all([
    client.upgrade({ path: `${path}/attach`, query: { stream: '1', stdin: '1', stdout: '1', stderr: '1' }, signal }),
    // Not `removed`: Podman 4 answers that with exit code 0, always.
    client.open({ method: 'POST', path: `${path}/wait`, query: { condition: 'next-exit' }, signal }),
    client.engine.name === 'docker' ? watchForOom({ client, id, signal }) : undefined,
  ])
  return { attached, wait, oom }
}

function runningContainer(container: Handle, { attached, wait, oom }: Connections): RunningContainer {
  const { stdout, stderr } = outputOf(attached)
  let killed = false
  const exited = exitOf(container, wait).then(async (code): Promise<ContainerExit> => {
    await removeContainer(container) // the engine does it, too: this waits for it, and helps where it could not
    attached.unref() // output that nobody reads must not keep the host alive
    // Podman does not tell: there, a SIGKILL that is not ours is taken for the kernel's.
    return { code, oomKilled: oom ? await oom() : code === EXIT_SIGKILL && !killed }
  })
  exited.catch(() => {}) // whoever waits for it gets the rejection; that nobody does must not end the process
  const kill = async () => {
    killed = true
    await killContainer(container)
  }
  return { id: container.id, stdin: attached, stdout, stderr, exited, kill }
}

function outputOf(attached: Socket): Demultiplexer {
  const output = new Demultiplexer()
  attached.on('error', () => {}) // a connection that breaks ends the output as its close does; `exited` says why
  attached.on('close', () => output.end())
  output.on('error', (error) => attached.destroy(error))
  return attached.pipe(output)
}

const waitAnswer = z.object({ StatusCode: z.int() })

/** A container that is cut off from us may live on, with nobody to end it: it is ended if the engine still can. */
async function exitOf(container: Handle, wait: IncomingMessage): Promise<number> {
  try {
    return waitAnswer.parse(await json(wait)).StatusCode
  } catch (cause) {
    const left = await discard(container)
    const message = `The connection to the container engine broke while a container ran (${errorText(cause)}). Was the engine stopped or restarted?${left}`
    throw engineError({ code: 'gone', message, cause })
  }
}
