import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { loadConfig } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import { neutralised } from '../../domain/neutral-text.ts'
import { keptLogs } from '../../log-files.ts'
import type { CommandContext } from '../groups.ts'
import { stopSignals } from '../signals.ts'
import { follow } from './follow.ts'
import { type Entry, EntryReader, isWanted, LEVELS, type Level, type Wish } from './records.ts'

type Options = { follow?: true; group?: string; level?: Level; lines: number }

/** Adds `logs`. */
export function logsCommand(program: Command, { env, print, done }: CommandContext): void {
  program
    .command('logs')
    .description('what the host wrote down: its newest entries, or those of one group')
    .option('-f, --follow', 'and what comes, until Ctrl-C')
    .option('-n, --lines <count>', 'so many entries', count, 50)
    .option('--group <folder>', 'only those about this group')
    .addOption(new Option('--level <level>', 'only those that are at least so grave').choices(LEVELS))
    .exitOverride()
    .action(async ({ follow: goOn, lines, ...wish }: Options) => {
      const file = path.join(loadConfig(env).root, 'logs', 'nanoclaw.log')
      if (!goOn && !existsSync(file)) throw noLog(file)
      const end = statSync(file, { throwIfNoEntry: false })?.size ?? 0
      for (const entry of newest({ file, end, lines, wish })) print(shown(entry))
      if (goOn) await printOn({ file, from: end, wish, print })
      done(0)
    })
}

function count(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a whole number.')
}

function noLog(file: string): AppError {
  return new AppError({
    code: 'input.log',
    fault: 'user',
    message: `There is no ${file} yet: the first ./nanoclaw start makes it.`,
  })
}

/** The newest entries that are wanted, also of former logs, up to byte `end` of the present one. Oldest first. */
export function newest({ file, end, lines, wish }: { file: string; end: number; lines: number; wish: Wish }): Entry[] {
  const folder = path.dirname(file)
  const former = existsSync(folder) ? keptLogs(file).map(({ name }) => path.join(folder, name)) : []
  let found: Entry[] = []
  for (const place of [...former, file].reverse()) {
    if (found.length >= lines) break
    found = [...entriesOf(place, place === file ? end : undefined).filter((entry) => isWanted(entry, wish)), ...found]
  }
  return lines === 0 ? [] : found.slice(-lines)
}

function entriesOf(file: string, end: number | undefined): Entry[] {
  if (!existsSync(file)) return []
  const reader = new EntryReader()
  return [...reader.read(readFileSync(file).subarray(0, end).toString('utf8')), ...reader.rest()]
}

/** Entries appear when the next piece came or nothing more did: the host writes each in one go. */
async function printOn({
  file,
  from,
  wish,
  print,
}: {
  file: string
  from: number
  wish: Wish
  print(text: string): void
}): Promise<void> {
  const reader = new EntryReader()
  const decoder = new StringDecoder('utf8')
  for await (const piece of follow(file, { from, signal: stopSignals().first }))
    for (const entry of [...reader.read(decoder.write(piece)), ...reader.rest()]) if (isWanted(entry, wish)) print(shown(entry))
}

/** Logs in JSON, and those of former versions, may have anything in them. */
function shown({ text }: Entry): string {
  return `${neutralised(text)}\n`
}
