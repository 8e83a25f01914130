import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmdirSync } from 'node:fs'
import path from 'node:path'

type TestContext = { after(fn: () => unknown): void }

/** A file system of its own as `folder`. Root mounts it; nobody else could, and the tests of this project that need it say so. */
export function smallDisk(t: TestContext, { folder, megabytes }: { folder: string; megabytes: number }): string {
  assert.equal(process.getuid?.(), 0, 'mounting a small disk takes root')
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  t.after(() => {
    execFileSync('umount', ['-l', folder])
    rmdirSync(folder)
  })
  return folder
}

/** Fills the disk up to the last `leave` bytes; returns the file that does it. */
export function fillDisk(folder: string, { leave }: { leave: number }): string {
  const ballast = path.join(folder, 'ballast')
  execFileSync('sh', ['-c', `dd if=/dev/zero of=${ballast} bs=4k 2>/dev/null || true; truncate -s -${leave} ${ballast}`])
  return ballast
}
