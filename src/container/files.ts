import { chownSync, closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import type { ContainerUser } from './folders.ts'

/** Replaces a file in one step: a reader sees the old text or the new one, also after a power cut. */
export function writeFileAtomically(
  file: string,
  { text, mode, owner }: { text: string; mode: number; owner?: ContainerUser },
): void {
  const temporary = `${file}.tmp-${process.pid}`
  const descriptor = openSync(temporary, 'w', mode)
  try {
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  if (owner && process.getuid?.() === 0) chownSync(temporary, owner.uid, owner.gid)
  renameSync(temporary, file)
}
