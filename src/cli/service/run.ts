import { execFile } from 'node:child_process'
import type { Environment } from '../host.ts'

export type Argv = readonly [string, ...string[]]
export type Ran = { code: number; stdout: string; stderr: string }
/** Runs a program to its end. Never rejects: one that is not there, or hangs, ends with 127. */
export type Run = (argv: Argv) => Promise<Ran>

const PATIENCE_MS = 15 * 60_000

export function runner(env: Environment): Run {
  return ([file, ...args]) =>
    new Promise((resolve) => {
      execFile(file, args, { env, timeout: PATIENCE_MS, maxBuffer: 4 * 2 ** 20 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127
        resolve({ code, stdout, stderr: stderr || (error?.message ?? '') })
      })
    })
}
