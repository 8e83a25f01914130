import { statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import os from 'node:os'
import { textOf } from '../service/facts.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'

const GB = 1e9
/** Claude Code with a browser page takes about so much; a container may take more. */
const AGENT_BYTES = 0.6 * GB

export const node: Check = { id: 'node', look: async () => judgeNode(process.versions.node) }

/** From 22.18 Node runs TypeScript as it is. */
export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return ok(`Node ${version}`)
  return fail({
    what: `Node ${version}`,
    why: 'NanoClaw needs 22.18 or newer.',
    fix: './nanoclaw fetches one: remove the older one from the PATH',
  })
}

export const disk: Check = {
  id: 'disk',
  look: async ({ config }) => {
    const { bavail, blocks, bsize } = await statfs(config.root)
    return judgeDisk({ freeBytes: bavail * bsize, totalBytes: blocks * bsize })
  },
}

export function judgeDisk({ freeBytes, totalBytes }: { freeBytes: number; totalBytes: number }): Finding {
  const what = `${gb(freeBytes)} of ${gb(totalBytes)} are free`
  const why = 'On a full disk nothing can be stored: messages wait, and answers stay out.'
  const fix = 'Free some: docker image prune, old files in groups/ and logs/'
  if (freeBytes < 0.5 * GB) return fail({ what, why, fix })
  return freeBytes < 3 * GB ? warn({ what, why, fix }) : ok(what)
}

export const inodes: Check = {
  id: 'inodes',
  look: async ({ config }) => {
    const { ffree, files } = statfsSync(config.root)
    return judgeInodes({ free: ffree, total: files })
  },
}

/** Some file systems have no end of them, and say 0. */
export function judgeInodes({ free, total }: { free: number; total: number }): Finding {
  if (total === 0) return skip('This file system has no limit on the number of files')
  const what = `${free} of ${total} files can still be made`
  if (free > 20_000) return ok(what)
  const why = 'Without inodes a disk is full, however much space is free.'
  return fail({ what, why, fix: 'Find what has so many files:  du --inodes -x -d 2 / | sort -n | tail' })
}

export const memory: Check = {
  id: 'memory',
  look: async ({ config }) =>
    judgeMemory({ totalBytes: os.totalmem(), availableBytes: availableMemory(), containers: config.maxContainers }),
}

export function judgeMemory({
  totalBytes,
  availableBytes,
  containers,
}: {
  totalBytes: number
  availableBytes: number
  containers: number
}): Finding {
  const what = `${gb(availableBytes)} of ${gb(totalBytes)} of memory are available, for up to ${containers + 1} agents`
  const why = `An agent takes ${gb(AGENT_BYTES)} and more; without memory the kernel ends some of them.`
  if (availableBytes < AGENT_BYTES) return fail({ what, why, fix: 'End other programs, or add memory or swap' })
  if (totalBytes > AGENT_BYTES * (containers + 1)) return ok(what)
  return warn({
    what,
    why,
    fix: `Put MAX_CONCURRENT_CONTAINERS=${Math.max(1, Math.floor(totalBytes / AGENT_BYTES) - 1)} into .env`,
  })
}

/** What could be had without swapping: caches count as free. */
function availableMemory(): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(textOf('/proc/meminfo'))?.[1]
  return kib === undefined ? process.availableMemory() : Number(kib) * 1024
}

function gb(bytes: number): string {
  return `${(bytes / GB).toFixed(1)} GB`
}
