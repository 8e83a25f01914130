import path from 'node:path'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import type { CommandContext } from '../groups.ts'
import { personAt } from '../setup/person.ts'
import type { LeftOut } from './manifest.ts'

type Options = { json?: boolean }

/** Adds `backup` and `restore`. */
export function backupCommands(program: Command, context: CommandContext): void {
  program
    .command('backup')
    .description('save everything in one file: groups, conversations, settings, accounts; while the host runs, too')
    .exitOverride()
    .argument('<file>', 'the new file, e.g. nanoclaw.tar.gz')
    .option('--encrypt', 'with a passphrase: BACKUP_PASSPHRASE, or what is typed')
    .option('--json', 'as JSON')
    .action((file: string, options: Options & { encrypt?: boolean }) => backup(context, file, options))
  program
    .command('restore')
    .description('put a backup in the place of what is there, which is kept beside')
    .exitOverride()
    .argument('<file>')
    .option('--json', 'as JSON')
    .action((file: string, options: Options) => restore(context, file, options))
}

type BackupOptions = Options & { encrypt?: boolean }

async function backup({ env, print, say, done }: CommandContext, name: string, options: BackupOptions): Promise<void> {
  const { makeBackup } = await import('./make-backup.ts')
  const config = loadConfig(env)
  const passphrase = options.encrypt ? await newPassphrase(config) : undefined
  const report = await makeBackup({ config, file: path.resolve(name), passphrase })
  for (const line of toldLeftOut(report.leftOut)) say(line)
  if (options.json) print(`${JSON.stringify(report, null, 2)}\n`)
  else
    say(`Saved ${report.files} files in ${report.file} (${(report.bytes / 2 ** 20).toFixed(1)} MiB${encryptedWord(passphrase)}).`)
  done(0)
}

async function restore({ env, print, say, done }: CommandContext, name: string, { json }: Options): Promise<void> {
  const use = await import('./restore.ts')
  const config = loadConfig(env)
  const backup = { file: path.resolve(name), passphrase: () => knownPassphrase(config) }
  const report = await use.restore({ config, backup, say, now: new Date() })
  for (const line of toldLeftOut(report.leftOut)) say(line)
  if (json) print(`${JSON.stringify(report, null, 2)}\n`)
  else say(`Restored ${report.files} files of ${report.madeAt}.`)
  if (report.kept !== undefined) say(`What was there before is in ${report.kept}; remove it when you do not need it.`)
  done(0)
}

const SHOWN = 10

/** What could not be saved must not be a surprise on the day it is missed. */
function toldLeftOut(leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return []
  const lines = leftOut.slice(0, SHOWN).map(({ path: name, why }) => `  ${JSON.stringify(name)}: ${why}`)
  const more = leftOut.length > SHOWN ? [`  and ${leftOut.length - SHOWN} more, listed in its manifest.json`] : []
  return [`${leftOut.length} things are not in the backup:`, ...lines, ...more]
}

function encryptedWord(passphrase: string | undefined): string {
  return passphrase === undefined ? '; it holds your login: keep it private, or use --encrypt' : ', encrypted'
}

async function newPassphrase(config: Config): Promise<string> {
  if (config.backup.passphrase !== undefined) return config.backup.passphrase
  const first = await typed('A passphrase for the backup: ')
  if (first !== (await typed('The same again: '))) throw unusable('The two were not the same.')
  return first
}

async function knownPassphrase(config: Config): Promise<string> {
  return config.backup.passphrase ?? (await typed('The passphrase of the backup: '))
}

async function typed(question: string): Promise<string> {
  const person = personAt({ input: process.stdin, output: process.stderr })
  const answer = await person?.secret(question)
  if (!answer) throw unusable('A passphrase is needed: type one, or set BACKUP_PASSPHRASE.')
  return answer
}

function unusable(message: string): AppError {
  return new AppError({ code: 'input.passphrase', fault: 'user', message })
}
