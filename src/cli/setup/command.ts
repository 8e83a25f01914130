import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { AppError, errorText } from '../../domain/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>
/** One line for the person, on stderr: stdout belongs to what the command prints. */
export type Say = (line: string) => void

export type Command = { argv: readonly [string, ...string[]]; env: Environment; signal?: AbortSignal | undefined }

/** Runs it and passes on what it prints, line by line. Resolves with its exit code; rejects when it cannot be started. */
export function runCommand({ argv, env, signal, say }: Command & { say: Say }): Promise<number> {
  const [file, ...args] = argv
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) })
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', (line) => say(`  ${line}`))
  return new Promise((resolve, reject) => {
    child.on('close', (code) => resolve(code ?? 1))
    child.on('error', (cause) =>
      reject(
        new AppError({ code: 'setup.command', fault: 'user', message: `${file} cannot be run: ${errorText(cause)}`, cause }),
      ),
    )
  })
}

/** Where daemons are that the PATH of a normal user leaves out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The program's full path, or undefined when this machine does not have it. */
export function findProgram(name: string, env: Environment): string | undefined {
  const folders = [...(env.PATH ?? '').split(path.delimiter).filter(Boolean), ...SYSTEM_FOLDERS]
  return folders.map((folder) => path.join(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** As a person would type it. */
export function commandLine(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}
