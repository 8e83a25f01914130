import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseManager, type Manager, type Scope, type ServiceFacts } from './choose.ts'

const linux: ServiceFacts = {
  platform: 'linux',
  wsl: false,
  systemd: true,
  userManager: true,
  user: { name: 'ada', uid: 1000, home: '/home/ada' },
}
const root = { name: 'root', uid: 0, home: '/root' }
const wsl = { ...linux, wsl: true, systemd: false }

const cases: { what: string; facts: ServiceFacts; wanted?: Scope; manager: string | RegExp }[] = [
  { what: "an ordinary user gets a service of the user's own", facts: linux, manager: 'user' },
  {
    what: 'a user whose systemd does not run is told to log in, or to have it linger',
    facts: { ...linux, userManager: false },
    manager: /enable-linger ada/,
  },
  { what: 'root is asked to be somebody else', facts: { ...linux, user: root }, manager: /ordinary user.*--system/s },
  {
    what: 'root gets a service of the machine when asking for it',
    facts: { ...linux, user: root },
    wanted: 'system',
    manager: 'system',
  },
  { what: 'nobody else gets a service of the machine', facts: linux, wanted: 'system', manager: /by root/ },
  { what: 'WSL without systemd is told how to turn it on', facts: wsl, manager: /wsl\.conf.*systemd=true.*wsl --shutdown/s },
  { what: 'WSL with systemd is a Linux like others', facts: { ...wsl, systemd: true }, manager: 'user' },
  { what: 'a machine with another init is told what to run', facts: { ...linux, systemd: false }, manager: /nanoclaw start/ },
  { what: 'macOS has launchd', facts: { ...linux, platform: 'darwin', systemd: false }, manager: 'launchd' },
]

for (const { what, facts, wanted = 'user', manager } of cases)
  test(what, () => {
    const chosen = described(chooseManager(facts, wanted))
    if (typeof manager === 'string') assert.equal(chosen, manager)
    else assert.match(chosen, manager)
  })

function described(manager: Manager): string {
  if (manager.type === 'none') return [manager.why, ...manager.fix].join('\n')
  return manager.type === 'systemd' ? manager.scope : manager.type
}
