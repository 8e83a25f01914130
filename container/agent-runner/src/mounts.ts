import { statSync } from 'node:fs'
import type { Input } from './options.ts'

/**
 * What is not what the host checked, or undefined. Between its check and the start of the container a folder can be
 * exchanged, for a link to somebody's keys, say. Nothing of the agent runs before this.
 */
export function mountsProblem(mounts: Input['mounts']): string | undefined {
  const wrong = mounts.filter(({ target, dev, ino }) => {
    const stat = statSync(target, { bigint: true, throwIfNoEntry: false })
    return String(stat?.ino) !== ino || (dev !== undefined && String(stat?.dev) !== dev)
  })
  if (wrong.length === 0) return undefined
  const names = wrong.map(({ target }) => target).join(', ')
  return `${names} is not the folder that was checked: somebody exchanged it meanwhile. Nothing was run. Look who writes in the folder above it on the host.`
}
