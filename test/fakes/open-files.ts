import { existsSync, fstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'

/** Why this system cannot list the open files of a process, or false: the `skip` of tests that need the list. */
export const noOpenFiles = !existsSync('/proc/self/fd') && 'this system does not show the open files of a process'

/** The files and folders in `folder`, and the folder itself, that this process holds open. */
export function openFilesIn(folder: string): string[] {
  return readdirSync('/proc/self/fd')
    .map(targetOf)
    .filter((file) => file === folder || file.startsWith(`${folder}/`))
}

/** The path behind a descriptor. The descriptor of the listing itself is closed by then. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return ''
  }
}

/** The descriptors by which this process has a file open. */
export function descriptorsOf(file: string): number[] {
  const { ino, dev } = statSync(file)
  return Array.from({ length: 1_024 }, (_, descriptor) => descriptor).filter((descriptor) => {
    try {
      const stat = fstatSync(descriptor)
      return stat.ino === ino && stat.dev === dev
    } catch {
      return false
    }
  })
}
