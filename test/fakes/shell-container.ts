import { randomBytes } from 'node:crypto'
import type { ContainerSpec } from '../../src/runtimes/contract.ts'

const MB = 1024 * 1024

/** A small container that runs one shell script, with a name of its own. `label` as `name=value`. */
export function shellContainer({ image, label, script }: { image: string; label: string; script: string }): ContainerSpec {
  const [name = '', value = ''] = label.split('=')
  return {
    name: `nanoclaw-test-${randomBytes(4).toString('hex')}`,
    image,
    labels: { [name]: value },
    user: '1000:1000',
    env: {},
    mounts: [],
    network: 'none',
    tmpfs: [],
    limits: { memoryBytes: 64 * MB, swapBytes: 0, cpus: 1, pids: 64 },
    command: ['sh', '-c', script],
  }
}

/** A label that no other run of the tests has. */
export function ownLabel(): string {
  return `nanoclaw.test=${randomBytes(4).toString('hex')}`
}
