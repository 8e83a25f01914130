import { type Damage, damageOf } from '../../store/read-only.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

export const database: Check = {
  id: 'database',
  look: async ({ config }) => judgeDatabase({ file: config.paths.database, damage: damageOf(config.paths.database) }),
}

/** `damage`: what SQLite says of the file; null for a sound one, undefined for none. */
export function judgeDatabase({ file, damage }: { file: string; damage: Damage | null | undefined }): Finding {
  if (damage === undefined) return ok('There is no database yet: the first start makes it')
  if (damage === null) return ok('The database is sound')
  if (damage.onlyTextIndex) {
    const why = 'Every message is there, and a search may not find them. The host makes the index anew when it comes upon this.'
    return warn({ what: `The index for searching in ${file} is damaged: ${damage.why}`, why, fix: 'Restart the host, or search' })
  }
  const fix = 'Stop the host, move store/messages.db* away, and restore a backup:  ./nanoclaw restore FILE'
  return fail({ what: `${file} is damaged: ${damage.why}`, why: 'Messages may be lost, and the host will refuse it.', fix })
}
