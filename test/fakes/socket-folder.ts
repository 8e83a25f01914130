import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from './rooms.ts'

/** The path of a unix socket has at most 104 bytes on macOS, and 108 on Linux. */
const LONGEST_BASE = 60

/**
 * An empty folder that is gone after the test. Its path leaves room for the name of a socket: where the folder for temporary
 * files has a long path, it is in `/tmp`.
 */
export function socketFolder(t: TestContext): string {
  const base = Buffer.byteLength(os.tmpdir()) <= LONGEST_BASE ? os.tmpdir() : '/tmp'
  const folder = mkdtempSync(path.join(base, 'nanoclaw-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
