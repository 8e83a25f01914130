import type { Group } from '../../domain/group.ts'
import { readStore } from '../group-admin.ts'
import { textOf } from '../service/facts.ts'
import { findProgram } from '../setup/command.ts'
import { reached } from './engine.ts'
import { type Check, type Finding, ok, skip, warn } from './finding.ts'
import type { Patient } from './patient.ts'
import { runInside } from './probe-container.ts'

export type FirewallFacts = { bridged: readonly string[]; reaches: boolean; firewall: 'ufw' | 'firewalld' | undefined }

/** Only the engine's own network passes this machine's firewall; the gateway does not. */
export const firewall: Check = {
  id: 'firewall',
  look: async (patient) => {
    const bridged = bridgedGroups(patient)
    if (bridged.length === 0) return ok('No group uses the bridge network; the gateway needs no rule in a firewall')
    const found = await reached(patient)
    if (found.type === 'none') return skip('No engine was there to ask')
    const { config, env } = patient
    const script = `curl --silent --max-time 15 --output /dev/null '${config.modelUrl.href}' && echo reached`
    const said = await runInside({ runtime: found.runtime, image: config.image, network: 'bridge', script })
    const reaches = said.includes('reached')
    return judgeFirewall({ bridged, reaches, firewall: await activeFirewall(patient, env) })
  },
}

function bridgedGroups({ config }: Patient): string[] {
  const groups = readStore<Group[]>(config, { read: (store) => store.groups.all(), empty: [] })
  return groups.filter((group) => (group.config.network ?? config.network) === 'bridge').map(({ folder }) => folder)
}

async function activeFirewall({ run }: Patient, env: Patient['env']): Promise<FirewallFacts['firewall']> {
  if (/^ENABLED=yes$/m.test(textOf('/etc/ufw/ufw.conf'))) return 'ufw'
  if (findProgram('firewall-cmd', env) === undefined) return undefined
  return (await run(['firewall-cmd', '--state'])).code === 0 ? 'firewalld' : undefined
}

export function judgeFirewall({ bridged, reaches, firewall }: FirewallFacts): Finding {
  const groups = bridged.join(', ')
  if (reaches) return ok(`Containers on the bridge network (${groups}) reach the internet`)
  const rules = {
    ufw: 'sudo ufw allow in on docker0 && sudo ufw route allow in on docker0',
    firewalld: 'sudo firewall-cmd --permanent --zone=trusted --add-interface=docker0 && sudo firewall-cmd --reload',
  }
  const fix = firewall
    ? rules[firewall]
    : 'Look at the rules for docker0:  sudo iptables -L DOCKER-USER -n -v ; sysctl net.ipv4.ip_forward'
  return warn({
    what: `Containers on the bridge network (${groups}) reach nothing outside`,
    why: 'Their agents have no network but the model.',
    fix,
  })
}
