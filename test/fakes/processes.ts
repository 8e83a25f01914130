import { readFileSync } from 'node:fs'

/** Whether a process has ended, also when nobody has collected it yet: process 1 may take its time for that. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch (error) {
    // ESRCH: there is none. ENOENT: it ended in between, or this system has no such files.
    const { code } = error as NodeJS.ErrnoException
    return code === 'ESRCH' || (code === 'ENOENT' && process.platform === 'linux')
  }
}
