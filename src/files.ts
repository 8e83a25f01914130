import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export type FileContent = { text: string; mode: number; owner?: { uid: number; gid: number } }

/**
 * Replaces a file in one step: a reader sees the old text or the new one, also after a power cut. Which of them it is then
 * stays open, so this is for what is written again anyway.
 */
export function writeFileAtomically(file: string, { text, mode, owner }: FileContent): void {
  // A new name each time and never through a link: whoever could write here before us must not steer us.
  const temporary = `${file}.tmp-${randomBytes(6).toString('hex')}`
  const descriptor = openSync(temporary, 'wx', mode)
  try {
    // Not writeSync: on a disk that is nearly full it may write a part and say so only in its result.
    write(descriptor, text)
    if (owner && process.getuid?.() === 0) chownSync(temporary, owner.uid, owner.gid)
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** The same for what nobody can make again (settings, identities, memory): when it returns, the new text is there to stay. */
export function writeFileDurably(file: string, content: FileContent): void {
  writeFileAtomically(file, content)
  syncToDisk(path.dirname(file))
}

/** What a file holds, or the names in a folder, survive a power cut from now on. A new file needs both. */
export function syncToDisk(target: string): void {
  const descriptor = openSync(target, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function write(descriptor: number, text: string): void {
  try {
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
