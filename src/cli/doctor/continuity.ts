import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import path from 'node:path'
import { type Check, type Finding, ok, warn } from './finding.ts'

const TAIL_BYTES = 512 * 1024
/** Of the newest conversations of a group, so many are looked at; one or two beginnings among them are a person's wish. */
const LOOKED_AT = 5
const TOO_MANY = 3

export const continuity: Check = {
  id: 'continuity',
  look: async ({ config }) => judgeContinuity(tailOf(path.join(config.root, 'logs', 'nanoclaw.log'))),
}

/** Does each group go on with its session? By the lines that the host writes when one begins or goes on. */
export function judgeContinuity(log: string): Finding {
  const started = [...log.matchAll(/Group (\S+): Session initialized: (\S+)/g)]
  const folders = [...new Set(started.map(([, folder]) => folder))]
  const restless = folders.filter((folder) => {
    const ids = started.filter((match) => match[1] === folder).map(([, , id]) => id)
    return new Set(ids.slice(-LOOKED_AT)).size >= TOO_MANY
  })
  if (restless.length === 0) return ok(folders.length === 0 ? 'No session is in the log' : 'Groups go on with their sessions')
  const why = 'Each message began a new conversation there, so the agent remembers nothing of the last one.'
  const fix = `Is data/sessions/${restless[0]}/.claude writable for the container? Its run log says more; docs/debugging.md, part 5`
  return warn({ what: `Many sessions in a row: ${restless.join(', ')}`, why, fix })
}

/** The end of a file of the host's own; empty when it is not there. */
function tailOf(file: string): string {
  try {
    const descriptor = openSync(file, 'r')
    try {
      const { size } = fstatSync(descriptor)
      const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES))
      readSync(descriptor, buffer, 0, buffer.length, size - buffer.length)
      return buffer.toString('utf8')
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
