import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { loadConfig } from '../config.ts'
import type { AuditEntry } from '../store/audit.ts'
import type { CommandContext } from './groups.ts'
import { table } from './table.ts'

type Options = { group?: string; refused?: true; limit: number; json?: true }

/** Adds `audit`. */
export function auditCommand(program: Command, { env, print, done }: CommandContext): void {
  program
    .command('audit')
    .description('privileged decisions and refusals, oldest first; kept for a year')
    .exitOverride()
    .option('--group <folder>', 'of this group only')
    .option('--refused', 'refusals only')
    .option('--limit <n>', 'so many of the newest', wholeNumber, 100)
    .option('--json', 'as JSON')
    .action(async ({ group, refused, limit, json }: Options) => {
      const { readStore } = await import('./group-admin.ts')
      const wanted = { limit, ...(group ? { folder: group } : {}), ...(refused ? { outcome: 'refused' as const } : {}) }
      const entries = readStore<AuditEntry[]>(loadConfig(env), { read: (store) => store.audit.latest(wanted), empty: [] })
      print(json ? `${JSON.stringify(entries, null, 2)}\n` : renderAudit(entries))
      done(0)
    })
}

export function renderAudit(entries: readonly AuditEntry[]): string {
  if (entries.length === 0) return 'Nothing was decided or refused yet.\n'
  const rows = entries.map(({ at, by, folder, act, subject, outcome, detail, count }) => [
    new Date(at).toISOString(),
    by,
    folder ?? '-',
    `${outcome === 'refused' ? '! ' : ''}${act}${count > 1 ? ` (${count} times)` : ''}`,
    subject,
    detail,
  ])
  return `${table([['TIME', 'BY', 'GROUP', 'WHAT', 'SUBJECT', 'DETAIL'], ...rows]).join('\n')}\n`
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 100_000) throw new InvalidArgumentError('It is a whole number above 0.')
  return value
}
