/** What there is to decide from. */
export type ServiceFacts = {
  platform: NodeJS.Platform
  /** Windows Subsystem for Linux. */
  wsl: boolean
  /** systemd is the init of this machine. */
  systemd: boolean
  /** The user's own systemd can be asked. */
  userManager: boolean
  user: { name: string; uid: number; home: string }
}

export type Scope = 'user' | 'system'

/** Who keeps the host running on this machine; `none` says what a person can do instead. */
export type Manager = { type: 'systemd'; scope: Scope } | { type: 'launchd' } | { type: 'none'; why: string; fix: string[] }

/** A service of the whole machine only when it is asked for, and then by root: everything else is a user's own. */
export function chooseManager(facts: ServiceFacts, wanted: Scope): Manager {
  if (facts.platform === 'darwin') return wanted === 'user' ? { type: 'launchd' } : noSystemServiceOnMac
  if (!facts.systemd) return facts.wsl ? systemdIsOff : noSystemd
  const root = facts.user.uid === 0
  if (wanted === 'system') return root ? { type: 'systemd', scope: 'system' } : onlyRoot
  if (root) return rootMustAsk
  return facts.userManager ? { type: 'systemd', scope: 'user' } : noUserManager(facts.user)
}

const noSystemServiceOnMac: Manager = {
  type: 'none',
  why: 'On macOS NanoClaw runs as an agent of your account.',
  fix: ['./nanoclaw service install'],
}

const systemdIsOff: Manager = {
  type: 'none',
  why: 'systemd is off in this WSL, and nothing else would start NanoClaw.',
  fix: [
    'Put these two lines into /etc/wsl.conf (with sudo):',
    '  [boot]',
    '  systemd=true',
    'Then run  wsl --shutdown  in Windows, open this Linux again, and repeat  ./nanoclaw service install',
  ],
}

const noSystemd: Manager = {
  type: 'none',
  why: 'systemd is not the init of this machine.',
  fix: [
    'Have your own init (OpenRC, runit, s6, a container) run  ./nanoclaw start  as an ordinary user.',
    'SIGTERM stops it; it is to be started again unless it ends with 0 or 2.',
  ],
}

const onlyRoot: Manager = {
  type: 'none',
  why: 'A service of the whole machine can only be made by root.',
  fix: ['Leave out --system: a service of your own needs no root, and starts at boot too.'],
}

const rootMustAsk: Manager = {
  type: 'none',
  why: 'NanoClaw is to run as an ordinary user, not as root.',
  fix: ['Run this as that user (a login of its own, or  machinectl shell USER@ ).', 'To run it as root all the same:  --system'],
}

function noUserManager({ name }: ServiceFacts['user']): Manager {
  return {
    type: 'none',
    why: `systemd does not run for ${name} yet.`,
    fix: [
      'Log in as that user instead of using su or sudo, or have it started at boot:',
      `  sudo loginctl enable-linger ${name}`,
    ],
  }
}
