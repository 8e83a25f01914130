import { fstatSync, mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { pino } from 'pino'
import type { Config } from './config.ts'
import { AppError, errorText } from './domain/errors.ts'
import { neutralised } from './domain/neutral-text.ts'
import { ERROR_LOG, LogFile, type LogLimits, MAIN_LOG } from './log-files.ts'

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
  const main = openFile(path.join(folder, 'nanoclaw.log'), MAIN_LOG)
  const errors = openFile(path.join(folder, 'nanoclaw.error.log'), ERROR_LOG)
  // An old service unit appends our stdout to the same file: each line is to stand there once.
  const console = echo && !isSameFile(STDOUT, path.join(folder, 'nanoclaw.log'))
  const write = (line: string): void => {
    const text = redact(config.logFormat === 'json' ? line : plain(line))
    main.write(text)
    if (levelOf(line) >= ERROR_LEVEL) errors.write(text)
    if (console) process.stdout.write(text)
  }
  const logger = pino({ level: config.logLevel, base: null }, { write: tolerant(write) })
  return {
    debug: (text) => logger.debug(neutralised(text)),
    info: (text) => logger.info(neutralised(text)),
    warn: (text) => logger.warn(neutralised(text)),
    error: (text) => logger.error(neutralised(text)),
    redact,
    close: () => {
      main.close()
      errors.close()
    },
  }
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

/** A full disk costs log lines, nothing else. */
function tolerant(write: (line: string) => void): (line: string) => void {
  return (line) => {
    try {
      write(line)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
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
