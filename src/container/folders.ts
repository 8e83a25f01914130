import { chmodSync, closeSync, constants, fchownSync, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { AppError } from '../domain/errors.ts'

/** Who a container runs as, and who must own what it may write. */
export type ContainerUser = { uid: number; gid: number }

/** uid 1000 is `node` in the image; root's containers run as it too. Everybody else's run as themselves. */
export function containerUser(host: { uid: number; gid: number }): ContainerUser {
  return host.uid === 0 || host.uid === 1000 ? { uid: 1000, gid: 1000 } : host
}

/**
 * Makes sure that `folder` is a directory that containers may be given: created when missing, refused when it is
 * anything else (a symlink planted by an agent, a file). With `owner`, a host that runs as root hands it over.
 * Returns whether it was made now.
 */
export function ensureFolder(folder: string, { mode, owner }: { mode?: number; owner?: ContainerUser } = {}): boolean {
  const made = make(folder, mode ?? 0o755)
  if (!made && !lstatSync(folder).isDirectory()) {
    const message = `${folder} must be a folder, but is a link or a file. It is not used; look at it, and remove it if you did not make it.`
    throw new AppError({ code: 'mount.unsafe', fault: 'agent', message })
  }
  if (made && mode !== undefined) chmodSync(folder, mode) // mkdir's mode is cut by the umask
  if (owner) handOver(folder, { owner, kind: constants.O_DIRECTORY })
  return made
}

/** Gives a file or folder to the container's user. Only root can, and only root needs to. Links are never followed. */
export function handOver(target: string, { owner, kind = 0 }: { owner: ContainerUser; kind?: number }): void {
  if (process.getuid?.() !== 0) return
  const descriptor = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | kind)
  try {
    const stat = fstatSync(descriptor)
    const plain = stat.isDirectory() || (stat.isFile() && stat.nlink === 1)
    if (plain && stat.uid !== owner.uid) fchownSync(descriptor, owner.uid, owner.gid)
  } finally {
    closeSync(descriptor)
  }
}

function make(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    throw code === 'ENOENT' ? missingParent(folder) : cannotCreate(folder, error)
  }
}

function missingParent(folder: string): AppError {
  return new AppError({
    code: 'mount.missing-parent',
    fault: 'user',
    message: `${folder} cannot be made: the folder above it is missing.`,
  })
}

function cannotCreate(folder: string, cause: unknown): AppError {
  const { code } = cause as NodeJS.ErrnoException
  const message = `${folder} cannot be made (${code}). NanoClaw needs to write there; check the owner, the permissions and the free space.`
  return new AppError({ code: 'mount.unwritable', fault: 'user', message, cause })
}
