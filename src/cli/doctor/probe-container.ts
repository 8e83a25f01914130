import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { containerUser } from '../../container/folders.ts'
import type { ContainerRuntime, Mount } from '../../runtimes/contract.ts'

const PATIENCE_MS = 60_000
const MB = 2 ** 20

export type Probe = { runtime: ContainerRuntime; image: string; network: 'none' | 'bridge'; mounts?: Mount[]; script: string }

/** Runs a shell script in a container like an agent's; resolves with what it printed. */
export async function runInside({ runtime, image, network, mounts = [], script }: Probe): Promise<string> {
  const { uid, gid } = containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 })
  const owner = `uid=${uid},gid=${gid}`
  const container = await runtime.run(
    {
      name: `nanoclaw-doctor-${randomBytes(4).toString('hex')}`,
      image,
      labels: {},
      user: `${uid}:${gid}`,
      env: { HOME: '/home/node' },
      mounts,
      network,
      tmpfs: ['/tmp', '/home/node'].map((target) => ({ target, options: `rw,exec,nosuid,nodev,${owner}` })),
      limits: { memoryBytes: 512 * MB, swapBytes: 0, cpus: 1, pids: 128 },
      command: ['/bin/sh', '-c', script],
    },
    AbortSignal.timeout(PATIENCE_MS),
  )
  const late = Promise.withResolvers<never>()
  const end = setTimeout(() => container.kill().catch(late.reject), PATIENCE_MS)
  try {
    const ended = Promise.all([text(container.stdout), text(container.stderr), container.exited])
    const [said] = await Promise.race([ended, late.promise])
    return said
  } finally {
    clearTimeout(end)
  }
}
