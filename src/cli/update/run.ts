import { spawn } from 'node:child_process'
import { AppError, errorText } from '../../domain/errors.ts'
import type { Environment } from '../host.ts'

export type Program = {
  argv: readonly [string, ...string[]]
  cwd: string
  env: Environment
}

const LAST_BYTES = 4_000

/** Runs a program to its end and returns what it printed. Throws `update.program` with its last words when it fails. */
export async function printed({ argv: [file, ...args], cwd, env }: Program): Promise<string> {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let all = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    all = `${all}${chunk}`.slice(-LAST_BYTES)
  })
  child.stderr.on('data', (chunk) => {
    all = `${all}${chunk}`.slice(-LAST_BYTES)
  })
  const code = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(errorText(error)))
    child.on('close', (ended, signal) => resolve(ended ?? signal ?? 'no code'))
  })
  if (code === 0) return stdout
  const message = `\`${[file, ...args].join(' ')}\` failed (${code}):\n${all.trim()}`
  throw new AppError({ code: 'update.program', fault: 'user', message })
}
