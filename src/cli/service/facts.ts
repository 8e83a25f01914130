import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Environment } from '../host.ts'
import type { ServiceFacts } from './choose.ts'

export function serviceFacts(env: Environment): ServiceFacts {
  const { username: name, uid, homedir: home } = os.userInfo()
  return {
    platform: process.platform,
    wsl: /microsoft/i.test(textOf('/proc/version')),
    systemd: existsSync('/run/systemd/system'),
    userManager: existsSync(path.join(runtimeFolder(env, uid), 'systemd')),
    user: { name, uid, home },
  }
}

/** Sessions by su and sudo do not know it, though it is there. */
export function withRuntimeFolder(env: Environment): Environment {
  const uid = process.getuid?.() ?? 0
  return { ...env, XDG_RUNTIME_DIR: runtimeFolder(env, uid) }
}

export function runtimeFolder(env: Environment, uid: number): string {
  return env.XDG_RUNTIME_DIR || `/run/user/${uid}`
}

/** Empty for a file that is not there. */
export function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/**
 * Was somebody put into the group `docker` after his systemd began? Then whatever it starts may not reach Docker, though a
 * new shell may. `groups` is /etc/group, `managerStatus` the /proc/PID/status of the manager.
 */
export function lacksDockerGroup({
  name,
  groups,
  managerStatus,
}: {
  name: string
  groups: string
  managerStatus: string
}): boolean {
  const [, , gid, members = ''] =
    groups
      .split('\n')
      .find((line) => line.startsWith('docker:'))
      ?.split(':') ?? []
  const held = /^Groups:(.*)$/m.exec(managerStatus)?.[1]?.trim().split(/\s+/)
  return gid !== undefined && held !== undefined && members.split(',').includes(name) && !held.includes(gid)
}
