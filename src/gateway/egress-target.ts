/** Where an agent wants to go, in the one spelling that we compare and resolve. */
export type Target = { host: string; port: number }
export type TargetVerdict = ({ type: 'target' } & Target) | { type: 'refused'; why: string }

/** `open`: every public host; `allowlist`: those of the list; `off`: none. An entry is `example.com` or `*.example.com`. */
export type EgressPolicy = { policy: 'open' | 'allowlist' | 'off'; allow: readonly string[] }

/** Where web servers are. Mail, remote shells and databases are not for agents to reach. */
const PORTS: readonly number[] = [80, 443, 8_080, 8_443]
const LONGEST_HOST = 253
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
/** The last part of every address of IPv4, however it is written (`127.1`, `0x7f.1`, `2130706433`), and of no name. */
const NUMERIC = /^(\d+|0x[0-9a-f]*)$/
/** Names that never mean a host of the internet. */
const LOCAL = [
  'localhost',
  'local',
  'internal',
  'intranet',
  'lan',
  'home',
  'corp',
  'private',
  'home.arpa',
  'onion',
  'invalid',
  'test',
]

/** `host:port` as it stands in a CONNECT or in an address: strictly a name, nothing decoded, nothing guessed. */
export function targetOf(authority: string, defaultPort?: number): TargetVerdict {
  const parts = /^([^\s:@/\\?#[\]%]+)(?::(\d{1,5}))?$/.exec(authority)
  if (!parts) return refused(`"${authority.slice(0, 100)}" is no host name with a port; addresses in numbers are not served`)
  const port = parts[2] === undefined ? defaultPort : Number(parts[2])
  const host = (parts[1] ?? '').toLowerCase().replace(/\.$/, '')
  const problem = hostProblem(host)
  if (problem !== undefined) return refused(problem)
  if (port === undefined || !PORTS.includes(port))
    return refused(`port ${port ?? 'none'} is not served, only ${PORTS.join(', ')}`)
  return { type: 'target', host, port }
}

function hostProblem(host: string): string | undefined {
  const labels = host.split('.')
  if (host.length > LONGEST_HOST || !labels.every((label) => LABEL.test(label))) return `"${host.slice(0, 100)}" is no host name`
  if (NUMERIC.test(labels.at(-1) ?? '')) return `${host} is an address in numbers, which is not served; use the host's name`
  if (labels.length === 1 || LOCAL.some((name) => host === name || host.endsWith(`.${name}`)))
    return `${host} is a name of a local network, which is not served`
  return undefined
}

/** Why this group may not go there, or undefined when it may. */
export function policyProblem({ host }: Target, { policy, allow }: EgressPolicy): string | undefined {
  switch (policy) {
    case 'open':
      return undefined
    case 'off':
      return 'this group may not use the network'
    case 'allowlist':
      return allow.some((entry) => matches(host, entry.toLowerCase()))
        ? undefined
        : `${host} is not on this group's list of hosts`
  }
}

function matches(host: string, entry: string): boolean {
  return entry.startsWith('*.') ? host.endsWith(entry.slice(1)) : host === entry
}

function refused(why: string): TargetVerdict {
  return { type: 'refused', why }
}
