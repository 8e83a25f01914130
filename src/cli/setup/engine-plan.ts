/** What the engine's socket said. `denied`: it is there, but this user may not open it. */
export type EngineAnswer = 'ready' | 'denied' | 'rootless-docker' | 'none'

/** What there is to decide from; programs by their full path. */
export type EngineFacts = {
  answer: EngineAnswer
  wanted: 'docker' | 'podman'
  platform: NodeJS.Platform
  /** Windows Subsystem for Linux. */
  wsl: boolean
  /** systemd is the init of this machine. */
  systemd: boolean
  user: { name: string; root: boolean; inDockerGroup: boolean }
  dockerHost: string | undefined
  programs: Partial<Record<'apt-get' | 'docker' | 'dockerd' | 'podman' | 'sudo', string>>
}

export type Argv = readonly [string, ...string[]]

/**
 * What to do next; afterwards the facts are read again. Commands are complete, `sudo` included.
 * `start-dockerd` is for machines without an init: the daemon has to be put into the background.
 */
export type EnginePlan =
  | { do: 'nothing' }
  | { do: 'tell'; what: string[] }
  | { do: 'run'; id: 'install' | 'join-group' | 'start'; why: string; question: string; commands: Argv[] }
  | { do: 'start-dockerd'; why: string; question: string; dockerd: string }

export function planEngine(facts: EngineFacts): EnginePlan {
  switch (facts.answer) {
    case 'ready':
      return { do: 'nothing' }
    case 'rootless-docker':
      return tell(
        'The Docker here is rootless: its containers cannot be given files of yours with the right owner. Use rootless Podman:',
        '  sudo apt-get install podman && systemctl --user enable --now podman.socket, then CONTAINER_RUNTIME=podman in .env',
      )
    case 'denied':
      return planAccess(facts)
    case 'none':
      return facts.dockerHost ? planDockerHost(facts.dockerHost) : planEngineless(facts)
  }
}

function planDockerHost(dockerHost: string): EnginePlan {
  return tell(`DOCKER_HOST is ${dockerHost}, but no container engine answers there: start that one, or unset DOCKER_HOST.`)
}

/** The group counts from the next login on, so membership alone does not open the socket yet. */
function planAccess({ user, programs }: EngineFacts): EnginePlan {
  if (user.inDockerGroup)
    return tell(
      `${user.name} is in the group docker, but this session began before that. Run this, then ./nanoclaw again:`,
      '  newgrp docker',
    )
  if (!programs.sudo)
    return tell(
      `${user.name} may not use Docker. As root, run (whoever is in this group can become root on this machine):`,
      `  usermod -aG docker ${user.name}`,
    )
  return {
    do: 'run',
    id: 'join-group',
    why: `${user.name} may not use Docker yet.`,
    question: `Add ${user.name} to the group docker? (Whoever is in it can become root on this machine.)`,
    commands: [['sudo', 'usermod', '-aG', 'docker', user.name]],
  }
}

function planEngineless(facts: EngineFacts): EnginePlan {
  const { platform, programs, wanted } = facts
  if (wanted === 'podman' || (programs.podman && !programs.dockerd && !programs.docker)) return planPodman(facts)
  if (platform === 'darwin')
    return tell(
      'No container engine is running. Start Docker Desktop:',
      '  open -a Docker',
      'or install it first:',
      '  brew install --cask docker',
    )
  if (platform !== 'linux') return tell('No container engine is running: install Docker or Podman and start it.')
  if (programs.dockerd) return planStart(facts, programs.dockerd)
  if (facts.wsl && programs.docker)
    return tell(
      'Docker Desktop is not running for this WSL distribution: start it in Windows, with Settings > Resources > WSL integration on.',
    )
  return planInstall(facts)
}

function planInstall(facts: EngineFacts): EnginePlan {
  const { user, wsl, programs } = facts
  if (!programs['apt-get'])
    return tell(
      'There is no container engine. Install Docker or Podman from your distribution and start it, for example:',
      '  sudo dnf install moby-engine',
    )
  if (!user.root && !programs.sudo)
    return tell(
      'There is no container engine, and this user cannot install one. As root, run:',
      `  apt-get install docker.io && usermod -aG docker ${user.name}`,
    )
  const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'] as const
  const commands = [asRoot(facts, [...apt, 'update']), asRoot(facts, [...apt, 'install', '-y', 'docker.io'])]
  if (!user.root) commands.push(asRoot(facts, ['usermod', '-aG', 'docker', user.name]))
  const alternative = wsl ? ' (Or install Docker Desktop in Windows and turn on its WSL integration.)' : ''
  return {
    do: 'run',
    id: 'install',
    why: `Every agent works in a container, and there is no container engine here.${alternative}`,
    question: user.root
      ? 'Install Docker (docker.io)?'
      : `Install Docker (docker.io), and let ${user.name} use it (the group docker can become root)?`,
    commands,
  }
}

function planStart(facts: EngineFacts, dockerd: string): EnginePlan {
  const why = 'Docker is installed but not running.'
  if (!facts.user.root && !facts.programs.sudo)
    return tell(`${why} As root, run:`, facts.systemd ? '  systemctl start docker' : '  dockerd &')
  if (!facts.systemd) return { do: 'start-dockerd', why, question: 'Start it now?', dockerd }
  return { do: 'run', id: 'start', why, question: 'Start it now?', commands: [asRoot(facts, ['systemctl', 'start', 'docker'])] }
}

function planPodman({ platform, programs, systemd, user }: EngineFacts): EnginePlan {
  if (!programs.podman)
    return tell('Podman is wanted (CONTAINER_RUNTIME) but not installed:', '  sudo apt-get install podman uidmap slirp4netns')
  if (platform === 'darwin') return tell('Podman is not running. Start it with:', '  podman machine start')
  const why = 'Podman is here, but its API socket is not open.'
  if (!systemd) return tell(`${why} Open it with:`, '  podman system service --time=0 &')
  const command: Argv = ['systemctl', ...(user.root ? [] : ['--user']), 'enable', '--now', 'podman.socket']
  return { do: 'run', id: 'start', why, question: 'Open it now?', commands: [command] }
}

/** The command as this user has to write it. */
export function asRoot({ user }: EngineFacts, command: Argv): Argv {
  return user.root ? command : ['sudo', ...command]
}

function tell(...what: string[]): EnginePlan {
  return { do: 'tell', what }
}
