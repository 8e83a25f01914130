import { existsSync } from 'node:fs'
import path from 'node:path'
import type { AppError } from '../domain/errors.ts'
import { engineError } from './engine-error.ts'

// Podman speaks Docker's API. Everything that it means otherwise, as far as we use it, stands here.

/** What a container gets from Podman beside what every engine is asked for. */
export function podmanProfile({ user, rootless }: { user: string; rootless: boolean }): {
  SecurityOpt: string[]
  UsernsMode?: string
} {
  return { SecurityOpt: [...NO_SELINUX_LABEL], ...(rootless && { UsernsMode: keepId(user) }) }
}

/**
 * Where SELinux enforces, a labelled container may connect to no socket of a process outside, so not to its gateway, and
 * reads no file of a home before everything in it was relabelled (`:z`), for every program, for good. The other walls
 * stay: user namespace, no capability, seccomp, mounts. Without SELinux it means nothing.
 */
const NO_SELINUX_LABEL = ['label=disable']

/** The container's user is the one who runs Podman, so that the files of its mounts are its own. */
function keepId(user: string): string {
  const [uid, gid] = user.split(':')
  return `keep-id:uid=${uid},gid=${gid}`
}

/** Podman (4.3 to 6) refuses `uid=` and `gid=`; its `U` gives the file system to the container's user. */
export function podmanTmpfs(options: string): string {
  const all = options.split(',')
  const others = all.filter((option) => !/^[ug]id=/.test(option))
  return (others.length < all.length ? [...others, 'U'] : others).join(',')
}

/** `keep-id` takes a user since 4.3. */
export function refuseOldPodman(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 4 || (major === 4 && minor >= 3)) return
  throw tooOld(version)
}

function tooOld(version: string): AppError {
  return engineError({ code: 'too-old', message: `This is Podman ${version}: NanoClaw needs 4.3 or newer, or Docker.` })
}

/** Where Podman looks for its runtimes. */
const RUNTIME_FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/bin', '/sbin']

/**
 * Podman names every runtime that it has heard of, installed or not. On macOS they are in its machine, where we cannot
 * look: there Podman itself refuses what is missing.
 */
export function installedRuntimes(
  known: readonly string[],
  { platform = process.platform, exists = existsSync }: { platform?: string; exists?: (file: string) => boolean } = {},
): string[] {
  if (platform !== 'linux') return [...known]
  return known.filter((name) => RUNTIME_FOLDERS.some((folder) => exists(path.join(folder, name))))
}
