import { fstatSync, mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { pino } from 'pino'
import type { Config } from './config.ts'
import { AppError, errorText } from './domain/errors.ts'
import { neutralised } from './domain/neutral-text.ts'
import { ERROR_LOG, LogFile, type LogLimits, LossyLines, MAIN_LOG } from './log-files.ts'

export type Log = Record<'debug' | 'info' | 'warn' | 'error', (text: string) => void> & {
  /** Removes secrets from a text. */
  redact(text: string): string
  close(): void
}

const ERROR_LEVEL = 50
const STDOUT = 1

/**
 * `logs/nanoclaw.log`, warnings' elder siblings also in `logs/nanoclaw.error.log`, and the console when `echo` is set.
 * Text by default: time, level, sentence. Agents have a say in what is logged: secrets are removed from every line, and before
 * that whatever could drive the terminal it is read in. Former logs are kept beside them, up to 120 MB.
 */
export function openLog({ config, redact, echo }: { config: Config; redact: (text: string) => string; echo: boolean }): Log {
  const folder = path.join(config.root, 'logs')
  makeFolder(folder)
  const files = [
    openFile(path.join(folder, 'nanoclaw.log'), MAIN_LOG),
    openFile(path.join(folder, 'nanoclaw.error.log'), ERROR_LOG),
  ]
  const format = (line: string) => redact(config.logFormat === 'json' ? line : plain(line))
  const lineOf = (msg: string) => format(`${JSON.stringify({ level: ERROR_LEVEL, time: Date.now(), msg })}\n`)
  const [main, errors] = files.map((file) => new LossyLines({ write: (text) => file.write(text), lineOf }))
  // An old service unit appends our stdout to the same file: each line is to stand there once.
  const isConsole = echo && !isSameFile(STDOUT, path.join(folder, 'nanoclaw.log'))
  const console = isConsole ? consoleLines(lineOf) : undefined
  const write = (line: string): void => {
    const places = [main, levelOf(line) >= ERROR_LEVEL ? errors : undefined, console]
    tell(
      places.filter((place) => place !== undefined),
      () => format(line),
    )
  }
  const logger = pino({ level: config.logLevel, base: null }, { write })
  return {
    debug: (text) => logger.debug(neutralised(text)),
    info: (text) => logger.info(neutralised(text)),
    warn: (text) => logger.warn(neutralised(text)),
    error: (text) => logger.error(neutralised(text)),
    redact,
    close: () => {
      for (const file of files) closeAnyway(file)
    },
  }
}

/** What a disk says at the very end changes nothing any more. */
function closeAnyway(file: LogFile): void {
  try {
    file.close()
  } catch {
    // There is no log left to write it to.
  }
}

/** A line that cannot be cleaned of secrets is lost like one that cannot be written. */
function tell(places: readonly LossyLines[], cleaned: () => string): void {
  let text: string
  try {
    text = cleaned()
  } catch (error) {
    for (const place of places) place.lose(error)
    return
  }
  for (const place of places) place.write(text)
}

/** A pipe that nobody reads any more, or a file on a full disk, says so later and by an event, which would end the process. */
function consoleLines(lineOf: (message: string) => string): LossyLines {
  const lines = new LossyLines({
    write: (text) => {
      process.stdout.write(text)
      return undefined
    },
    lineOf,
  })
  process.stdout.on('error', (error) => lines.lose(error))
  return lines
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (cause) {
    const message = `${folder} cannot be made (${errorText(cause)}), so nothing was started. NanoClaw keeps its state in ${path.dirname(folder)}: it must be able to write there. Check its owner, the free space and whether the disk is read-only, or set NANOCLAW_HOME to another folder.`
    throw new AppError({ code: 'config.root', fault: 'user', message, cause })
  }
}

function openFile(file: string, limits: LogLimits): LogFile {
  try {
    return LogFile.open(file, limits)
  } catch (cause) {
    const message = `The log ${file} cannot be written (${errorText(cause)}). Check its owner; if it is a link, remove it.`
    throw new AppError({ code: 'config.log', fault: 'user', message, cause })
  }
}

function levelOf(line: string): number {
  return JSON.parse(line).level
}

/** Further lines are set in, so that none looks like an entry of its own. */
function plain(line: string): string {
  const { level, time, msg } = JSON.parse(line)
  const name = (pino.levels.labels[level] ?? String(level)).toUpperCase().padEnd(5)
  return `${new Date(time).toISOString()} ${name} ${msg.replaceAll('\n', '\n  ')}\n`
}

function isSameFile(descriptor: number, file: string): boolean {
  const [a, b] = [fstatSync(descriptor), statSync(file)]
  return a.ino === b.ino && a.dev === b.dev
}
