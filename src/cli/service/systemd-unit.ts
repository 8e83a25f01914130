import path from 'node:path'
import type { Scope } from './choose.ts'

/** What a unit is made of. All paths are absolute. */
export type UnitParts = {
  scope: Scope
  launcher: string
  environment: Readonly<Record<string, string>>
  /** What the host, the launcher and what they start may write; nothing else is. */
  writable: readonly string[]
  /** What they have no business to read. */
  hidden: readonly string[]
  /** False where this machine lets no ordinary user have a sandbox. */
  sandbox: boolean
  systemdVersion: number
}

/** Tells a unit of ours from one that somebody wrote by hand. */
export const WRITTEN_BY_US = '# Written by `./nanoclaw service install`, which replaces it. Your own settings: '

/**
 * The unit that keeps the host running: it counts as started when the host says so, is restarted when it ends badly or its
 * event loop stands still, and gives up after many failures in a short time.
 */
export function systemdUnit(parts: UnitParts): string {
  const { scope } = parts
  return [
    `${WRITTEN_BY_US}systemctl ${scope === 'user' ? '--user ' : ''}edit nanoclaw`,
    '[Unit]',
    'Description=NanoClaw, an AI assistant in the chats you already use',
    ...(scope === 'system' ? ['Wants=network-online.target', 'After=network-online.target docker.service'] : []),
    'StartLimitIntervalSec=900',
    'StartLimitBurst=30',
    '',
    '[Service]',
    'Type=notify',
    '# Node cannot write to the notification socket itself: systemd-notify, a child, does.',
    'NotifyAccess=all',
    `ExecStart=${quoted(parts.launcher).replaceAll('$', '$$$$')} start`,
    `WorkingDirectory=${specifiersEscaped(path.dirname(parts.launcher))}`,
    ...Object.entries(parts.environment).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    '# The launcher may have to install dependencies first.',
    'TimeoutStartSec=600',
    '# It says itself when it needs longer (SHUTDOWN_GRACE). Only the host is asked to stop; it ends its own children.',
    'TimeoutStopSec=60',
    'KillMode=mixed',
    '# Nothing is lost by a kill at any moment, and a core dump would hold the login.',
    'WatchdogSec=90',
    'WatchdogSignal=SIGKILL',
    'LimitCORE=0',
    'Restart=on-failure',
    '# 2: a setting cannot be used; only a person can put that right.',
    'RestartPreventExitStatus=2',
    ...backOff(parts.systemdVersion),
    ...(parts.sandbox ? hardening(parts) : ['# No sandbox: this machine gives none to an ordinary user.']),
    '',
    '[Install]',
    `WantedBy=${scope === 'user' ? 'default' : 'multi-user'}.target`,
    '',
  ].join('\n')
}

/** Growing pauses came with systemd 254; before it, one that gives an engine which is slow to boot seven minutes. */
function backOff(version: number): string[] {
  return version >= 254 ? ['RestartSec=5', 'RestartSteps=5', 'RestartMaxDelaySec=60'] : ['RestartSec=15']
}

/**
 * Against accidents and half a break-in: a path gone wrong writes nowhere else, a parser gone wrong reaches no keys. Who
 * has the host's process whole has Docker's socket, and with it the machine. MemoryDenyWriteExecute is not for Node, which
 * compiles as it runs. PrivateTmp would show the host another /tmp than the engine mounts.
 */
function hardening({ scope, writable, hidden }: UnitParts): string[] {
  return [
    '',
    ...(scope === 'user'
      ? ['# Without a user namespace, an ordinary user gets none of the next lines, and no word of it.', 'PrivateUsers=yes']
      : []),
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    `ReadWritePaths=${writable.map(optional).join(' ')}`,
    `InaccessiblePaths=${hidden.map(optional).join(' ')}`,
    'NoNewPrivileges=yes',
    'ProtectKernelTunables=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelLogs=yes',
    'ProtectClock=yes',
    'ProtectHostname=yes',
    'LockPersonality=yes',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    'SystemCallArchitectures=native',
    'SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap',
    'SystemCallErrorNumber=EPERM',
  ]
}

/** Which of these paths a unit of ours leaves closed to the host. One without a sandbox closes none. */
export function closedTo(unit: string, paths: readonly string[]): string[] {
  const line = /^ReadWritePaths=(.*)$/m.exec(unit)?.[1]
  return line === undefined ? [] : paths.filter((one) => !line.includes(optional(one)))
}

/** A path that is not there at the start is passed over. */
function optional(path: string): string {
  return quoted(`-${path}`)
}

function quoted(text: string): string {
  return `"${specifiersEscaped(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function specifiersEscaped(text: string): string {
  return text.replaceAll('%', '%%')
}
