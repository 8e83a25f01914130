import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import type { ContainerUser } from './folders.ts'

/** Replaces a file in one step: a reader sees the old text or the new one, also after a power cut. */
export function writeFileAtomically(
  file: string,
  { text, mode, owner }: { text: string; mode: number; owner?: ContainerUser },
): void {
  // A new name each time and never through a link: whoever could write here before us must not steer us.
  const temporary = `${file}.tmp-${randomBytes(6).toString('hex')}`
  const descriptor = openSync(temporary, 'wx', mode)
  try {
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  if (owner && process.getuid?.() === 0) chownSync(temporary, owner.uid, owner.gid)
  renameSync(temporary, file)
}
