import { z } from 'zod'
import { errorText } from '../../domain/errors.ts'
import type { EngineInfo } from '../../runtimes/contract.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'
import type { Patient } from './patient.ts'

export const engine: Check = {
  id: 'engine',
  look: async (patient) => {
    const found = await reached(patient)
    return found.type === 'none' ? judgeNoEngine(found.why) : judgeEngine(found.info)
  },
}

/** The engine as checks want it: that there is none is said by one of them alone. */
export async function reached(patient: Patient) {
  try {
    return { type: 'engine' as const, ...(await patient.engine()) }
  } catch (error) {
    return { type: 'none' as const, why: errorText(error) }
  }
}

function judgeNoEngine(why: string): Finding {
  const fix = './nanoclaw setup   (or: sudo systemctl start docker; macOS: open -a Docker)'
  return fail({ what: 'No container engine can be used', why, fix })
}

/** Docker 23 is the oldest that still gets fixes from distributions; 20.10 lives on in Debian 12. */
export function judgeEngine({ name, version, enforcesLimits }: Pick<EngineInfo, 'name' | 'version' | 'enforcesLimits'>): Finding {
  const what = `${name === 'docker' ? 'Docker' : 'Podman'} ${version} answers`
  if (!enforcesLimits) return judgeNoLimits(what)
  const old = name === 'docker' ? isBefore(version, '20.10.0') : isBefore(version, '4.3.0')
  if (!old) return ok(what)
  return warn({
    what,
    why: 'It gets no fixes any more, and it is what keeps agents in.',
    fix: 'Update it from your distribution or docs.docker.com/engine/install',
  })
}

function judgeNoLimits(what: string): Finding {
  const why = 'It enforces no limits, so an agent can take all memory of this machine: it is rootless, and this is cgroups v1.'
  const fix = 'Boot with cgroups v2 (kernel parameter systemd.unified_cgroup_hierarchy=1), or use Docker'
  return fail({ what: `${what}, without limits`, why, fix })
}

export const runc: Check = {
  id: 'runc',
  look: async (patient) => {
    const found = await reached(patient)
    if (found.type === 'none') return skip('No engine was there to ask')
    const version = runcVersion(await found.ask('/version'))
    return version === undefined ? skip('The engine does not name its runc') : judgeRunc(version)
  },
}

const versionAnswer = z.object({ Components: z.array(z.object({ Name: z.string(), Version: z.string() })).nullish() })

function runcVersion(answer: unknown): string | undefined {
  const parts = versionAnswer.safeParse(answer).data?.Components
  return parts?.find(({ Name }) => Name === 'runc')?.Version
}

/**
 * Ways out of a container that were fixed: CVE-2024-21626 in 1.1.12, CVE-2025-31133, -52565 and -52881 in 1.2.8, 1.3.3 and
 * 1.4.0-rc.3. Distributions fix older ones and keep the number, with a suffix of their own.
 */
export function judgeRunc(version: string): Finding {
  const what = `runc ${version}`
  const [number = version] = version.split(/[+~]|-(?!rc)/)
  const safeFrom = isBefore(number, '1.3.0') ? '1.2.8' : isBefore(number, '1.4.0-rc.1') ? '1.3.3' : '1.4.0-rc.3'
  if (!isBefore(number, safeFrom)) return ok(what)
  const why = `Before ${safeFrom} an agent could get out of its container (CVE-2025-31133, -52565, -52881${isBefore(number, '1.1.12') ? ', CVE-2024-21626' : ''}).`
  const patched = number !== version
  const fix = patched
    ? 'Your distribution may have fixed this version; keep it current:  sudo apt-get update && sudo apt-get install --only-upgrade runc containerd.io'
    : 'Update it with the engine, then restart the engine'
  return patched ? warn({ what, why, fix }) : fail({ what, why, fix })
}

export const isolation: Check = {
  id: 'isolation',
  look: async (patient) => {
    const found = await reached(patient)
    return found.type === 'none' ? skip('No engine was there to ask') : judgeIsolation(found.info.runtimes)
  },
}

/** gVisor stands between an agent and the kernel of this machine. Without it all is as meant, so nothing is wrong. */
export function judgeIsolation(runtimes: readonly string[]): Finding {
  const how = `./nanoclaw groups set FOLDER --config '{"isolation":"runsc"}'`
  if (runtimes.includes('runsc')) return ok(`gVisor (runsc) is there for groups that strangers talk to: ${how}`)
  return {
    ...ok('Agents share the kernel of this machine'),
    fix: `Optional: gVisor (gvisor.dev/docs/user_guide/install) puts a wall before it; then ${how}`,
  }
}

/** By the numbers in front; a release candidate comes before its release. */
export function isBefore(version: string, other: string): boolean {
  const [a, b] = [numbers(version), numbers(other)]
  const at = a.findIndex((number, index) => number !== b[index])
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0)
}

/** Major, minor, patch, and the number of a candidate. */
function numbers(version: string): number[] {
  const [, major, minor, patch, candidate] = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-rc\.?(\d+))?/.exec(version) ?? []
  return [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0), candidate === undefined ? Infinity : Number(candidate)]
}
