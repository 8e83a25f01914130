import type { ContainerSpec, Mount } from '../runtimes/contract.ts'

/** One mount, as the run log has it. */
export function mountLine({ source, target, readonly }: Mount): string {
  return `${source} -> ${target}${readonly ? ' (ro)' : ''}`
}

/** The run as a line that can be pasted into a shell while it lives: without its name, with its gateway. */
export function dockerRunLine(spec: ContainerSpec): string {
  const { memoryBytes, cpus, pids } = spec.limits
  const words = [
    ...['docker', 'run', '-i', '--rm', '--init', '--user', spec.user, '--network', spec.network],
    ...(spec.isolation ? ['--runtime', spec.isolation] : []),
    ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--ipc', 'private', '--pull', 'never'],
    ...[
      '--memory',
      String(memoryBytes),
      '--memory-swap',
      String(memoryBytes),
      '--cpus',
      String(cpus),
      '--pids-limit',
      String(pids),
    ],
    ...Object.entries(spec.labels).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
    ...Object.entries(spec.env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...spec.tmpfs.flatMap(({ target, options }) => ['--tmpfs', `${target}:${options}`]),
    ...spec.mounts.flatMap(({ source, target, readonly }) => [
      '--mount',
      `type=bind,source=${source},target=${target}${readonly ? ',readonly' : ''}`,
    ]),
    ...[spec.image, ...(spec.command ?? [])],
  ]
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}
